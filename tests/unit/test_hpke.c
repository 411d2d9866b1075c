/* RFC 9180, Appendices A.3.3 and A.3.4: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256,
 * AES-128-GCM, modes auth and auth_psk; and what must not open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "rendezvous/hpke_internal.h"

#define TEXT_MAX 64

/* What the two vectors share. */
static const char info_hex[] = "4f6465206f6e2061204772656369616e2055726e";
static const char pt_hex[] = "4265617574792069732074727574682c20747275746820626561757479";
static const char aad_hex[] = "436f756e742d30";

struct vector_hex {
	const char *pk_e, *sk_e, *pk_r, *sk_r, *pk_s, *sk_s;
	const char *psk, *psk_id;
	const char *ct;
};

/* A.3.3 */
static const struct vector_hex auth_hex = {
    .pk_e = "042224f3ea800f7ec55c03f29fc9865f6ee27004f818fcbdc6dc68932c1e52"
	    "e15b79e264a98f2c535ef06745f3d308624414153b22c7332bc1e691cb4af4d53454",
    .sk_e = "6b8de0873aed0c1b2d09b8c7ed54cbf24fdf1dfc7a47fa501f918810642d7b91",
    .pk_r = "04423e363e1cd54ce7b7573110ac121399acbc9ed815fae03b72ffbd4c18b0"
	    "1836835c5a09513f28fc971b7266cfde2e96afe84bb0f266920e82c4f53b36e1a78d",
    .sk_r = "d929ab4be2e59f6954d6bedd93e638f02d4046cef21115b00cdda2acb2a4440e",
    .pk_s = "04a817a0902bf28e036d66add5d544cc3a0457eab150f104285df1e293b5c1"
	    "0eef8651213e43d9cd9086c80b309df22cf37609f58c1127f7607e85f210b2804f73",
    .sk_s = "1120ac99fb1fccc1e8230502d245719d1b217fe20505c7648795139d177f0de9",
    .psk = "",
    .psk_id = "",
    .ct = "82ffc8c44760db691a07c5627e5fc2c08e7a86979ee79b494a17cc3405446ac2"
	  "bdb8f265db4a099ed3289ffe19",
};

/* A.3.4 */
static const struct vector_hex auth_psk_hex = {
    .pk_e = "046a1de3fc26a3d43f4e4ba97dbe24f7e99181136129c48fbe872d4743e2b1"
	    "31357ed4f29a7b317dc22509c7b00991ae990bf65f8b236700c82ab7c11a84511401",
    .sk_e = "36f771e411cf9cf72f0701ef2b991ce9743645b472e835fe234fb4d6eb2ff5a0",
    .pk_r = "04d824d7e897897c172ac8a9e862e4bd820133b8d090a9b188b8233a64dfbc"
	    "5f725aa0aa52c8462ab7c9188f1c4872f0c99087a867e8a773a13df48a627058e1b3",
    .sk_r = "bdf4e2e587afdf0930644a0c45053889ebcadeca662d7c755a353d5b4e2a8394",
    .pk_s = "049f158c750e55d8d5ad13ede66cf6e79801634b7acadcad72044eac2ae1d0"
	    "480069133d6488bf73863fa988c4ba8bde1c2e948b761274802b4d8012af4f13af9e",
    .sk_s = "b0ed8721db6185435898650f7a677affce925aba7975a582653c4cb13c72d240",
    .psk = "0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82",
    .psk_id = "456e6e796e20447572696e206172616e204d6f726961",
    .ct = "b9f36d58d9eb101629a3e5a7b63d2ee4af42b3644209ab37e0a272d44365407d"
	  "b8e655c72e4fa46f4ff81b9246",
};

struct bytes {
	uint8_t p[160];
	size_t len;
};

struct vector {
	EVP_PKEY *ephemeral, *sender, *recipient;
	struct bytes info, aad, pt, ct, enc, psk, psk_id;
	struct hpke_binding b;
};

static void
unhex(struct bytes *b, const char *hex)
{
	b->len = 0;
	if (hex[0] == '\0')
		return;
	assert_int_equal(OPENSSL_hexstr2buf_ex(b->p, sizeof b->p, &b->len, hex, '\0'), 1);
}

static EVP_PKEY *
key_pair(const char *private_hex, const char *public_hex)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params;
	struct bytes public;
	BIGNUM *d = NULL;

	unhex(&public, public_hex);
	assert_true(BN_hex2bn(&d, private_hex) > 0);
	OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
	OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, public.p,
					 public.len);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d);
	params = OSSL_PARAM_BLD_to_param(bld);
	assert_non_null(params);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(d);
	return key;
}

