#ifndef MPCPROXY_SESSION_PUBKEY_H
#define MPCPROXY_SESSION_PUBKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "base/err.h"

/* A party's public key: a P-256 point in compressed SEC 1 form. It is what parties
 * exchange and the only thing that authenticates one. */
#define PUBKEY_BYTES      33
#define PUBKEY_TEXT_BYTES 45 /* 44 characters of base64 and a NUL */
#define PUBKEY_DID_BYTES  64 /* "did:key:z..." and a NUL, rounded up */

struct pubkey {
	uint8_t point[PUBKEY_BYTES];
};

/* Parse 44 characters of base64 (RFC 4648, padding not needed for 33 bytes, nothing
 * else around them). -1 when it is not that, or no point on the curve. */
int pubkey_parse(struct pubkey *key, const char *text, struct err *err);

/* Take 33 bytes from the wire; -1 when they are no point on the curve. */
int pubkey_from_bytes(struct pubkey *key, const uint8_t bytes[PUBKEY_BYTES]);

char *pubkey_format(const struct pubkey *key, char out[PUBKEY_TEXT_BYTES]);

/* did:key of a P-256 key: multicodec 0x1200, base58btc. */
char *pubkey_format_did(const struct pubkey *key, char out[PUBKEY_DID_BYTES]);

/* In constant time. */
bool pubkey_equal(const struct pubkey *a, const struct pubkey *b);

/* The caller frees the result with EVP_PKEY_free(); NULL when memory is short or
 * the bytes are no point. */
EVP_PKEY *pubkey_to_evp(const struct pubkey *key);

/* -1 when ${evp} is not a P-256 key. */
int pubkey_from_evp(struct pubkey *key, const EVP_PKEY *evp);

#endif
