#ifndef MPCPROXY_TUNNEL_SEARCH_H
#define MPCPROXY_TUNNEL_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * When a relayed pair tries for a direct path: soon at first, then ever more rarely, for
 * ever. A direct path that is lost soon after it was found does not bring back the short
 * pauses, so a pair whose direct path comes and goes does not go to and fro with it. No
 * clock and no timer: times are arguments.
 */
struct search {
	uint64_t pause_ns;
	uint64_t next_ns;   /* when to try; CLOCK_NEVER: not relayed */
	uint64_t direct_ns; /* since when the path is direct; 0: it is not */
};

void search_init(struct search *s);

/* Another path is in use from now on. */
void search_path(struct search *s, bool relayed, uint64_t now_ns);

/* An attempt begins (it counts as failed until search_path() says otherwise). */
void search_tried(struct search *s, uint64_t now_ns);

/* Nothing could be tried just now: again after the same pause. */
void search_later(struct search *s, uint64_t now_ns);

/* The network has changed, at either end: what failed before may work now. */
void search_afresh(struct search *s, uint64_t now_ns);

#endif