static int
setup_from(void **state, const struct vector_hex *hex)
{
	static struct vector v;

	memset(&v, 0, sizeof v);
	v.ephemeral = key_pair(hex->sk_e, hex->pk_e);
	v.sender = key_pair(hex->sk_s, hex->pk_s);
	v.recipient = key_pair(hex->sk_r, hex->pk_r);
	unhex(&v.info, info_hex);
	unhex(&v.aad, aad_hex);
	unhex(&v.pt, pt_hex);
	unhex(&v.ct, hex->ct);
	unhex(&v.enc, hex->pk_e);
	unhex(&v.psk, hex->psk);
	unhex(&v.psk_id, hex->psk_id);
	v.b = (struct hpke_binding){
	    .info = v.info.p,
	    .info_len = v.info.len,
	    .aad = v.aad.p,
	    .aad_len = v.aad.len,
	    .psk = v.psk.p,
	    .psk_len = v.psk.len,
	    .psk_id = v.psk_id.p,
	    .psk_id_len = v.psk_id.len,
	};
	*state = &v;
	return 0;
}

static int
setup(void **state)
{
	return setup_from(state, &auth_hex);
}

static int
setup_psk(void **state)
{
	return setup_from(state, &auth_psk_hex);
}

static int
teardown(void **state)
{
	struct vector *v = *state;

	EVP_PKEY_free(v->ephemeral);
	EVP_PKEY_free(v->sender);
	EVP_PKEY_free(v->recipient);
	ERR_clear_error();
	return 0;
}

static void
test_vector_seals(void **state)
{
	struct vector *v = *state;
	uint8_t enc[HPKE_ENC_BYTES], ct[TEXT_MAX];

	assert_int_equal(hpke_seal_ephemeral(v->ephemeral, v->sender, v->recipient, &v->b,
					     v->pt.p, v->pt.len, enc, ct),
			 0);
	assert_memory_equal(enc, v->enc.p, sizeof enc);
	assert_int_equal(v->ct.len, v->pt.len + HPKE_TAG_BYTES);
	assert_memory_equal(ct, v->ct.p, v->ct.len);
}

static void
test_vector_opens(void **state)
{
	struct vector *v = *state;
	uint8_t pt[TEXT_MAX];

	assert_int_equal(hpke_open(v->sender, v->recipient, &v->b, v->enc.p, v->ct.p,
				   v->ct.len, pt),
			 0);
	assert_memory_equal(pt, v->pt.p, v->pt.len);
	/* In place. */
	assert_int_equal(hpke_open(v->sender, v->recipient, &v->b, v->enc.p, v->ct.p,
				   v->ct.len, v->ct.p),
			 0);
	assert_memory_equal(v->ct.p, v->pt.p, v->pt.len);
}

static int
opens(const struct vector *v)
{
	uint8_t pt[TEXT_MAX];

	return hpke_open(v->sender, v->recipient, &v->b, v->enc.p, v->ct.p, v->ct.len,
			 pt);
}

static void
test_every_bit_counts(void **state)
{
	struct vector *v = *state;
	struct bytes *part[] = {&v->info, &v->aad,    &v->ct,
				&v->enc,  &v->psk, &v->psk_id};

	assert_int_equal(opens(v), 0);
	for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
		for (size_t j = 0; j < part[i]->len; j++) {
			part[i]->p[j] ^= 0x10;
			assert_int_equal(opens(v), -1);
			part[i]->p[j] ^= 0x10;
		}
	}
	assert_int_equal(opens(v), 0);
}

static void
test_wrong_keys(void **state)
{
	struct vector *v = *state;
	EVP_PKEY *other = EVP_EC_gen("P-256");
	uint8_t pt[TEXT_MAX] = {1};
	const uint8_t zero[TEXT_MAX] = {0};

	assert_int_equal(hpke_open(other, v->recipient, &v->b, v->enc.p, v->ct.p,
				   v->ct.len, pt),
			 -1);
	assert_memory_equal(pt, zero, v->pt.len);
	assert_int_equal(hpke_open(v->sender, other, &v->b, v->enc.p, v->ct.p, v->ct.len,
				   pt),
			 -1);
	EVP_PKEY_free(other);
}

