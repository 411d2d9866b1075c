#ifndef MPCPROXY_BASE_BASE64URL_H
#define MPCPROXY_BASE_BASE64URL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* base64url (RFC 4648, 5) without padding: what survives chats, mails and shells. */

/* Characters that ${len} bytes take, without the NUL. */
#define BASE64URL_CHARS(len) (((len)*4 + 2) / 3)

/* Writes BASE64URL_CHARS(${len}) characters and a NUL; returns ${out}. */
char *base64url_encode(char *out, const uint8_t *data, size_t len);

/* Decode ${len} characters into at most ${size} bytes. Returns their number, or -1 when
 * a character is none of the alphabet (its position goes to ${bad} then, ${len}
 * otherwise), there are too many, or the last one has bits that no byte needs: there is
 * one text for given bytes. */
ssize_t base64url_decode(uint8_t *out, size_t size, const char *text, size_t len,
			 size_t *bad);

#endif
