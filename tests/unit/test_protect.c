#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "quic/protect.h"

/* The samples of RFC 9001, appendix A. */
#define DCID "8394c8f03e515708"

static const char client_payload[] =
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
    "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
    "616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
    "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
    "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
    "0d0010000e0403050306030203080408050806002d00020101001c0002400100"
    "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
    "75300901100f088394c8f03e51570806048000ffff";

static const char client_packet[] =
    "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"
    "d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399"
    "1c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c"
    "8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df6212"
    "30c83711b39343fa028cea7f7fb5ff89eac2308249a02252155e2347b63d58c5"
    "457afd84d05dfffdb20392844ae812154682e9cf012f9021a6f0be17ddd0c208"
    "4dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec"
    "4e15daf8500a6ef69ec4e3feb6b1d98e610ac8b7ec3faf6ad760b7bad1db4ba3"
    "485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db"
    "059ae0648db2f64264ed5e39be2e20d82df566da8dd5998ccabdae053060ae6c"
    "7b4378e846d29f37ed7b4ea9ec5d82e7961b7f25a9323851f681d582363aa5f8"
    "9937f5a67258bf63ad6f1a0b1d96dbd4faddfcefc5266ba6611722395c906556"
    "be52afe3f565636ad1b17d508b73d8743eeb524be22b3dcbc2c7468d54119c74"
    "68449a13d8e3b95811a198f3491de3e7fe942b330407abf82a4ed7c1b311663a"
    "c69890f4157015853d91e923037c227a33cdd5ec281ca3f79c44546b9d90ca00"
    "f064c99e3dd97911d39fe9c5d0b23a229a234cb36186c4819e8b9c5927726632"
    "291d6a418211cc2962e20fe47feb3edf330f2c603a9d48c0fcb5699dbfe58964"
    "25c5bac4aee82e57a85aaf4e2513e4f05796b07ba2ee47d80506f8d2c25e50fd"
    "14de71e6c418559302f939b0e1abd576f279c4b2e0feb85c1f28ff18f58891ff"
    "ef132eef2fa09346aee33c28eb130ff28f5b766953334113211996d20011a198"
    "e3fc433f9f2541010ae17c1bf202580f6047472fb36857fe843b19f5984009dd"
    "c324044e847a4f4a0ab34f719595de37252d6235365e9b84392b061085349d73"
    "203a4a13e96f5432ec0fd4a1ee65accdd5e3904df54c1da510b0ff20dcc0c77f"
    "cb2c0e0eb605cb0504db87632cf3d8b4dae6e705769d1de354270123cb11450e"
    "fc60ac47683d7b8d0f811365565fd98c4c8eb936bcab8d069fc33bd801b03ade"
    "a2e1fbc5aa463d08ca19896d2bf59a071b851e6c239052172f296bfb5e724047"
    "90a2181014f3b94a4e97d117b438130368cc39dbb2d198065ae3986547926cd2"
    "162f40a29f0c3c8745c0f50fba3852e566d44575c29d39a03f0cda721984b6f4"
    "40591f355e12d439ff150aab7613499dbd49adabc8676eef023b15b65bfc5ca0"
    "6948109f23f350db82123535eb8a7433bdabcb909271a6ecbcb58b936a88cd4e"
    "8f2e6ff5800175f113253d8fa9ca8885c2f552e657dc603f252e1a8e308f76f0"
    "be79e2fb8f5d5fbbe2e30ecadd220723c8c0aea8078cdfcb3868263ff8f09400"
    "54da48781893a7e49ad5aff4af300cd804a6b6279ab3ff3afb64491c85194aab"
    "760d58a606654f9f4400e8b38591356fbf6425aca26dc85244259ff2b19c41b9"
    "f96f3ca9ec1dde434da7d2d392b905ddf3d1f9af93d1af5950bd493f5aa731b4"
    "056df31bd267b6b90a079831aaf579be0a39013137aac6d404f518cfd4684064"
    "7e78bfe706ca4cf5e9c5453e9f7cfd2b8b4c8d169a44e55c88d4a9a7f9474241"
    "e221af44860018ab0856972e194cd934";

static const char server_payload[] =
    "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739"
    "88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94"
    "0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00"
    "020304";

static const char server_packet[] =
    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a"
    "5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3"
    "dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84"
    "022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4"
    "2158407dd074ee";

static const char retry_packet[] =
    "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f"
    "0f2496ba";

#define PACKET_MAX 1300

static size_t
unhex(uint8_t *out, size_t size, const char *hex)
{
	size_t len;

	assert_int_equal(OPENSSL_hexstr2buf_ex(out, size, &len, hex, '\0'), 1);
	return len;
}

static void
assert_hex(const uint8_t *got, const char *hex)
{
	uint8_t want[PACKET_MAX];
	size_t len = unhex(want, sizeof want, hex);

	assert_memory_equal(got, want, len);
}

