#ifndef MPCPROXY_PATH_CONTEXT_H
#define MPCPROXY_PATH_CONTEXT_H

#include <stddef.h>

#include <glib.h>

#include "base/log.h"
#include "path/glib_loop.h"
#include "path/path.h"
#include "path/portmap.h"
#include "path/probe.h"
#include "path/shims.h"
#include "path/udp.h"

/* Host candidates of an agent; the rest of PATH_CANDIDATES_MAX is kept for
 * server-reflexive and relayed ones. */
#define HOSTS_MAX 12

/* Somebody who waits for what the STUN servers say. */
struct probe_waiter {
	void (*probed)(void *arg);
	void *arg;
	struct probe_waiter *next, **self; /* self: NULL when it does not wait */
};

/* How long to wait for what, in milliseconds. */
struct path_times {
	/* Gathering: a server that has not answered by then is left out. libnice
	 * repeats its requests for 2 s; names have to be resolved before that. */
	unsigned gather_ms;
	/* When libnice says that all checks have failed: how long after the last
	 * bundles the other side may still begin with checks of its own, which turn
	 * the failure into success. */
	unsigned answer_ms;
	/* Gathering: how long the router's ports (UPnP) and the STUN servers' verdict on
	 * our network are waited for. That holds back the word that gathering has ended,
	 * and nothing else. */
	unsigned verdict_ms;
	/* From the other side's last bundle to a selected pair. */
	unsigned connect_ms;
};

struct path_context {
	struct event_base *base;
	struct glib_loop *loop;
	struct path_times times;
	/* Tests: use these addresses instead of the interfaces'. */
	union addr hosts[HOSTS_MAX];
	size_t n_hosts;
	size_t closing; /* agents that still give back relayed addresses */
	size_t next_stun;
	struct udp_scratch *scratch; /* from the first path that needs it on */
	const struct local *local;   /* NULL: nothing is set */
	const struct session *session;
	struct probe *probe;       /* NULL: STUN servers have not been asked */
	struct probe *probe_again; /* replaces it when it is done */
	struct probe_waiter *waiters;
	bool no_relay;           /* it has been said that no TURN server gives one */
	struct portmap *portmap; /* NULL: no router has been looked for */
	struct shims shims;
	struct log_gate lie_gate;    /* of the line about STUN servers that lie */
	struct log_gate lookup_gate; /* of the line about names that are not found */
};

/* Ask the STUN servers, again when what they said is old. */
void path_context_probe(struct path_context *ctx);

/* Let ${w} know, once, when the STUN servers have been asked, or have not answered; false
 * when there is nothing to wait for. */
bool path_context_await_probe(struct path_context *ctx, struct probe_waiter *w);
void path_context_forget(struct probe_waiter *w);

/* Whether a STUN server may be right in saying that ${mapped} is where others see us. */
bool path_context_plausible(const struct path_context *ctx, const union addr *mapped);

/* Who maps ports; NULL when that is not wanted, or not possible. */
struct portmap *path_context_portmap(struct path_context *ctx);

/* Whether a router that calls ${outside} its address is to be believed: not when every
 * STUN server that has answered sees us at another one. */
bool path_context_believes(const struct path_context *ctx, const union addr *outside);

#endif
