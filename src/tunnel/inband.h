#ifndef MPCPROXY_TUNNEL_INBAND_H
#define MPCPROXY_TUNNEL_INBAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/link.h"

/*
 * Sealed messages over the connection that they have led to: one more place for them
 * beside every rendezvous, and the only one where there is none. Each end has a stream
 * to the other's service of that purpose. What a rendezvous is not trusted with, this is
 * not, either: the messages are sealed as everywhere, and bounded as everywhere.
 */
struct inband;

/* What may wait for the peer's acknowledgements; more is dropped, and sent again by the
 * contact. */
#define INBAND_WAITING_MAX 32768

/* What is looked at of the peer's messages; opening one costs a Diffie-Hellman. */
#define INBAND_BURST 64
#define INBAND_RATE  20 /* a second; the rest is dropped, and sent again by the peer */

/* Called from the event loop, outside of all other callbacks. */
struct inband_callbacks {
	/* inband_is_open() has changed. */
	void (*changed)(void *arg);
	/* Bytes of the peer's that should be a sealed message. */
	void (*message)(void *arg, const uint8_t *sealed, size_t len);
};

/* ${l} must outlive it. */
struct inband *inband_new(struct event_base *base, struct link *l,
			  const struct inband_callbacks *cb, void *arg, struct err *err);
/* After the connection. NULL is ignored. */
void inband_free(struct inband *in);

/* There is a new connection. */
void inband_start(struct inband *in);
/* The peer takes messages. */
bool inband_is_open(const struct inband *in);
void inband_send(struct inband *in, const uint8_t *sealed, size_t len);

/* A stream of the peer's for its messages; its owner, or NULL to refuse it. */
struct link_owner *inband_accept(struct inband *in, struct quic_stream *qs);

/* Streams that it has on the connection. */
size_t inband_streams(const struct inband *in);

#endif
