#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "quic/protect.h"

#define KEY_MAX     32
#define AES_BLOCK   16
#define MASK_BYTES  5
#define SHA256_SIZE 32

/* RFC 9001, 5.2. */
static const uint8_t initial_salt[] = {
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
    0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
};

/* RFC 9001, 5.8: the secret that Retry's key and nonce are derived from. */
static const uint8_t retry_secret[SHA256_SIZE] = {
    0xd9, 0xc9, 0x94, 0x3e, 0x61, 0x01, 0xfd, 0x20, 0x00, 0x21, 0x50,
    0x6b, 0xcc, 0x02, 0x81, 0x4c, 0x73, 0x03, 0x0f, 0x25, 0xc7, 0x9d,
    0x71, 0xce, 0x87, 0x6e, 0xca, 0x87, 0x6e, 0x6f, 0xca, 0x8e,
};

struct suite {
	const EVP_CIPHER *(*aead)(void);
	const EVP_CIPHER *(*header)(void);
	const char *hash;
	size_t secret_len;
	size_t key_len; /* of the AEAD and of header protection */
};

static const struct suite suites[] = {
    [QUIC_AES_128_GCM] = {EVP_aes_128_gcm, EVP_aes_128_ecb, "SHA256", 32, 16},
    [QUIC_AES_256_GCM] = {EVP_aes_256_gcm, EVP_aes_256_ecb, "SHA384", 48, 32},
    [QUIC_CHACHA20_POLY1305] = {EVP_chacha20_poly1305, EVP_chacha20, "SHA256", 32, 32},
};

struct protect_key {
	EVP_CIPHER_CTX *ctx;
	OSSL_PARAM tag[2]; /* EVP_CIPHER_CTX_ctrl() would make it anew each time */
	uint8_t iv[PROTECT_IV_BYTES];
};

struct protect_header {
	EVP_CIPHER_CTX *ctx;
	bool chacha;
};

size_t
protect_secret_bytes(enum quic_cipher cipher)
{
	return suites[cipher].secret_len;
}

static int
derive(const char *kdf_name, const OSSL_PARAM *params, uint8_t *out, size_t out_len)
{
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx;
	int rc = -1;

	if ((kdf = EVP_KDF_fetch(NULL, kdf_name, NULL)) == NULL)
		return -1;
	if ((ctx = EVP_KDF_CTX_new(kdf)) != NULL &&
	    EVP_KDF_derive(ctx, out, out_len, params) == 1)
		rc = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

int
protect_expand_label(enum quic_cipher cipher, const uint8_t *secret, size_t secret_len,
		     const char *label, uint8_t *out, size_t out_len)
{
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	/* OSSL_PARAM has no const, and the KDF only reads. */
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
					     (char *)suites[cipher].hash, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret,
					      secret_len),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)label,
					      strlen(label)),
	    OSSL_PARAM_construct_end(),
	};

	return derive(OSSL_KDF_NAME_TLS1_3_KDF, params, out, out_len);
}

int
protect_initial_secrets(const uint8_t *dcid, size_t dcid_len, uint8_t client[32],
			uint8_t server[32])
{
	int mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	uint8_t initial[SHA256_SIZE];
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)dcid, dcid_len),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)initial_salt,
					      sizeof initial_salt),
	    OSSL_PARAM_construct_end(),
	};
	int rc = -1;

	if (derive(OSSL_KDF_NAME_HKDF, params, initial, sizeof initial) == 0 &&
	    protect_expand_label(QUIC_AES_128_GCM, initial, sizeof initial, "client in",
				 client, SHA256_SIZE) == 0 &&
	    protect_expand_label(QUIC_AES_128_GCM, initial, sizeof initial, "server in",
				 server, SHA256_SIZE) == 0)
		rc = 0;
	OPENSSL_cleanse(initial, sizeof initial);
	return rc;
}

int
protect_next_secret(enum quic_cipher cipher, const uint8_t *secret, size_t len,
		    uint8_t *next)
{
	return protect_expand_label(cipher, secret, len, "quic ku", next, len);
}

static struct protect_key *
key_new(enum quic_cipher cipher, const uint8_t *secret, size_t len, int seal,
	const char *key_label, const char *iv_label)
{
	const struct suite *suite = &suites[cipher];
	struct protect_key *k;
	uint8_t key[KEY_MAX];

	if ((k = calloc(1, sizeof *k)) == NULL)
		return NULL;
	if (protect_expand_label(cipher, secret, len, key_label, key, suite->key_len) !=
		0 ||
	    protect_expand_label(cipher, secret, len, iv_label, k->iv, sizeof k->iv) !=
		0 ||
	    (k->ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_CipherInit_ex(k->ctx, suite->aead(), NULL, key, NULL, seal) != 1) {
		protect_key_free(k);
		k = NULL;
	}
	if (k != NULL) {
		k->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
							      NULL, PROTECT_TAG_BYTES);
		k->tag[1] = OSSL_PARAM_construct_end();
	}
	OPENSSL_cleanse(key, sizeof key);
	return k;
}

