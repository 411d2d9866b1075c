#include <string.h>

#include "base/base64url.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
base64url_encode(char *out, const uint8_t *data, size_t len)
{
	uint32_t bits = 0;
	unsigned n = 0;
	char *p = out;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (n += 8; n >= 6; n -= 6)
			*p++ = alphabet[bits >> (n - 6) & 63];
	}
	if (n > 0)
		*p++ = alphabet[bits << (6 - n) & 63];
	*p = '\0';
	return out;
}

ssize_t
base64url_decode(uint8_t *out, size_t size, const char *text, size_t len, size_t *bad)
{
	uint32_t bits = 0;
	size_t used = 0;
	unsigned n = 0;

	*bad = len;
	for (size_t i = 0; i < len; i++) {
		const char *c = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;

		if (c == NULL) {
			*bad = i;
			return -1;
		}
		bits = bits << 6 | (uint32_t)(c - alphabet);
		n += 6;
		if (n < 8)
			continue;
		if (used == size)
			return -1;
		n -= 8;
		out[used++] = (uint8_t)(bits >> n);
	}
	if (n == 6 || (bits & ((1U << n) - 1)) != 0)
		return -1;
	return (ssize_t)used;
}