static void
test_other_curve(void **state)
{
	struct vector *v = *state;
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	uint8_t enc[HPKE_ENC_BYTES], ct[TEXT_MAX];

	assert_int_equal(hpke_seal(v->sender, p384, &v->b, v->pt.p, v->pt.len, enc, ct),
			 -1);
	assert_int_equal(hpke_seal(p384, v->recipient, &v->b, v->pt.p, v->pt.len, enc,
				   ct),
			 -1);
	assert_int_equal(hpke_seal(p384, p384, &v->b, v->pt.p, v->pt.len, enc, ct), -1);
	EVP_PKEY_free(p384);
}

/* SEC 1's other encodings of a point, infinity, and points off the curve. */
static void
test_invalid_enc(void **state)
{
	struct vector *v = *state;
	const uint8_t y_odd = v->enc.p[HPKE_ENC_BYTES - 1] & 1;

	v->enc.p[0] = (uint8_t)(6 + y_odd); /* hybrid form of the same point */
	assert_int_equal(opens(v), -1);
	v->enc.p[0] = (uint8_t)(2 + y_odd);
	assert_int_equal(opens(v), -1);
	v->enc.p[0] = 0;
	assert_int_equal(opens(v), -1);
	v->enc.p[0] = 4;
	assert_int_equal(opens(v), 0);
	memset(v->enc.p, 0, HPKE_ENC_BYTES);
	assert_int_equal(opens(v), -1);
	memset(v->enc.p + 1, 0xff, HPKE_ENC_BYTES - 1);
	v->enc.p[0] = 4;
	assert_int_equal(opens(v), -1);
}

static void
test_truncated(void **state)
{
	struct vector *v = *state;
	const size_t full = v->ct.len;

	for (v->ct.len = 0; v->ct.len < full; v->ct.len++)
		assert_int_equal(opens(v), -1);
}

static void
test_fresh_key_each_time(void **state)
{
	struct vector *v = *state;
	uint8_t enc[2][HPKE_ENC_BYTES], ct[2][TEXT_MAX], pt[TEXT_MAX];

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, v->pt.p,
					   v->pt.len, enc[i], ct[i]),
				 0);
		assert_int_equal(hpke_open(v->sender, v->recipient, &v->b, enc[i], ct[i],
					   v->ct.len, pt),
				 0);
		assert_memory_equal(pt, v->pt.p, v->pt.len);
	}
	assert_memory_not_equal(enc[0], enc[1], HPKE_ENC_BYTES);
	assert_memory_not_equal(ct[0], ct[1], v->ct.len);
}

static void
test_bounds(void **state)
{
	struct vector *v = *state;
	uint8_t enc[HPKE_ENC_BYTES], ct[TEXT_MAX], info[HPKE_INFO_MAX + 1] = {0};

	v->b.info = info;
	v->b.info_len = HPKE_INFO_MAX;
	assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, NULL, 0, enc, ct), 0);
	assert_int_equal(hpke_open(v->sender, v->recipient, &v->b, enc, ct,
				   HPKE_TAG_BYTES, ct),
			 0);
	v->b.info_len++;
	assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, NULL, 0, enc, ct), -1);
}

/* What was sealed in one mode does not open in the other, and a psk is nothing without
 * its id. */
static void
test_psk_or_not(void **state)
{
	struct vector *v = *state;
	uint8_t enc[HPKE_ENC_BYTES], ct[TEXT_MAX];

	assert_int_equal(opens(v), 0);
	v->b.psk_id_len = 0;
	assert_int_equal(opens(v), -1);
	v->b.psk_len = 0;
	assert_int_equal(opens(v), -1);
	assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, NULL, 0, enc, ct), 0);
	v->b.psk_id_len = v->psk_id.len;
	assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, NULL, 0, enc, ct), -1);
	v->b.psk_len = HPKE_PSK_MAX + 1;
	assert_int_equal(hpke_seal(v->sender, v->recipient, &v->b, NULL, 0, enc, ct), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PSK(f)  cmocka_unit_test_setup_teardown(f, setup_psk, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_vector_seals),     TEST(test_vector_opens),
	    TEST(test_every_bit_counts), TEST(test_wrong_keys),
	    TEST(test_other_curve),      TEST(test_invalid_enc),
	    TEST(test_truncated),        TEST(test_fresh_key_each_time),
	    TEST(test_bounds),           PSK(test_vector_seals),
	    PSK(test_vector_opens),      PSK(test_every_bit_counts),
	    PSK(test_wrong_keys),        PSK(test_psk_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
