#ifndef MPCPROXY_RENDEZVOUS_HPKE_INTERNAL_H
#define MPCPROXY_RENDEZVOUS_HPKE_INTERNAL_H

#include "rendezvous/hpke.h"

/* hpke_seal() with a given ephemeral key pair: for the RFC's test vectors and nothing
 * else. Sealing twice with one ephemeral key reuses a nonce. */
int hpke_seal_ephemeral(EVP_PKEY *ephemeral, EVP_PKEY *sender, EVP_PKEY *recipient,
			const struct hpke_binding *b, const uint8_t *pt, size_t len,
			uint8_t enc[HPKE_ENC_BYTES], uint8_t *ct);

#endif
