#ifndef MPCPROXY_TUNNEL_CONN_H
#define MPCPROXY_TUNNEL_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "quic/quic.h"

/* A QUIC connection on the event loop: its timer, and the way from QUIC's callbacks to
 * the owners of its streams. */
struct conn;

/* What a stream's owner is told; every owner begins with a pointer to its table. The
 * meaning is quic.h's. */
struct link_stream_ops {
	void (*data)(void *owner, const uint8_t *data, size_t len, bool fin);
	void (*writable)(void *owner); /* NULL: of no interest */
	void (*reset)(void *owner, uint64_t code);
	void (*stopped)(void *owner, uint64_t code);
	void (*closed)(void *owner, bool lost);
};

struct link_owner {
	const struct link_stream_ops *ops;
};

struct conn_callbacks {
	/* quic.h's send(). */
	size_t (*send)(void *arg, uint32_t path, const uint8_t *data, size_t len,
		       size_t segment);
	void (*established)(void *arg, struct conn *c);
	/* It is over; conn_why() tells more. Not to be freed from here. */
	void (*ended)(void *arg, struct conn *c);
	struct link_owner *(*opened)(void *arg, struct conn *c, struct quic_stream *s);
	void (*datagram)(void *arg, struct conn *c, const uint8_t *data, size_t len);
	void (*migrated)(void *arg, struct conn *c, uint32_t path, bool ok);
	/* Answers are overdue (quic_is_late()), as of now or still. */
	void (*late)(void *arg, struct conn *c);
};

/* Starts the handshake. */
struct conn *conn_new(struct event_base *base, const struct quic_config *cfg,
		      const struct conn_callbacks *cb, void *arg, struct err *err);

/* End it, telling the peer ${code} and ${why} when it is not over, and its streams that
 * they are lost; then free it. Not from within a callback of its own; ended() is not
 * called. NULL is ignored. */
void conn_close(struct conn *c, enum quic_code code, const char *why);

/* NULL once it is over: then only conn_close() may follow. */
struct quic *conn_quic(const struct conn *c);
bool conn_is_over(const struct conn *c);

/* A datagram; what there is to send leaves with the next conn_flush(). */
void conn_receive(struct conn *c, uint32_t path, uint8_t *data, size_t len);
void conn_flush(struct conn *c);

/* Why it is over, in a phrase. */
const char *conn_why(const struct conn *c);
/* The peer shut down as it was asked to. */
bool conn_peer_left(const struct conn *c);
/* Nothing was heard for quic_config.idle_ns. */
bool conn_timed_out(const struct conn *c);

#endif
