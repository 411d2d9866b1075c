#ifndef MPCPROXY_RENDEZVOUS_OFFER_H
#define MPCPROXY_RENDEZVOUS_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rendezvous/envelope.h"
#include "rendezvous/signal.h"
#include "session/identity.h"
#include "session/pubkey.h"

/*
 * What one party tells another in a block (block.h), where no rendezvous carries
 * messages: all its candidates at once, sealed like a message. There is no round trip in
 * which the recipient's incarnation could be echoed, so an offer is acted on without that
 * and leads to nothing but an ICE attempt under the credentials in it: only a sender that
 * still lives can bring that to success (doc/threats.md, "Blocks").
 *
 * As a message through a rendezvous it does nothing: contacts pass over its type.
 */
#define OFFER_TYPE 133

struct offer_pair {
	const struct identity *self;
	struct pubkey peer;
	const char *session_name;
	const uint8_t *roster_digest; /* 32 bytes, session.h */
	struct incarnation incarnation; /* ours */
};

struct offer_content {
	struct incarnation from; /* the sender's incarnation */
	struct incarnation to;   /* the recipient's that it has seen; none when unknown */
	uint64_t made_s;         /* the sender's clock, seconds since 1970: for people */
	bool roster_differs;     /* when opened */
	struct signal_candidates candidates;
};

/* ${o->from} is filled in. The length goes to ${len}; -1 when OpenSSL fails. */
int offer_seal(const struct offer_pair *p, struct offer_content *o,
	       uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err);

/* -1 when it is not authentic, or no offer. */
int offer_open(const struct offer_pair *p, const uint8_t *sealed, size_t len,
	       struct offer_content *o, struct err *err);

#endif
