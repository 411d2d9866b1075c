#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "session/pubkey.h"

#define TEXT_LEN (PUBKEY_TEXT_BYTES - 1)

static bool
is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

int
pubkey_parse(struct pubkey *key, const char *text, struct err *err)
{
	uint8_t bytes[PUBKEY_BYTES];

	/* EVP_DecodeBlock() would pass over white space and accept padding. */
	for (size_t i = 0; i < TEXT_LEN; i++) {
		if (!is_base64(text[i]))
			goto form;
	}
	if (text[TEXT_LEN] != '\0')
		goto form;
	EVP_DecodeBlock(bytes, (const uint8_t *)text, TEXT_LEN);
	if (pubkey_from_bytes(key, bytes) != 0)
		return err_set(err, "this is no point on the curve P-256: copy the key "
				    "again, as `mpcproxy id` prints it");
	return 0;

form:
	return err_set(err,
		       "a public key is %d characters of base64, as `mpcproxy id` prints "
		       "them",
		       TEXT_LEN);
}

int
pubkey_from_bytes(struct pubkey *key, const uint8_t bytes[PUBKEY_BYTES])
{
	struct pubkey taken;
	EVP_PKEY *evp;

	memcpy(taken.point, bytes, PUBKEY_BYTES);
	evp = pubkey_to_evp(&taken);
	if (evp == NULL)
		return -1;
	EVP_PKEY_free(evp);
	*key = taken;
	return 0;
}

char *
pubkey_format(const struct pubkey *key, char out[PUBKEY_TEXT_BYTES])
{
	EVP_EncodeBlock((uint8_t *)out, key->point, PUBKEY_BYTES);
	return out;
}

/* Multicodec's p256-pub, 0x1200, as an unsigned varint. */
static const uint8_t did_prefix[] = {0x80, 0x24};

#define DID_BYTES (sizeof did_prefix + PUBKEY_BYTES)

char *
pubkey_format_did(const struct pubkey *key, char out[PUBKEY_DID_BYTES])
{
	static const char alphabet[] =
	    "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	static const char scheme[] = "did:key:z"; /* z: multibase's base58btc */
	uint8_t number[DID_BYTES];
	char digits[PUBKEY_DID_BYTES];
	size_t n = 0;
	char *p = out;

	memcpy(number, did_prefix, sizeof did_prefix);
	memcpy(number + sizeof did_prefix, key->point, PUBKEY_BYTES);
	/* Divide by 58 until nothing is left: 35 bytes that begin with 0x80 are
	 * 48 digits, none of them a leading zero. */
	for (size_t start = 0; start < DID_BYTES;) {
		unsigned rest = 0;

		for (size_t i = start; i < DID_BYTES; i++) {
			unsigned v = rest << 8 | number[i];

			number[i] = (uint8_t)(v / 58);
			rest = v % 58;
		}
		digits[n++] = alphabet[rest];
		while (start < DID_BYTES && number[start] == 0)
			start++;
	}
	memcpy(p, scheme, sizeof scheme - 1);
	p += sizeof scheme - 1;
	while (n > 0)
		*p++ = digits[--n];
	*p = '\0';
	return out;
}

bool
pubkey_equal(const struct pubkey *a, const struct pubkey *b)
{
	return CRYPTO_memcmp(a->point, b->point, PUBKEY_BYTES) == 0;
}

EVP_PKEY *
pubkey_to_evp(const struct pubkey *key)
{
	char group[] = SN_X9_62_prime256v1;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)key->point,
				    PUBKEY_BYTES),
	    OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *evp = NULL;

	/* The other encodings of SEC 1 would give one key several forms. */
	if (key->point[0] != POINT_CONVERSION_COMPRESSED &&
	    key->point[0] != (POINT_CONVERSION_COMPRESSED | 1))
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (ctx == NULL)
		return NULL;
	/* Fails when x has no y on the curve. */
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &evp, EVP_PKEY_PUBLIC_KEY, params) != 1)
		ERR_clear_error();
	EVP_PKEY_CTX_free(ctx);
	return evp;
}

int
pubkey_from_evp(struct pubkey *key, const EVP_PKEY *evp)
{
	char group[32];
	BIGNUM *x = NULL, *y = NULL;
	int rc = -1;

	if (!EVP_PKEY_is_a(evp, "EC") ||
	    EVP_PKEY_get_group_name(evp, group, sizeof group, NULL) != 1 ||
	    strcmp(group, SN_X9_62_prime256v1) != 0)
		goto out;
	if (EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
	    EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
		goto out;
	if (BN_bn2binpad(x, key->point + 1, PUBKEY_BYTES - 1) != PUBKEY_BYTES - 1)
		goto out;
	key->point[0] = (uint8_t)(POINT_CONVERSION_COMPRESSED | (BN_is_odd(y) ? 1 : 0));
	rc = 0;
out:
	BN_free(x);
	BN_free(y);
	if (rc != 0)
		ERR_clear_error();
	return rc;
}