/* The packet number's last bytes end up in the nonce (RFC 9001, 5.3). */
static void
make_nonce(uint8_t nonce[PROTECT_IV_BYTES], const struct protect_key *k, uint32_t pn)
{
	size_t i;

	memcpy(nonce, protect_key_iv(k), PROTECT_IV_BYTES);
	for (i = 0; i < 4; i++)
		nonce[PROTECT_IV_BYTES - 1 - i] ^= (uint8_t)(pn >> (8 * i));
}

/* Protect ${payload} behind ${header}, whose last ${pn_len} bytes are the packet
 * number, as RFC 9001, 5 says; compare with ${packet}; and undo it. */
static void
check_packet(enum quic_cipher cipher, const uint8_t *secret, size_t secret_len,
	     uint32_t pn, size_t pn_len, const char *header, const uint8_t *payload,
	     size_t payload_len, const char *packet)
{
	uint8_t head[64], out[PACKET_MAX], mask[5], nonce[PROTECT_IV_BYTES];
	size_t head_len = unhex(head, sizeof head, header);
	uint8_t *text = out + head_len;
	struct protect_key *seal = protect_key_new(cipher, secret, secret_len, 1);
	struct protect_key *open = protect_key_new(cipher, secret, secret_len, 0);
	struct protect_header *hp = protect_header_new(cipher, secret, secret_len);
	size_t i;

	assert_non_null(seal);
	assert_non_null(open);
	assert_non_null(hp);
	make_nonce(nonce, seal, pn);
	memcpy(out, head, head_len);
	assert_int_equal(protect_seal(seal, text, payload, payload_len, nonce, head,
				      head_len),
			 0);
	assert_int_equal(protect_header_mask(hp, mask, text + 4 - pn_len), 0);
	out[0] ^= mask[0] & (out[0] & 0x80 ? 0x0f : 0x1f);
	for (i = 0; i < pn_len; i++)
		out[head_len - pn_len + i] ^= mask[1 + i];
	assert_int_equal(strlen(packet) / 2, head_len + payload_len + PROTECT_TAG_BYTES);
	assert_hex(out, packet);

	/* In place. */
	assert_int_equal(protect_open(open, text, text, payload_len + PROTECT_TAG_BYTES,
				      nonce, head, head_len),
			 0);
	assert_memory_equal(text, payload, payload_len);

	protect_key_free(seal);
	protect_key_free(open);
	protect_header_free(hp);
}

static void
initial_secrets(uint8_t client[32], uint8_t server[32])
{
	uint8_t dcid[8];
	size_t len = unhex(dcid, sizeof dcid, DCID);

	assert_int_equal(protect_initial_secrets(dcid, len, client, server), 0);
}

static void
check_keys(enum quic_cipher cipher, const uint8_t *secret, size_t key_len,
	   const char *key, const char *iv, const char *hp)
{
	struct protect_key *k = protect_key_new(cipher, secret, 32, 1);
	uint8_t out[32];

	assert_non_null(k);
	assert_hex(protect_key_iv(k), iv);
	protect_key_free(k);
	assert_int_equal(protect_expand_label(cipher, secret, 32, "quic key", out,
					      key_len),
			 0);
	assert_hex(out, key);
	assert_int_equal(protect_expand_label(cipher, secret, 32, "quic hp", out,
					      key_len),
			 0);
	assert_hex(out, hp);
}

