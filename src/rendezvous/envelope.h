#ifndef MPCPROXY_RENDEZVOUS_ENVELOPE_H
#define MPCPROXY_RENDEZVOUS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "rendezvous/hpke.h"
#include "rendezvous/window.h"
#include "session/identity.h"
#include "session/pubkey.h"

/*
 * The form of a signalling message, sealed from one party to another (doc/protocol.md,
 * "Sealed messages"). What it means is contact.c's business.
 */
#define ENVELOPE_VERSION           1
#define ENVELOPE_INCARNATION_BYTES 16
#define ENVELOPE_ROSTER_BYTES      32

/* Plaintexts are padded with zeros to a multiple of this: all messages but those with
 * candidates are of one length, and theirs tells little of how many there are. */
#define ENVELOPE_PAD_BYTES 256

#define ENVELOPE_OUTER_BYTES (1 + PUBKEY_BYTES + HPKE_ENC_BYTES)
#define ENVELOPE_INNER_BYTES                                                             \
	(1 + 2 * ENVELOPE_INCARNATION_BYTES + 8 + 8 + 8 + ENVELOPE_ROSTER_BYTES + 2)
#define ENVELOPE_BODY_MAX 6144
#define ENVELOPE_PLAIN_MAX                                                               \
	((ENVELOPE_INNER_BYTES + ENVELOPE_BODY_MAX + ENVELOPE_PAD_BYTES - 1) /           \
	 ENVELOPE_PAD_BYTES * ENVELOPE_PAD_BYTES)
#define ENVELOPE_SEALED_MAX (ENVELOPE_OUTER_BYTES + ENVELOPE_PLAIN_MAX + HPKE_TAG_BYTES)
#define ENVELOPE_SEALED_MIN (ENVELOPE_OUTER_BYTES + ENVELOPE_PAD_BYTES + HPKE_TAG_BYTES)

struct incarnation {
	uint8_t bytes[ENVELOPE_INCARNATION_BYTES]; /* all zero: none */
};

static inline bool
incarnation_equal(const struct incarnation *a, const struct incarnation *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

struct envelope {
	uint8_t type;
	struct incarnation from;
	struct incarnation to; /* the recipient's as last seen; none when unknown */
	uint64_t number;
	struct window seen; /* of the recipient's numbers */
	uint8_t roster[ENVELOPE_ROSTER_BYTES];
	const uint8_t *body;
	size_t len; /* at most ENVELOPE_BODY_MAX */
};

/* What every message between two parties is bound to: both keys and the session. */
struct envelope_pair;

/* ${self} must outlive it; the rest is copied. NULL when ${peer} is no point on the
 * curve, the name is too long or memory is short. */
struct envelope_pair *envelope_pair_new(const struct identity *self,
					const struct pubkey *peer,
					const char *session_name, struct err *err);
void envelope_pair_free(struct envelope_pair *p);

/* Both must know this secret, too (HPKE mode auth_psk). Before the first message; it is
 * copied. */
#define ENVELOPE_PSK_BYTES 32
void envelope_pair_set_psk(struct envelope_pair *p,
			   const uint8_t psk[ENVELOPE_PSK_BYTES]);

/* Seal ${m} to the peer; the length goes to ${len}. -1 when the body is too large or
 * OpenSSL fails. */
int envelope_seal(const struct envelope_pair *p, const struct envelope *m,
		  uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err);

/* Open what the peer sealed for us. ${m->body} points into ${plain}, which the caller
 * cleanses when done. -1 when it is not authentic or malformed. */
int envelope_open(const struct envelope_pair *p, const uint8_t *sealed, size_t len,
		  uint8_t plain[ENVELOPE_PLAIN_MAX], struct envelope *m, struct err *err);

/* The key that ${sealed} claims as its sender: unverified, not even a point on the
 * curve. -1 when the length or the version cannot be right. */
int envelope_sender(const uint8_t *sealed, size_t len, struct pubkey *sender);

/* What is inside, without the seal. envelope_encode() returns the length, -1 when the
 * body is too large; envelope_decode() is strict: there is one encoding of a message. */
int envelope_encode(const struct envelope *m, uint8_t plain[ENVELOPE_PLAIN_MAX]);
int envelope_decode(struct envelope *m, const uint8_t *plain, size_t len);

#endif
