#ifndef MPCPROXY_TUNNEL_RUN_PEER_H
#define MPCPROXY_TUNNEL_RUN_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/link.h"
#include "tunnel/run_message.h"

/*
 * What we and one other party tell each other of our programs: ours on a stream that we
 * opened, theirs on one that they did, each for the life of one run.
 */
struct run_peer;
struct peer;
struct runs;

/* Streams of theirs at a time: the run we are part of, the next, and some that are only
 * ending. One more is refused. */
#define RUN_PEER_STREAMS_MAX 4

/* What our run keeps of the other party's. */
struct run_partner {
	bool is;      /* our run has begun, and theirs is part of it */
	size_t index; /* theirs when it began */
	bool failed;  /* it has ended, and not well */
	uint8_t code;
	bool vanished; /* lost() is due */
	bool lost;     /* and has been called */
	unsigned mpyc; /* MPyC streams with it before it began */
};

/* Both must outlive it. What happens is told with runs_peer_changed() and the like, from
 * within callbacks of the link. */
struct run_peer *run_peer_new(struct peer *p, struct runs *rs);
void run_peer_free(struct run_peer *rp);
struct run_partner *run_peer_partner(struct run_peer *rp);

/* A stream of theirs for `run`; its owner, or NULL to refuse it. */
struct link_owner *run_peer_accept(struct run_peer *rp, struct quic_stream *qs);

/* Tell them what we are about to run; nothing when they have been told. -1 when they
 * cannot be told now. */
int run_peer_publish(struct run_peer *rp, const uint8_t *offer, size_t len);
bool run_peer_is_told(const struct run_peer *rp);
void run_peer_say_ready(struct run_peer *rp, const uint8_t digest[RUN_DIGEST_BYTES]);
void run_peer_say_end(struct run_peer *rp, enum run_end how, uint8_t code);

/* Their newest offer for a run that has not begun, be it one that they refused while we
 * were waiting; NULL when there is none. */
const uint8_t *run_peer_offer(const struct run_peer *rp, size_t *len);
/* Their offer still stands. */
bool run_peer_is_offering(const struct run_peer *rp);
/* Whether they agree to ${digest}, or to something. */
bool run_peer_agrees(const struct run_peer *rp, const uint8_t digest[RUN_DIGEST_BYTES]);
bool run_peer_is_ready(const struct run_peer *rp);
/* They or we cannot run programs together: another version of mpcproxy. */
bool run_peer_is_unable(const struct run_peer *rp);
/* The last that was heard of its programs is that one has ended: it may well go now. */
bool run_peer_has_ended(const struct run_peer *rp);
/* A run that began is still going on there. */
bool run_peer_is_busy(const struct run_peer *rp);

/* The run of their newest offer begins. */
void run_peer_bind(struct run_peer *rp);
/* Ours is over: what becomes of theirs does not concern us any more. */
void run_peer_release(struct run_peer *rp);

/* The link has gone down: what they could not do is open again. */
void run_peer_forget(struct run_peer *rp);

/* Take no streams any more, and end those there are. */
void run_peer_close(struct run_peer *rp);

#endif
