#ifndef MPCPROXY_JOIN_NOTICE_H
#define MPCPROXY_JOIN_NOTICE_H

#include <stddef.h>
#include <stdint.h>

#include "join/message.h"
#include "rendezvous/hpke.h"
#include "session/identity.h"
#include "session/pubkey.h"

/*
 * A host's answer to a message that was sealed with another ticket's secret: it cannot
 * be sealed with a secret that both know, so it is sealed in HPKE's mode auth alone. It
 * names the message that it answers, which proves that it is not a recording.
 */
#define NOTICE_BYTES                                                                     \
	(1 + PUBKEY_BYTES + HPKE_ENC_BYTES + 1 + JOIN_HASH_BYTES + HPKE_TAG_BYTES)

/* The hash of a sealed message. */
int notice_hash(uint8_t out[JOIN_HASH_BYTES], const uint8_t *sealed, size_t len);

/* ${hash} is of the message that is answered. */
int notice_seal(const struct identity *host, const struct pubkey *joiner,
		enum join_refusal refusal, const uint8_t hash[JOIN_HASH_BYTES],
		uint8_t out[NOTICE_BYTES]);

/* -1 when it is no notice of ${host}'s for us. */
int notice_open(const struct identity *joiner, const struct pubkey *host,
		const uint8_t *data, size_t len, enum join_refusal *refusal,
		uint8_t hash[JOIN_HASH_BYTES]);

#endif
