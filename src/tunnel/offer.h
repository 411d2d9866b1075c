#ifndef MPCPROXY_TUNNEL_OFFER_H
#define MPCPROXY_TUNNEL_OFFER_H

#include <stdint.h>

#include "rendezvous/envelope.h"
#include "tunnel/attempt.h"
#include "tunnel/link.h"

/*
 * The attempt at a path to one peer that is negotiated by blocks of text (block.h).
 * Between making a block and the last party's taking it lie mails, meals and meetings: it
 * stands for hours, beside all others, until the peer has our block and we have theirs.
 */
struct offer;

struct offer_callbacks {
	/* The path works, at both sides as far as the client can tell. The attempt is the
	 * callee's (attempt_hand_over()), and the offer as new. ${life} is the peer's. */
	void (*works)(void *arg, struct attempt *a, const struct incarnation *life);
};

/* ${cfg} must outlive it. */
struct offer *offer_new(const struct link_config *cfg, const struct offer_callbacks *cb,
			void *arg, struct err *err);
/* Not from within a callback. NULL is ignored. */
void offer_free(struct offer *o);

/* Begin to gather, unless that is done, under a number above ${newest}. */
int offer_begin(struct offer *o, uint32_t newest, struct err *err);
/* Give up what has begun. Not from within a callback of an attempt. */
void offer_end(struct offer *o);

/* Ours for a block. 1: it is in ${sealed}; 0: still gathering; -1: there is none. */
int offer_make(struct offer *o, uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len,
	       struct err *err);
/* Theirs from a block; begins ours if need be. */
enum link_taken offer_take(struct offer *o, const uint8_t *sealed, size_t len,
			   uint32_t newest, char age[LINK_AGE_BYTES], struct err *err);

/* What is going on, in a few words; NULL when nothing is. */
const char *offer_state(const struct offer *o);

#endif
