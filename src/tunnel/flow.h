#ifndef MPCPROXY_TUNNEL_FLOW_H
#define MPCPROXY_TUNNEL_FLOW_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "session/target.h"
#include "tunnel/conn.h"
#include "tunnel/peer.h"

/*
 * UDP between two parties: a stream whose request is UDP ASSOCIATE says what the datagrams
 * are for and lives as long as they may flow; they themselves travel as QUIC datagrams with
 * the stream's number in front, or, where one is too large for the path, on the stream with
 * their length in front. The opener is told what comes back; the acceptor has a UDP socket
 * that is connected to the target.
 */
struct flow;

#define FLOWS_MAX       256         /* of one party, of each side */
#define FLOW_HELD_BYTES (64 * 1024) /* until the far end has answered */
#define FLOW_IDLE_S     300         /* RFC 4787, REQ-5, recommends as much for NATs */
#define FLOW_BYTES_MAX  65507       /* the largest payload of UDP over IPv4 */

struct flow_callbacks {
	void (*received)(void *arg, const uint8_t *data, size_t len);
	/* It is over, or was refused (logged), and is freed after the call. */
	void (*ended)(void *arg);
};

/* NULL when the party is not connected or there are too many. */
struct flow *flow_open(struct peer *p, const struct target *t,
		       const struct flow_callbacks *cb, void *arg);
/* May be lost, like any datagram. */
void flow_send(struct flow *f, const uint8_t *data, size_t len);
/* End it; ended() is not called. */
void flow_close(struct flow *f);

/* The peer has opened ${qs} for ${t}, which is exposed to it. NULL when there are too many
 * or memory is short. */
struct link_owner *flow_accept(struct peer *p, struct quic_stream *qs,
			       const struct target *t);

/* --- for peer.c --- */

TAILQ_HEAD(flow_list, flow);
/* A datagram with ${id} in front, which has been taken off, is for this one. */
struct flow *flow_find(struct flow_list *flows, uint64_t id);
void flow_datagram(struct flow *f, const uint8_t *data, size_t len);
/* End those that lead to what is not exposed (any more). */
void flows_end_forbidden(struct flow_list *flows);
/* End all; those who opened them are told. */
void flows_end(struct flow_list *flows);

#endif
