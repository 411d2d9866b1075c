#ifndef MPCPROXY_TUNNEL_PEER_H
#define MPCPROXY_TUNNEL_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "tunnel/link.h"
#include "tunnel/proxy.h"

/* One other party: the link to it, and its streams. */
struct peer;
struct joint;
struct run_peer;
struct stream;
struct stream_caller;

/* Streams of one party, of each direction; one more is refused. */
#define PEER_STREAMS_MAX QUIC_STREAMS_MAX
/* MPyC streams of one party that are not live. */
#define PEER_MPYC_HELD_MAX 16

struct peer_callbacks {
	void (*send)(void *arg, const struct pubkey *to, const uint8_t *sealed,
		     size_t len);
	/* A newer roster, signed by the session's host; the callee's. */
	void (*roster)(void *arg, struct session *s);
	void (*silent)(void *arg);  /* link.h */
	void (*changed)(void *arg); /* connected or not any more */
	void (*refused)(void *arg); /* link.h */
};

/* ${cfg->them} and ${cfg->incarnation} are the peer's own business and filled in. */
struct peer *peer_new(const struct link_config *cfg, const struct peer_callbacks *cb,
		      void *arg, struct err *err);
/* session.ini and local.ini have changed in place: our index is ${self} now, the peer's
 * ${index}, its name and policy ${party}'s. Its key is the same, and whose index is the
 * smaller one. Streams for something that is not exposed to it any more end. */
void peer_update(struct peer *p, size_t self, size_t index, const struct party *party);
/* Take no more streams, of either side. */
void peer_stop_accepting(struct peer *p);
/* Nothing is on its way in any stream. */
bool peer_is_idle(const struct peer *p);
/* The party is in the session no more: let it know, if it can be told at once. */
void peer_dismiss(struct peer *p);
void peer_free(struct peer *p);

struct link *peer_link(struct peer *p);
const char *peer_name(const struct peer *p);
size_t peer_index(const struct peer *p);
const struct link_config *peer_config(const struct peer *p);
/* What it and we tell each other of programs. */
struct run_peer *peer_run(struct peer *p);
void peer_status(const struct peer *p, struct peer_status *out);

/* A local program's connection for the peer's MPyC program. Takes ${fd} over. */
void peer_open_mpyc(struct peer *p, int fd);
/* A local program's connection to what the peer exposes; ${caller} may be NULL (stream.h).
 * Takes ${fd} over. NULL when there are too many. */
struct stream *peer_open_port(struct peer *p, int fd, const struct target *t,
			      const struct stream_caller *caller);

/* Whether programs are connected by an MPyC stream now, and how often they have been. */
bool peer_mpyc_is_live(const struct peer *p);
unsigned peer_mpyc_count(const struct peer *p);

/* --- for its streams --- */

/* Whether a line that the peer can provoke may be logged now. */
bool peer_may_log(struct peer *p);

/* A new stream; -1 when there are too many, or no new ones are taken (logged). */
int peer_add(struct peer *p, struct stream *s);
/* Whether one more MPyC stream, which has been added, may be held; -1 when there are
 * too many (logged). */
int peer_admit_mpyc(struct peer *p);
/* Whether local.ini allows one more stream for something else, which has been added; -1
 * when not (logged). */
int peer_admit_port(struct peer *p, const struct stream *s);
/* Let ${j} move as much as local.ini allows to the party. */
void peer_meter(struct peer *p, struct joint *j);
/* Whether it also allows a datagram of ${len} bytes now, to the party or from it. */
bool peer_may_transmit(struct peer *p, size_t len);
bool peer_may_deliver(struct peer *p, size_t len);
/* A stream was stopped by that: stream_resume() it when it may go on. */
void peer_refill_soon(struct peer *p);
/* ${s} wants stream_proceed() as soon as it may; not from within this call. */
void peer_wait(struct peer *p, struct stream *s);
/* ${s} has got data: stream_move() follows, when all datagrams that wait have been read
 * and before the loop waits again. */
void peer_feed(struct peer *p, struct stream *s);
/* An MPyC stream of its is live from now on. */
void peer_mpyc_went_live(struct peer *p);
/* ${s} is about to be freed. */
void peer_remove(struct peer *p, struct stream *s);
/* One more flow (flow.h), of either side; -1 when there are too many. */
struct flow_list;
int peer_add_flow(struct peer *p, bool opener);
void peer_remove_flow(struct peer *p, bool opener);
struct flow_list *peer_flows(struct peer *p);
/* Bytes of streams' data that moved. */
void peer_count(struct peer *p, size_t sent, size_t received);

#endif
