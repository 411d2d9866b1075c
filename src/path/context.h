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

/* How long to wait for what, in milliseconds. */
struct path_times {
	/* Gathering: a server that has not answered by then is left out. libnice
	 * repeats its requests for 2 s; names have to be resolved before that. */
	unsigned gather_ms;
	/* When libnice says that all checks have failed: how long after the last
	 * bundles the other side may still begin with checks of its own, which turn
	 * the failure into success. */
	unsigned answer_ms;
	/* Gathering: a router that has not mapped our ports by then (UPnP) is left out.
	 * It holds back the word that gathering has ended, and nothing else. */
	unsigned map_ms;
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
	struct portmap *portmap;   /* NULL: no router has been looked for */
	struct shims shims;
	struct log_gate lookup_gate; /* of the line about names that are not found */
};

/* Ask the STUN servers, again when what they said is old. */
void path_context_probe(struct path_context *ctx);

/* Who maps ports; NULL when that is not wanted, or not possible. */
struct portmap *path_context_portmap(struct path_context *ctx);

/* Whether a router that calls ${outside} its address is to be believed: not when every
 * STUN server that has answered sees us at another one. */
bool path_context_believes(const struct path_context *ctx, const union addr *outside);

#endif
