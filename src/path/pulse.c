#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "path/pulse.h"

#define MAC_OFFSET (1 + PULSE_TOKEN_BYTES)

static size_t
size_of(uint8_t type)
{
	switch (type) {
	case PULSE_ASK:
	case PULSE_ANSWER:
		return PULSE_BYTES;
	case PULSE_ASK_FULL:
	case PULSE_ANSWER_FULL:
		return PULSE_FULL_BYTES;
	default:
		return 0;
	}
}

bool
pulse_is_one(const uint8_t *data, size_t len)
{
	return len > 0 && len == size_of(data[0]);
}

static int
mac(const uint8_t *data, const char *password, uint8_t out[PULSE_MAC_BYTES])
{
	uint8_t full[EVP_MAX_MD_SIZE];

	if (HMAC(EVP_sha256(), password, (int)strlen(password), data, MAC_OFFSET, full,
		 NULL) == NULL)
		return -1;
	memcpy(out, full, PULSE_MAC_BYTES);
	OPENSSL_cleanse(full, sizeof full);
	return 0;
}

size_t
pulse_write(uint8_t out[PULSE_FULL_BYTES], enum pulse_type type,
	    const uint8_t token[PULSE_TOKEN_BYTES], const char *password)
{
	memset(out, 0, PULSE_FULL_BYTES);
	out[0] = (uint8_t)type;
	memcpy(out + 1, token, PULSE_TOKEN_BYTES);
	return mac(out, password, out + MAC_OFFSET) == 0 ? size_of(out[0]) : 0;
}

bool
pulse_read(const uint8_t *data, size_t len, enum pulse_type type, const char *password,
	   uint8_t token[PULSE_TOKEN_BYTES])
{
	uint8_t expected[PULSE_MAC_BYTES];
	bool right = pulse_is_one(data, len) && data[0] == type &&
		     mac(data, password, expected) == 0 &&
		     CRYPTO_memcmp(expected, data + MAC_OFFSET, sizeof expected) == 0;

	OPENSSL_cleanse(expected, sizeof expected);
	if (right)
		memcpy(token, data + 1, PULSE_TOKEN_BYTES);
	return right;
}