struct protect_key *
protect_key_new(enum quic_cipher cipher, const uint8_t *secret, size_t len, int seal)
{
	return key_new(cipher, secret, len, seal, "quic key", "quic iv");
}

struct protect_key *
protect_record_key(enum quic_cipher cipher, const uint8_t *secret, size_t len)
{
	return key_new(cipher, secret, len, 1, "key", "iv");
}

struct protect_key *
protect_retry_key(void)
{
	return protect_key_new(QUIC_AES_128_GCM, retry_secret, sizeof retry_secret, 1);
}

void
protect_key_free(struct protect_key *k)
{
	if (k == NULL)
		return;
	EVP_CIPHER_CTX_free(k->ctx);
	OPENSSL_cleanse(k, sizeof *k);
	free(k);
}

const uint8_t *
protect_key_iv(const struct protect_key *k)
{
	return k->iv;
}

/* The part that sealing and opening share: the nonce, what is only authenticated,
 * and the text. */
static int
crypt(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, size_t len,
      const uint8_t *nonce, const uint8_t *aad, size_t aad_len)
{
	int n;

	if (len > INT_MAX - PROTECT_TAG_BYTES || aad_len > INT_MAX)
		return -1;
	if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) != 1)
		return -1;
	if (aad_len > 0 && EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) != 1)
		return -1;
	if (len > 0 && EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1)
		return -1;
	return 0;
}

int
protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
	     const uint8_t *nonce, const uint8_t *aad, size_t aad_len)
{
	int n;

	if (crypt(k->ctx, out, in, len, nonce, aad, aad_len) != 0)
		return -1;
	if (EVP_CipherFinal_ex(k->ctx, out + len, &n) != 1)
		return -1;
	k->tag[0].data = out + len;
	return EVP_CIPHER_CTX_get_params(k->ctx, k->tag) == 1 ? 0 : -1;
}

int
protect_open(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
	     const uint8_t *nonce, const uint8_t *aad, size_t aad_len)
{
	uint8_t tag[PROTECT_TAG_BYTES];
	int n;

	if (len < sizeof tag)
		return -1;
	len -= sizeof tag;
	memcpy(tag, in + len, sizeof tag);
	if (crypt(k->ctx, out, in, len, nonce, aad, aad_len) != 0)
		return -1;
	k->tag[0].data = tag;
	if (EVP_CIPHER_CTX_set_params(k->ctx, k->tag) != 1)
		return -1;
	if (EVP_CipherFinal_ex(k->ctx, out + len, &n) != 1)
		return -1;
	return 0;
}

struct protect_header *
protect_header_new(enum quic_cipher cipher, const uint8_t *secret, size_t len)
{
	const struct suite *suite = &suites[cipher];
	struct protect_header *h;
	uint8_t key[KEY_MAX];

	if ((h = calloc(1, sizeof *h)) == NULL)
		return NULL;
	h->chacha = cipher == QUIC_CHACHA20_POLY1305;
	if (protect_expand_label(cipher, secret, len, "quic hp", key, suite->key_len) !=
		0 ||
	    (h->ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_EncryptInit_ex(h->ctx, suite->header(), NULL, key, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(h->ctx, 0) != 1) {
		protect_header_free(h);
		h = NULL;
	}
	OPENSSL_cleanse(key, sizeof key);
	return h;
}

void
protect_header_free(struct protect_header *h)
{
	if (h == NULL)
		return;
	EVP_CIPHER_CTX_free(h->ctx);
	free(h);
}

int
protect_header_mask(struct protect_header *h, uint8_t mask[5],
		    const uint8_t sample[PROTECT_SAMPLE_BYTES])
{
	static const uint8_t zeros[MASK_BYTES];
	uint8_t block[AES_BLOCK];
	int n;

	/* RFC 9001, 5.4.4: the sample is counter and nonce, which is the layout of
	 * OpenSSL's 16-byte iv for ChaCha20. */
	if (h->chacha)
		return EVP_EncryptInit_ex(h->ctx, NULL, NULL, NULL, sample) == 1 &&
			       EVP_EncryptUpdate(h->ctx, mask, &n, zeros, MASK_BYTES) == 1
			   ? 0
			   : -1;

	/* RFC 9001, 5.4.3. */
	if (EVP_EncryptUpdate(h->ctx, block, &n, sample, sizeof block) != 1)
		return -1;
	memcpy(mask, block, MASK_BYTES);
	return 0;
}
