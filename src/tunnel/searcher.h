#ifndef MPCPROXY_TUNNEL_SEARCHER_H
#define MPCPROXY_TUNNEL_SEARCHER_H

#include <stdbool.h>

#include <event2/event.h>

#include "base/err.h"

/* When to look for a direct path in place of a relay (search.h), on the event loop. */
struct searcher;

enum searcher_did {
	SEARCHER_TRIED, /* a search has begun */
	SEARCHER_WAITS, /* it cannot now */
	SEARCHER_STOPS, /* there is none to look for until searcher_path() */
};

/* ${due} is to begin a search, and says whether it did. */
struct searcher *searcher_new(struct event_base *base,
			      enum searcher_did (*due)(void *arg), void *arg,
			      struct err *err);
/* NULL is ignored. */
void searcher_free(struct searcher *s);

/* Another path is in use from now on. */
void searcher_path(struct searcher *s, bool relayed);
/* The network has changed, at either end: what failed before may work now. */
void searcher_now(struct searcher *s);

#endif
