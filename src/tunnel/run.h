#ifndef MPCPROXY_TUNNEL_RUN_H
#define MPCPROXY_TUNNEL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "tunnel/run_message.h"

/*
 * Programs that the parties run together. Every party offers what it is about to run;
 * when the offers of all are there, each may agree to them; when all agree to the same
 * offers, all begin. From then on each learns how the others' programs end, and when one
 * is lost. At most one run of ours at a time.
 */
struct run;
struct runs; /* of a proxy: ours, and the others' */
struct gate;
struct peer;
struct proxy;

/* How long our program may go on after another's has failed, when it is still connected
 * with it, or never was. */
#define RUN_GRACE_NS (5 * NS_PER_S)

enum run_party_state {
	RUN_PARTY_ABSENT,    /* not connected */
	RUN_PARTY_CONNECTED, /* has offered nothing (yet) */
	RUN_PARTY_BUSY,      /* a program of before still runs there */
	RUN_PARTY_UNABLE,    /* its mpcproxy is of a version that cannot */
	RUN_PARTY_OFFERS,
	RUN_PARTY_READY, /* and agrees to all offers as it knows them */
};
#define RUN_PARTY_STATES 6

/* Indices are those of the time when the run was offered. None is called from within a
 * function of run_*. */
struct run_callbacks {
	/* Before go(): run_party_state() of some party is another. */
	void (*changed)(void *arg);
	/* The offers of all are there: agree to them with run_agree(${set}). Again, with
	 * another number, when one is replaced. */
	void (*complete)(void *arg, uint32_t set);
	/* All agree: begin. */
	void (*go)(void *arg);
	/* Another party's run has ended, as it says. */
	void (*ended)(void *arg, size_t index, enum run_end how, uint8_t code);
	/* After go(): our program waits in vain for that party's. ${why} is a phrase. */
	void (*lost)(void *arg, size_t index, const char *why);
	/* Before go(): it cannot go on; only run_finish() may follow. ${why} is a
	 * sentence. */
	void (*failed)(void *arg, const char *why);
};

/* Offer ${len} bytes of ${offer} (run_offer.h) to all. NULL when there is a run
 * already. */
struct run *proxy_run(struct proxy *p, const uint8_t *offer, size_t len,
		      const struct run_callbacks *cb, void *arg, struct err *err);
enum run_party_state run_party_state(const struct run *r, size_t index);
/* What party ${index} offers, encoded; NULL when it offers nothing now. */
const uint8_t *run_party_offer(const struct run *r, size_t index, size_t *len);
/* Agree to the offers of complete(); ignored when there are others by now. */
void run_agree(struct run *r, uint32_t set);
/* Tell the others how it ended, and free it. */
void run_finish(struct run *r, enum run_end how, uint8_t code);
/* Our MPyC program is where the socket ${fd} leads (gate.h), and nowhere else, until this
 * is called with -1 or the other end is closed. Takes ${fd} over. -1 when there is a gate
 * already. */
int proxy_set_gate(struct proxy *p, int fd, struct err *err);

/* No connection between MPyC programs is open here. */
bool proxy_mpyc_is_over(const struct proxy *p);

/* --- for the proxy --- */

struct runs *runs_new(struct event_base *base, struct err *err);
/* ${peers} by index, NULL at our own, from now on; before those that are not in it any
 * more are freed. A run that has not begun fails when they are others than before. */
void runs_set_peers(struct runs *rs, struct peer **peers, size_t n);
/* A party has been connected or disconnected. */
void runs_changed(struct runs *rs);
/* End what there is and take no more. */
void runs_close(struct runs *rs);
/* After the peers; runs_close() before them. Our run is freed with it. */
void runs_free(struct runs *rs);
int runs_set_gate(struct runs *rs, int fd, struct err *err);
struct run *runs_begin(struct runs *rs, const uint8_t *offer, size_t len,
		       const struct run_callbacks *cb, void *arg, struct err *err);

/* --- for the peers --- */

/* NULL: our program is on this machine's loopback. */
struct gate *runs_gate(const struct runs *rs);

/* We wait for the offers of all. */
bool runs_is_collecting(const struct runs *rs);
/* Another offer, readiness or ability than before. */
void runs_peer_changed(struct runs *rs);
/* Its run has ended, as it says; ${bound}: the one that ours is bound to. */
void runs_peer_ended(struct runs *rs, struct peer *p, bool bound, enum run_end how,
		     uint8_t code);
/* The run that ours is bound to is gone without such a word. */
void runs_peer_lost(struct runs *rs, struct peer *p);

#endif
