#ifndef MPCPROXY_WATCH_RUNNER_H
#define MPCPROXY_WATCH_RUNNER_H

#include <event2/event.h>

#include "tunnel/proxy.h"

/* The proxy's end of a run: run_line.h over the control socket. */
struct runner;

/* What it may have to send to a verb that does not read. */
#define RUNNER_OUTPUT_MAX (1024 * 1024)

/* How long the end of a run waits for the connections of MPyC's programs to end. */
#define RUNNER_SETTLE_NS (3 * NS_PER_S)

/* It is over: only runner_free() may follow, from within this call too. */
typedef void runner_gone(void *arg);

/* Serve the verb at the other end of ${fd}, which stays the caller's and must be
 * non-blocking. */
struct runner *runner_new(struct event_base *base, struct proxy *proxy, int fd,
			  runner_gone *gone, void *arg);
/* The run counts as gone if it is not over. */
void runner_free(struct runner *r);

#endif
