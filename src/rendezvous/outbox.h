#ifndef MPCPROXY_RENDEZVOUS_OUTBOX_H
#define MPCPROXY_RENDEZVOUS_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "rendezvous/window.h"

/* Messages to one life of a peer that it has not acknowledged, and when to send each
 * again. */
#define OUTBOX_MAX           16
#define OUTBOX_RESEND_NS     (500 * NS_PER_MS)
#define OUTBOX_RESEND_MAX_NS (10 * NS_PER_S)

struct outbox_message {
	uint64_t number;
	uint64_t due_ns;
	uint64_t interval_ns; /* from the last sending to ${due_ns} */
	uint8_t type;
	uint8_t *body;
	size_t len;
};

struct outbox {
	struct outbox_message message[OUTBOX_MAX]; /* oldest first */
	size_t n;
	uint64_t last_number;
};

/*
 * Take a copy of a message under the next number, due at once; NULL when memory is
 * short. The oldest gives way when the box is full, or when it lies WINDOW_BITS or more
 * behind: the receiver would take it for one it has had. The result is valid until the
 * next call.
 */
struct outbox_message *outbox_add(struct outbox *o, uint8_t type, const uint8_t *body,
				  size_t len, uint64_t now_ns);

/* The peer has seen these numbers. */
void outbox_acknowledge(struct outbox *o, const struct window *seen);

/* ${m} is being sent: it is due again later, each time twice as much. */
void outbox_sent(struct outbox_message *m, uint64_t now_ns);

/* All are due at once, the first time for some of them. */
void outbox_renew(struct outbox *o, uint64_t now_ns);

uint64_t outbox_expiry(const struct outbox *o);

/* Forget all messages of this type; the numbers go on. */
void outbox_withdraw(struct outbox *o, uint8_t type);

/* Forget all messages; the same. */
void outbox_clear(struct outbox *o);

#endif
