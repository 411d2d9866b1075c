/* RFC 9180, Appendix A.3.3: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode
 * auth; and what must not open. */
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

static const char info_hex[] = "4f6465206f6e2061204772656369616e2055726e";
static const char pk_e_hex[] =
    "042224f3ea800f7ec55c03f29fc9865f6ee27004f818fcbdc6dc68932c1e52"
    "e15b79e264a98f2c535ef06745f3d308624414153b22c7332bc1e691cb4af4d53454";
static const char sk_e_hex[] =
    "6b8de0873aed0c1b2d09b8c7ed54cbf24fdf1dfc7a47fa501f918810642d7b91";
static const char pk_r_hex[] =
    "04423e363e1cd54ce7b7573110ac121399acbc9ed815fae03b72ffbd4c18b0"
    "1836835c5a09513f28fc971b7266cfde2e96afe84bb0f266920e82c4f53b36e1a78d";
static const char sk_r_hex[] =
    "d929ab4be2e59f6954d6bedd93e638f02d4046cef21115b00cdda2acb2a4440e";
static const char pk_s_hex[] =
    "04a817a0902bf28e036d66add5d544cc3a0457eab150f104285df1e293b5c1"
    "0eef8651213e43d9cd9086c80b309df22cf37609f58c1127f7607e85f210b2804f73";
static const char sk_s_hex[] =
    "1120ac99fb1fccc1e8230502d245719d1b217fe20505c7648795139d177f0de9";
static const char pt_hex[] = "4265617574792069732074727574682c20747275746820626561757479";
static const char aad_hex[] = "436f756e742d30";
static const char ct_hex[] =
    "82ffc8c44760db691a07c5627e5fc2c08e7a86979ee79b494a17cc3405446ac2"
    "bdb8f265db4a099ed3289ffe19";

struct bytes {
	uint8_t p[160];
	size_t len;
};

struct vector {
	EVP_PKEY *ephemeral, *sender, *recipient;
	struct bytes info, aad, pt, ct, enc;
	struct hpke_binding b;
};

static void
unhex(struct bytes *b, const char *hex)
{
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
setup(void **state)
{
	static struct vector v;

	memset(&v, 0, sizeof v);
	v.ephemeral = key_pair(sk_e_hex, pk_e_hex);
	v.sender = key_pair(sk_s_hex, pk_s_hex);
	v.recipient = key_pair(sk_r_hex, pk_r_hex);
	unhex(&v.info, info_hex);
	unhex(&v.aad, aad_hex);
	unhex(&v.pt, pt_hex);
	unhex(&v.ct, ct_hex);
	unhex(&v.enc, pk_e_hex);
	v.b = (struct hpke_binding){v.info.p, v.info.len, v.aad.p, v.aad.len};
	*state = &v;
	return 0;
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
	struct bytes *part[] = {&v->info, &v->aad, &v->ct, &v->enc};

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

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_vector_seals),     TEST(test_vector_opens),
	    TEST(test_every_bit_counts), TEST(test_wrong_keys),
	    TEST(test_other_curve),      TEST(test_invalid_enc),
	    TEST(test_truncated),        TEST(test_fresh_key_each_time),
	    TEST(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
