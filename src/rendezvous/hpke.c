#include <limits.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "rendezvous/hpke_internal.h"

#define MODE_AUTH     0x02
#define MODE_AUTH_PSK 0x03

/* RFC 9180, 7: Nh, Nsecret, Ndh, Nk and Nn of this suite. */
#define HASH_BYTES   32
#define SECRET_BYTES 32
#define DH_BYTES     32
#define KEY_BYTES    16
#define NONCE_BYTES  12

#define POINT_BYTES HPKE_ENC_BYTES
#define COORD_BYTES 32

/* "HPKE-v1", a suite id, a label, the longest value and an output length. */
#define LABELED_MAX (7 + 10 + 19 + HPKE_INFO_MAX + 2)

/* RFC 9180, 4.1 and 5.1: "KEM" or "HPKE" and the numbers of the algorithms. */
struct suite {
	const char *id;
	size_t len;
};

static const struct suite kem_suite = {"KEM\x00\x10", 5};
static const struct suite hpke_suite = {"HPKE\x00\x10\x00\x01\x00\x01", 10};

/* HKDF-SHA256 (RFC 5869), one half of it: ${mode} is EVP_KDF_HKDF_MODE_EXTRACT_ONLY with
 * ${extra} as salt, or EVP_KDF_HKDF_MODE_EXPAND_ONLY with ${extra} as info. */
static int
hkdf(int mode, const uint8_t *key, size_t key_len, const uint8_t *extra, size_t extra_len,
     uint8_t *out, size_t out_len)
{
	const char *name = mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT
								  : OSSL_KDF_PARAM_INFO;
	OSSL_PARAM params[5], *p = params;
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx = NULL;
	int r = -1;

	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY,
						 (void *)(uintptr_t)key, key_len);
	/* No salt is the same as an empty one, which OpenSSL would not take. */
	if (extra_len > 0)
		*p++ = OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)extra,
							 extra_len);
	*p = OSSL_PARAM_construct_end();

	kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	if (kdf != NULL)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx != NULL && EVP_KDF_derive(ctx, out, out_len, params) > 0)
		r = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return r;
}

/* RFC 9180, 4. */
static int
labeled_extract(const struct suite *suite, const uint8_t *salt, size_t salt_len,
		const char *label, const uint8_t *ikm, size_t ikm_len,
		uint8_t prk[HASH_BYTES])
{
	uint8_t labeled[LABELED_MAX];
	struct writer w;
	int r = -1;

	writer_init(&w, labeled, sizeof labeled);
	write_bytes(&w, "HPKE-v1", 7);
	write_bytes(&w, suite->id, suite->len);
	write_bytes(&w, label, strlen(label));
	write_bytes(&w, ikm, ikm_len);
	if (w.ok)
		r = hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, labeled, w.len, salt, salt_len,
			 prk, HASH_BYTES);
	OPENSSL_cleanse(labeled, sizeof labeled);
	return r;
}

/* RFC 9180, 4. */
static int
labeled_expand(const struct suite *suite, const uint8_t prk[HASH_BYTES],
	       const char *label, const uint8_t *info, size_t info_len, uint8_t *out,
	       size_t out_len)
{
	uint8_t labeled[LABELED_MAX];
	struct writer w;

	writer_init(&w, labeled, sizeof labeled);
	write_u16(&w, (uint16_t)out_len);
	write_bytes(&w, "HPKE-v1", 7);
	write_bytes(&w, suite->id, suite->len);
	write_bytes(&w, label, strlen(label));
	write_bytes(&w, info, info_len);
	if (!w.ok)
		return -1;
	return hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, HASH_BYTES, labeled, w.len, out,
		    out_len);
}

/* From the coordinates: OpenSSL's own encoding of a key follows the form, compressed
 * or not, in which the key once came. */
static int
point_serialize(const EVP_PKEY *key, uint8_t out[POINT_BYTES])
{
	BIGNUM *x = NULL, *y = NULL;
	int r = -1;

	out[0] = POINT_CONVERSION_UNCOMPRESSED;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
	    BN_bn2binpad(x, out + 1, COORD_BYTES) == COORD_BYTES &&
	    BN_bn2binpad(y, out + 1 + COORD_BYTES, COORD_BYTES) == COORD_BYTES)
		r = 0;
	BN_free(x);
	BN_free(y);
	return r;
}

