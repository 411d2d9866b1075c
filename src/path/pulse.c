#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "path/pulse.h"

#define MAC_OFFSET (1 + PULSE_TOKEN_BYTES)

bool
pulse_is_one(const uint8_t *data, size_t len)
{
	return len == PULSE_BYTES && (data[0] == PULSE_ASK || data[0] == PULSE_ANSWER);
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

int
pulse_write(uint8_t out[PULSE_BYTES], enum pulse_type type,
	    const uint8_t token[PULSE_TOKEN_BYTES], const char *password)
{
	out[0] = (uint8_t)type;
	memcpy(out + 1, token, PULSE_TOKEN_BYTES);
	return mac(out, password, out + MAC_OFFSET);
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
