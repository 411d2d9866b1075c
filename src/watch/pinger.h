#ifndef MPCPROXY_WATCH_PINGER_H
#define MPCPROXY_WATCH_PINGER_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "base/clock.h"
#include "tunnel/proxy.h"

/* Round trips to one party, one after another, and what they come to. */
struct pinger;

/* Between an answer and the next question: short, but enough that each measures an
 * idle path, as MPyC's rounds find it. */
#define PINGER_INTERVAL_NS (200 * NS_PER_MS)

/* Silence after which a round trip counts as lost. */
#define PINGER_ANSWER_NS (10 * NS_PER_S)

struct pinger_callbacks {
	/* A line for the user, without its newline. */
	void (*line)(void *arg, const char *text);
	/* It is over; ${ok} when every round trip was answered. Called once; only
	 * pinger_free() may follow, from within this call too. */
	void (*done)(void *arg, bool ok);
};

/*
 * Measure ${count} round trips to party ${name}. Callbacks come from the event loop only,
 * never from within a call.
 */
struct pinger *pinger_new(struct event_base *base, struct proxy *proxy,
			  const char *name, unsigned count,
			  const struct pinger_callbacks *cb, void *arg);
void pinger_free(struct pinger *p);

#endif
