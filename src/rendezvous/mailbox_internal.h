#ifndef MPCPROXY_RENDEZVOUS_MAILBOX_INTERNAL_H
#define MPCPROXY_RENDEZVOUS_MAILBOX_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include <event2/listener.h>

#include "base/log.h"
#include "rendezvous/mailbox.h"
#include "rendezvous/wire.h"

/* What mailbox.c (the server as a whole) and mailbox_conn.c (one connection and the
 * messages through it) know of each other. */
TAILQ_HEAD(conns, conn);

/* An address that has connections. */
struct place {
	struct box_source id; /* first: tree.h */
	TAILQ_ENTRY(place) in_mailbox;
	struct conns conns; /* the oldest first */
	size_t n;
};

/* One party in one session, while it is connected. */
struct inbox {
	struct box_id id;     /* first: tree.h */
	struct conns readers; /* the newest first */
	size_t n;
};

struct conn {
	struct mailbox *mailbox;
	struct wire *wire;
	struct place *place;
	struct inbox *inbox; /* NULL before OPEN */
	TAILQ_ENTRY(conn) in_mailbox, in_place, in_inbox;
	union addr addr;
	struct pubkey key;
	uint64_t heard_ns;   /* accepted, then the last frame */
	size_t credit_bytes; /* may be read before it is held back */
};

struct mailbox {
	struct event_base *base;
	struct mailbox_limits limits;
	SSL_CTX *ctx;
	struct evconnlistener *listener;
	bool accepting;
	struct event *sweep;
	union addr addr;
	struct boxes *boxes;
	void *inbox_tree, *place_tree; /* tree.h */
	TAILQ_HEAD(, place) places;
	struct conns conns;
	struct mailbox_stats stats;
	struct log_gate log_failed, log_turned_away, log_accept;
};

/* Take over ${fd}, also when this fails. */
struct conn *mailbox_conn_new(struct mailbox *m, int fd, struct place *place,
			      const union addr *addr);
void mailbox_conn_free(struct conn *c);

/* Tell the party why, and close. */
void mailbox_conn_refuse(struct conn *c, enum frame_code code, const char *text);

/* Count and log what ends a connection that never became a reader's. */
void mailbox_conn_failed(struct conn *c, const char *why);

/* Free ${p} when it has no connection left. */
void mailbox_place_release(struct mailbox *m, struct place *p);

#endif