/* OpenSSL refuses points that are not on the curve, but takes the hybrid form too. */
static EVP_PKEY *
point_deserialize(const uint8_t in[POINT_BYTES])
{
	OSSL_PARAM params[3];
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	if (in[0] != POINT_CONVERSION_UNCOMPRESSED)
		return NULL;
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
						      (void *)(uintptr_t)in, POINT_BYTES);
	params[2] = OSSL_PARAM_construct_end();
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* RFC 9180, 7.1.4: OpenSSL validates the peer's point when it is set, and the result
 * cannot be the point at infinity. */
static int
dh(EVP_PKEY *own, EVP_PKEY *peer, uint8_t out[DH_BYTES])
{
	size_t len = DH_BYTES;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	int r = -1;

	if (ctx != NULL && EVP_PKEY_derive_init(ctx) > 0 &&
	    EVP_PKEY_derive_set_peer(ctx, peer) > 0 &&
	    EVP_PKEY_derive(ctx, out, &len) > 0 && len == DH_BYTES)
		r = 0;
	EVP_PKEY_CTX_free(ctx);
	return r;
}

/* ExtractAndExpand() of RFC 9180, 4.1. */
static int
kem_secret(const uint8_t dh_pair[2 * DH_BYTES], const uint8_t enc[HPKE_ENC_BYTES],
	   const EVP_PKEY *recipient, const EVP_PKEY *sender,
	   uint8_t secret[SECRET_BYTES])
{
	uint8_t context[3 * POINT_BYTES];
	uint8_t prk[HASH_BYTES];
	int r = -1;

	memcpy(context, enc, POINT_BYTES);
	if (point_serialize(recipient, context + POINT_BYTES) == 0 &&
	    point_serialize(sender, context + 2 * POINT_BYTES) == 0 &&
	    labeled_extract(&kem_suite, NULL, 0, "eae_prk", dh_pair, 2 * DH_BYTES, prk) ==
		0 &&
	    labeled_expand(&kem_suite, prk, "shared_secret", context, sizeof context,
			   secret, SECRET_BYTES) == 0)
		r = 0;
	OPENSSL_cleanse(prk, sizeof prk);
	return r;
}

/* AuthEncap() of RFC 9180, 4.1. */
static int
kem_encap(EVP_PKEY *ephemeral, EVP_PKEY *sender, EVP_PKEY *recipient,
	  uint8_t enc[HPKE_ENC_BYTES], uint8_t secret[SECRET_BYTES])
{
	uint8_t dh_pair[2 * DH_BYTES];
	int r = -1;

	if (point_serialize(ephemeral, enc) == 0 &&
	    dh(ephemeral, recipient, dh_pair) == 0 &&
	    dh(sender, recipient, dh_pair + DH_BYTES) == 0 &&
	    kem_secret(dh_pair, enc, recipient, sender, secret) == 0)
		r = 0;
	OPENSSL_cleanse(dh_pair, sizeof dh_pair);
	return r;
}

/* AuthDecap() of RFC 9180, 4.1. */
static int
kem_decap(const uint8_t enc[HPKE_ENC_BYTES], EVP_PKEY *sender, EVP_PKEY *recipient,
	  uint8_t secret[SECRET_BYTES])
{
	uint8_t dh_pair[2 * DH_BYTES];
	EVP_PKEY *ephemeral = point_deserialize(enc);
	int r = -1;

	if (ephemeral != NULL && dh(recipient, ephemeral, dh_pair) == 0 &&
	    dh(recipient, sender, dh_pair + DH_BYTES) == 0 &&
	    kem_secret(dh_pair, enc, recipient, sender, secret) == 0)
		r = 0;
	OPENSSL_cleanse(dh_pair, sizeof dh_pair);
	EVP_PKEY_free(ephemeral);
	return r;
}

/* RFC 9180, 5.1: VerifyPSKInputs(). Without the one, the other is empty. */
static int
psk_check(const struct hpke_binding *b)
{
	return (b->psk_len > 0) == (b->psk_id_len > 0) && b->psk_len <= HPKE_PSK_MAX &&
		       b->psk_id_len <= HPKE_PSK_MAX
		   ? 0
		   : -1;
}

