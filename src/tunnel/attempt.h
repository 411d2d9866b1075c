#ifndef MPCPROXY_TUNNEL_ATTEMPT_H
#define MPCPROXY_TUNNEL_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "path/path.h"
#include "rendezvous/signal.h"
#include "tunnel/link.h"

/*
 * One ICE generation towards a peer: a path together with the number under which both
 * sides speak of it in their sealed messages. The number is also the QUIC path's.
 */
struct attempt;

struct attempt_callbacks {
	/* Candidates for the other side, ready to be sealed. */
	void (*signal)(void *arg, struct attempt *a, const uint8_t *body, size_t len);
	/* A pair is selected, for the first time. */
	void (*ready)(void *arg, struct attempt *a);
	/* The rest is path.h's; ${a} says which. */
	void (*failed)(void *arg, struct attempt *a, const char *why);
	void (*datagram)(void *arg, struct attempt *a, uint8_t *data, size_t len);
	void (*writable)(void *arg, struct attempt *a);
	void (*alive)(void *arg, struct attempt *a);
	void (*probed)(void *arg, struct attempt *a);
};

struct attempt_config {
	uint32_t generation;
	enum path_policy policy;
	uint64_t patience_ns; /* path.h */
};

/* A path to ${link}'s peer, with what its session.ini and local.ini have for it. */
struct attempt *attempt_new(const struct link_config *link,
			    const struct attempt_config *cfg,
			    const struct attempt_callbacks *cb, void *arg,
			    struct err *err);
/* Not from within a callback of its own. NULL is ignored. */
void attempt_free(struct attempt *a);

/* Somebody else has it from now on. */
void attempt_hand_over(struct attempt *a, const struct attempt_callbacks *cb, void *arg);

/* The other side's bundle of this generation. */
int attempt_remote(struct attempt *a, const struct signal_candidates *m, struct err *err);

/* The other side's agent has concluded: with ours, libnice has done its work. */
void attempt_peer_concluded(struct attempt *a);

/* What is known of both sides' networks, theirs as they told it. */
void attempt_facts(const struct attempt *a, struct signal_facts *ours,
		   struct signal_facts *theirs);

/* Whether both sides are at one address outside. */
bool attempt_is_behind_same_nat(const struct attempt *a);

/* Speak of it under another number, before it is ready. */
void attempt_renumber(struct attempt *a, uint32_t generation);

struct path *attempt_path(const struct attempt *a);
uint32_t attempt_generation(const struct attempt *a);
uint64_t attempt_started_ns(const struct attempt *a);
/* A pair works, and the path has not failed since. */
bool attempt_is_ready(const struct attempt *a);
bool attempt_has_failed(const struct attempt *a);
/* It works, over a relay of either side's. */
bool attempt_is_relayed(const struct attempt *a);
/* Neither side offers a relay: it was begun with cfg.policy PATH_DIRECT. */
bool attempt_is_direct_only(const struct attempt *a);

#endif
