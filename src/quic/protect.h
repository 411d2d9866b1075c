#ifndef MPCPROXY_QUIC_PROTECT_H
#define MPCPROXY_QUIC_PROTECT_H

#include <stddef.h>
#include <stdint.h>

#include "quic/tls.h"

/* Packet protection (RFC 9001, 5): keys for one direction at one level. The cipher
 * contexts are made once per key; nothing is allocated per packet. */

#define PROTECT_TAG_BYTES    16
#define PROTECT_SAMPLE_BYTES 16
#define PROTECT_IV_BYTES     12

/* HKDF-Expand-Label (RFC 8446, 7.1) with the hash of ${cipher} and an empty context. */
int protect_expand_label(enum quic_cipher cipher, const uint8_t *secret,
			 size_t secret_len, const char *label, uint8_t *out,
			 size_t out_len);

/* Initial secrets (RFC 9001, 5.2) from the client's first destination connection id. */
int protect_initial_secrets(const uint8_t *dcid, size_t dcid_len, uint8_t client[32],
			    uint8_t server[32]);

/* The next secret of a key update (RFC 9001, 6.1), same length. */
int protect_next_secret(enum quic_cipher cipher, const uint8_t *secret, size_t len,
			uint8_t *next);

/* The length of a traffic secret: that of the suite's hash. */
size_t protect_secret_bytes(enum quic_cipher cipher);

/* An AEAD key. ${seal} says which of the two calls below it serves. */
struct protect_key;

struct protect_key *protect_key_new(enum quic_cipher cipher, const uint8_t *secret,
				    size_t len, int seal);

/* A key for TLS 1.3 records (RFC 8446, 7.3) in place of QUIC packets; it seals. */
struct protect_key *protect_record_key(enum quic_cipher cipher, const uint8_t *secret,
				       size_t len);
void protect_key_free(struct protect_key *k);

/* PROTECT_IV_BYTES; the nonce of a packet is this, XORed with its number. */
const uint8_t *protect_key_iv(const struct protect_key *k);

/* ${out} has room for ${len} + PROTECT_TAG_BYTES and may equal ${in}. The nonce is 12
 * bytes. -1 only when OpenSSL fails. */
int protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
		 const uint8_t *nonce, const uint8_t *aad, size_t aad_len);

/* ${len} includes the tag; ${out} may equal ${in}. -1 when the tag does not verify. */
int protect_open(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
		 const uint8_t *nonce, const uint8_t *aad, size_t aad_len);

/* The key of Retry's integrity tag (RFC 9001, 5.8) is fixed by the RFC; its nonce is
 * the key's iv. It seals. */
struct protect_key *protect_retry_key(void);

/* Header protection (RFC 9001, 5.4). */
struct protect_header;

struct protect_header *protect_header_new(enum quic_cipher cipher, const uint8_t *secret,
					  size_t len);
void protect_header_free(struct protect_header *h);

/* -1 only when OpenSSL fails. */
int protect_header_mask(struct protect_header *h, uint8_t mask[5],
			const uint8_t sample[PROTECT_SAMPLE_BYTES]);

#endif
