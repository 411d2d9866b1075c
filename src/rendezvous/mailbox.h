#ifndef MPCPROXY_RENDEZVOUS_MAILBOX_H
#define MPCPROXY_RENDEZVOUS_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "rendezvous/boxes.h"
#include "session/identity.h"

/*
 * The mailbox server behind tls:// URLs: parties connect with their identity, leave
 * messages for keys and receive those for their own. Messages for somebody who is not
 * there wait in memory (boxes.h); nothing is written to disk.
 *
 * The process must ignore SIGPIPE.
 */
struct mailbox;

/* Every bound of a mailbox. mailbox_default_limits() has the usual ones. */
struct mailbox_limits {
	size_t connections;        /* in all; fewer when descriptors are short */
	size_t source_connections; /* from one address (see struct box_source) */
	size_t readers;            /* connections of one party in one session */
	uint64_t open_ns;          /* from accept to OPEN */
	uint64_t idle_ns;          /* without a frame from the party */
	uint64_t stall_ns;         /* for a reader that takes nothing in */
	uint64_t sweep_ns;         /* how often the above are looked at */
	size_t burst_bytes;        /* one connection may send at once, */
	size_t rate_bytes; /* and per second after that; it is held back, not closed */
	struct boxes_limits boxes;
};

struct mailbox_stats {
	size_t connections;
	size_t readers; /* connections that have opened a box */
	uint64_t accepted;
	uint64_t turned_away; /* by a bound on connections */
	uint64_t failed;      /* no TLS, no certificate, no OPEN or a second one */
	uint64_t delivered;
	uint64_t stored; /* messages that had to wait */
	struct boxes_stats waiting;
};

extern const struct mailbox_limits mailbox_default_limits;

/* Listen on ${listen} (port 0: any). ${limits} NULL: the default ones. ${id} must
 * outlive the mailbox; its public key is the one in the URL. */
struct mailbox *mailbox_new(struct event_base *base, const union addr *listen,
			    const struct identity *id,
			    const struct mailbox_limits *limits, struct err *err);

/* Tells the parties and closes. NULL is fine. */
void mailbox_free(struct mailbox *m);

/* Where it listens, with the real port. */
const union addr *mailbox_addr(const struct mailbox *m);

void mailbox_get_stats(const struct mailbox *m, struct mailbox_stats *stats);

#endif