/* RFC 9180, 5.1. */
static int
key_schedule(const uint8_t secret[SECRET_BYTES], const struct hpke_binding *b,
	     uint8_t key[KEY_BYTES], uint8_t nonce[NONCE_BYTES])
{
	uint8_t context[1 + 2 * HASH_BYTES];
	uint8_t prk[HASH_BYTES];
	int r = -1;

	context[0] = b->psk_len > 0 ? MODE_AUTH_PSK : MODE_AUTH;
	if (b->info_len <= HPKE_INFO_MAX && psk_check(b) == 0 &&
	    labeled_extract(&hpke_suite, NULL, 0, "psk_id_hash", b->psk_id, b->psk_id_len,
			    context + 1) == 0 &&
	    labeled_extract(&hpke_suite, NULL, 0, "info_hash", b->info, b->info_len,
			    context + 1 + HASH_BYTES) == 0 &&
	    labeled_extract(&hpke_suite, secret, SECRET_BYTES, "secret", b->psk,
			    b->psk_len, prk) == 0 &&
	    labeled_expand(&hpke_suite, prk, "key", context, sizeof context, key,
			   KEY_BYTES) == 0 &&
	    labeled_expand(&hpke_suite, prk, "base_nonce", context, sizeof context, nonce,
			   NONCE_BYTES) == 0)
		r = 0;
	OPENSSL_cleanse(prk, sizeof prk);
	return r;
}

/* The one message of a context has sequence number 0: its nonce is the base nonce. */
static int
aead_seal(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
	  const struct hpke_binding *b, const uint8_t *pt, size_t len, uint8_t *ct)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, r = -1;

	if (ctx != NULL && len <= INT_MAX && b->aad_len <= INT_MAX &&
	    EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) == 1 &&
	    EVP_EncryptUpdate(ctx, NULL, &n, b->aad, (int)b->aad_len) == 1 &&
	    EVP_EncryptUpdate(ctx, ct, &n, pt, (int)len) == 1 &&
	    EVP_EncryptFinal_ex(ctx, ct + len, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HPKE_TAG_BYTES, ct + len) ==
		1)
		r = 0;
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

static int
aead_open(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
	  const struct hpke_binding *b, const uint8_t *ct, size_t len, uint8_t *pt)
{
	uint8_t tag[HPKE_TAG_BYTES];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, r = -1;

	memcpy(tag, ct + len, sizeof tag);
	if (ctx != NULL && len <= INT_MAX && b->aad_len <= INT_MAX &&
	    EVP_DecryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, b->aad, (int)b->aad_len) == 1 &&
	    EVP_DecryptUpdate(ctx, pt, &n, ct, (int)len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
	    EVP_DecryptFinal_ex(ctx, pt + len, &n) == 1)
		r = 0;
	else
		OPENSSL_cleanse(pt, len);
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

int
hpke_seal_ephemeral(EVP_PKEY *ephemeral, EVP_PKEY *sender, EVP_PKEY *recipient,
		    const struct hpke_binding *b, const uint8_t *pt, size_t len,
		    uint8_t enc[HPKE_ENC_BYTES], uint8_t *ct)
{
	uint8_t secret[SECRET_BYTES], key[KEY_BYTES], nonce[NONCE_BYTES];
	int r = -1;

	if (kem_encap(ephemeral, sender, recipient, enc, secret) == 0 &&
	    key_schedule(secret, b, key, nonce) == 0 &&
	    aead_seal(key, nonce, b, pt, len, ct) == 0)
		r = 0;
	OPENSSL_cleanse(secret, sizeof secret);
	OPENSSL_cleanse(key, sizeof key);
	return r;
}

int
hpke_seal(EVP_PKEY *sender, EVP_PKEY *recipient, const struct hpke_binding *b,
	  const uint8_t *pt, size_t len, uint8_t enc[HPKE_ENC_BYTES], uint8_t *ct)
{
	EVP_PKEY *ephemeral = EVP_EC_gen("P-256");
	int r = -1;

	if (ephemeral != NULL)
		r = hpke_seal_ephemeral(ephemeral, sender, recipient, b, pt, len, enc,
					ct);
	EVP_PKEY_free(ephemeral);
	return r;
}

int
hpke_open(EVP_PKEY *sender, EVP_PKEY *recipient, const struct hpke_binding *b,
	  const uint8_t enc[HPKE_ENC_BYTES], const uint8_t *ct, size_t len, uint8_t *pt)
{
	uint8_t secret[SECRET_BYTES], key[KEY_BYTES], nonce[NONCE_BYTES];
	int r = -1;

	if (len < HPKE_TAG_BYTES)
		return -1;
	if (kem_decap(enc, sender, recipient, secret) == 0 &&
	    key_schedule(secret, b, key, nonce) == 0 &&
	    aead_open(key, nonce, b, ct, len - HPKE_TAG_BYTES, pt) == 0)
		r = 0;
	OPENSSL_cleanse(secret, sizeof secret);
	OPENSSL_cleanse(key, sizeof key);
	return r;
}