/* A.1 */
static void
test_initial_keys(void **state)
{
	uint8_t client[32], server[32];

	(void)state;
	initial_secrets(client, server);
	assert_hex(client,
		   "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
	check_keys(QUIC_AES_128_GCM, client, 16, "1f369613dd76d5467730efcbe3b1a22d",
		   "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2");
	assert_hex(server,
		   "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b");
	check_keys(QUIC_AES_128_GCM, server, 16, "cf3a5331653c364c88f0f379b6067e37",
		   "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314");
}

/* A.2: the CRYPTO frame and PADDING up to 1162 bytes. */
static void
test_client_initial(void **state)
{
	uint8_t client[32], server[32], payload[1162] = {0};

	(void)state;
	initial_secrets(client, server);
	unhex(payload, sizeof payload, client_payload);
	check_packet(QUIC_AES_128_GCM, client, sizeof client, 2, 4,
		     "c300000001088394c8f03e5157080000449e00000002", payload,
		     sizeof payload, client_packet);
}

/* A.3 */
static void
test_server_initial(void **state)
{
	uint8_t client[32], server[32], payload[PACKET_MAX];
	size_t len = unhex(payload, sizeof payload, server_payload);

	(void)state;
	initial_secrets(client, server);
	check_packet(QUIC_AES_128_GCM, server, sizeof server, 1, 2,
		     "c1000000010008f067a5502a4262b50040750001", payload, len,
		     server_packet);
}

/* A.4: the tag over the pseudo-packet, which is the packet behind the original
 * connection id and without its tag (RFC 9001, 5.8). */
static void
test_retry(void **state)
{
	uint8_t pseudo[128], tag[PROTECT_TAG_BYTES];
	struct protect_key *k = protect_retry_key();
	size_t len;

	(void)state;
	assert_non_null(k);
	pseudo[0] = 8;
	unhex(pseudo + 1, 8, DCID);
	len = 9 + unhex(pseudo + 9, sizeof pseudo - 9, retry_packet);
	assert_int_equal(protect_seal(k, tag, NULL, 0, protect_key_iv(k), pseudo,
				      len - PROTECT_TAG_BYTES),
			 0);
	assert_memory_equal(tag, pseudo + len - PROTECT_TAG_BYTES, PROTECT_TAG_BYTES);
	protect_key_free(k);
}

/* A.5 */
static void
test_chacha_short_header(void **state)
{
	static const uint8_t ping[] = {0x01};
	uint8_t secret[32], next[32];

	(void)state;
	unhex(secret, sizeof secret,
	      "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
	check_keys(QUIC_CHACHA20_POLY1305, secret, 32,
		   "c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8",
		   "e0459b3474bdd0e44a41c144",
		   "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4");
	assert_int_equal(protect_next_secret(QUIC_CHACHA20_POLY1305, secret,
					     sizeof secret, next),
			 0);
	assert_hex(next,
		   "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9");
	check_packet(QUIC_CHACHA20_POLY1305, secret, sizeof secret, 654360564, 3,
		     "4200bff4", ping, sizeof ping,
		     "4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
}

/* No sample covers it, so at least both directions agree, and nothing forged passes. */
static void
test_every_cipher_refuses_forgery(void **state)
{
	static const enum quic_cipher ciphers[] = {QUIC_AES_128_GCM, QUIC_AES_256_GCM,
						   QUIC_CHACHA20_POLY1305};
	static const uint8_t text[] = "text", aad[] = "header";
	uint8_t secret[QUIC_SECRET_MAX], nonce[PROTECT_IV_BYTES] = {7};
	uint8_t sealed[sizeof text + PROTECT_TAG_BYTES], out[sizeof sealed];
	size_t c, i, len;

	(void)state;
	memset(secret, 0x5a, sizeof secret);
	for (c = 0; c < sizeof ciphers / sizeof *ciphers; c++) {
		struct protect_key *seal, *open;

		len = protect_secret_bytes(ciphers[c]);
		seal = protect_key_new(ciphers[c], secret, len, 1);
		open = protect_key_new(ciphers[c], secret, len, 0);
		assert_int_equal(protect_seal(seal, sealed, text, sizeof text, nonce, aad,
					      sizeof aad),
				 0);
		for (i = 0; i < sizeof sealed; i++) {
			sealed[i] ^= 1;
			assert_int_equal(protect_open(open, out, sealed, sizeof sealed,
						      nonce, aad, sizeof aad),
					 -1);
			sealed[i] ^= 1;
		}
		assert_int_equal(protect_open(open, out, sealed, sizeof sealed, nonce,
					      aad, sizeof aad - 1),
				 -1);
		for (i = 0; i < sizeof sealed; i++)
			assert_int_equal(protect_open(open, out, sealed, i, nonce, aad,
						      sizeof aad),
					 -1);
		/* A failure leaves the key fit for use. */
		assert_int_equal(protect_open(open, out, sealed, sizeof sealed, nonce,
					      aad, sizeof aad),
				 0);
		assert_memory_equal(out, text, sizeof text);
		protect_key_free(seal);
		protect_key_free(open);
	}
}

/* A mask depends on its own sample only, whatever was asked before. */
static void
test_header_masks_are_independent(void **state)
{
	static const enum quic_cipher ciphers[] = {QUIC_AES_128_GCM, QUIC_AES_256_GCM,
						   QUIC_CHACHA20_POLY1305};
	uint8_t secret[QUIC_SECRET_MAX] = {1};
	uint8_t a[PROTECT_SAMPLE_BYTES] = {1}, b[PROTECT_SAMPLE_BYTES] = {2};
	uint8_t first[5], other[5], again[5];
	size_t c;

	(void)state;
	for (c = 0; c < sizeof ciphers / sizeof *ciphers; c++) {
		struct protect_header *h =
		    protect_header_new(ciphers[c], secret,
				       protect_secret_bytes(ciphers[c]));

		assert_non_null(h);
		assert_int_equal(protect_header_mask(h, first, a), 0);
		assert_int_equal(protect_header_mask(h, other, b), 0);
		assert_int_equal(protect_header_mask(h, again, a), 0);
		assert_memory_equal(first, again, sizeof first);
		assert_memory_not_equal(first, other, sizeof first);
		protect_header_free(h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_initial_keys),
	    cmocka_unit_test(test_client_initial),
	    cmocka_unit_test(test_server_initial),
	    cmocka_unit_test(test_retry),
	    cmocka_unit_test(test_chacha_short_header),
	    cmocka_unit_test(test_every_cipher_refuses_forgery),
	    cmocka_unit_test(test_header_masks_are_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
