#ifndef MPCPROXY_RENDEZVOUS_HPKE_H
#define MPCPROXY_RENDEZVOUS_HPKE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

/*
 * HPKE (RFC 9180), single shot, modes auth and auth_psk: DHKEM(P-256, HKDF-SHA256),
 * HKDF-SHA256, AES-128-GCM. What opens was sealed by the holder of the sender's key (or
 * of the recipient's: RFC 9180, 9.1.1) for this recipient, this info and this aad, and
 * with a psk by somebody who knows that as well.
 */
#define HPKE_ENC_BYTES 65 /* encapsulated key: an uncompressed P-256 point */
#define HPKE_TAG_BYTES 16
#define HPKE_INFO_MAX  256
#define HPKE_PSK_MAX   64 /* of a pre-shared key and of its id */

/* What a ciphertext is bound to besides the two keys. */
struct hpke_binding {
	const uint8_t *info;
	size_t info_len; /* at most HPKE_INFO_MAX */
	const uint8_t *aad;
	size_t aad_len;
	/* A pre-shared key and what names it (no secret): both for mode auth_psk, or
	 * neither for mode auth. */
	const uint8_t *psk;
	size_t psk_len; /* at most HPKE_PSK_MAX */
	const uint8_t *psk_id;
	size_t psk_id_len; /* at most HPKE_PSK_MAX */
};

/*
 * Both keys are P-256 keys; ${sender} has its private half in hpke_seal(),
 * ${recipient} in hpke_open(). hpke_seal() writes ${len} + HPKE_TAG_BYTES to ${ct},
 * hpke_open() takes as many and writes ${len} to ${pt}; ${pt} and ${ct} may be equal.
 * 0, or -1: a key or a binding that is not as said, ${enc} is no uncompressed point on
 * the curve, the ciphertext is not authentic (nothing of it is left in ${pt}), or
 * OpenSSL failed. OpenSSL's reasons, if any, stay in its error queue: err_ssl() takes
 * them from there.
 */
int hpke_seal(EVP_PKEY *sender, EVP_PKEY *recipient, const struct hpke_binding *b,
	      const uint8_t *pt, size_t len, uint8_t enc[HPKE_ENC_BYTES], uint8_t *ct);
int hpke_open(EVP_PKEY *sender, EVP_PKEY *recipient, const struct hpke_binding *b,
	      const uint8_t enc[HPKE_ENC_BYTES], const uint8_t *ct, size_t len,
	      uint8_t *pt);

#endif
