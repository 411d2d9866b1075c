#ifndef MPCPROXY_RENDEZVOUS_BOXES_H
#define MPCPROXY_RENDEZVOUS_BOXES_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "rendezvous/frame.h"
#include "session/pubkey.h"

/*
 * The messages that wait in a mailbox for a reader. Nothing here knows who belongs to
 * whose session, and keys cost nothing, so bounds alone decide what stays:
 *
 *  - What one sender has in one box, and in how many boxes it has anything, is
 *    bounded; its own oldest message makes room for its newest.
 *  - A box as a whole, and all of them together, are bounded too. There the oldest
 *    message goes of the source address that holds most: whoever invents senders by
 *    the thousand from one place displaces only what came from that place.
 *
 * A sender with very many addresses can still push others' waiting messages out. What
 * it gains is little: parties that are connected at the same time need no storage to
 * reach each other, and they repeat themselves.
 *
 * Times are arguments, nanoseconds.
 */
struct boxes;

struct boxes_limits {
	size_t per_sender;   /* messages of one sender in one box */
	size_t senders;      /* with messages in one box */
	size_t sender_boxes; /* in which one sender has messages */
	size_t box_bytes;    /* in one box, BOXES_OVERHEAD per message included */
	size_t bytes;        /* in all boxes, likewise */
	uint64_t age_ns;     /* after which a message is dropped */
};

/* What a message costs at most besides its own bytes. */
#define BOXES_OVERHEAD 1024

/* Whose box: one party in one session. */
struct box_id {
	uint8_t tag[FRAME_TAG_BYTES];
	uint8_t key[PUBKEY_BYTES];
};

/* Where a sender is as far as bounds go: an IPv4 address, or the first 64 bits of an
 * IPv6 one, which is what one site or customer has at least. */
struct box_source {
	uint8_t prefix[16];
};

struct boxes_stats {
	size_t messages;
	size_t bytes;
	uint64_t replaced; /* dropped by a bound */
	uint64_t expired;
};

/* A message that has left its box; free() it. */
struct box_message {
	size_t len;
	const uint8_t *data; /* in the same allocation */
};

void box_source_of(struct box_source *source, const union addr *a);

struct boxes *boxes_new(const struct boxes_limits *limits);
void boxes_free(struct boxes *b);

/* Keep a copy of ${msg}; others may go for it. -1 when it can never fit or memory is
 * short. */
int boxes_put(struct boxes *b, const struct box_id *id, const struct pubkey *sender,
	      const struct box_source *source, const uint8_t *msg, size_t len,
	      uint64_t now_ns);

/* Take a message out of box ${id}: in order from each sender, the senders in turn.
 * NULL when the box is empty. */
struct box_message *boxes_take(struct boxes *b, const struct box_id *id);

void boxes_expire(struct boxes *b, uint64_t now_ns);
void boxes_get_stats(const struct boxes *b, struct boxes_stats *stats);

#endif
