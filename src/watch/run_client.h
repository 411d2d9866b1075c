#ifndef MPCPROXY_WATCH_RUN_CLIENT_H
#define MPCPROXY_WATCH_RUN_CLIENT_H

#include <event2/event.h>

#include "base/err.h"
#include "watch/run_line.h"

/* The verb's end of a run: run_line.h over the control socket. */
struct run_client;

/* Ask the proxy at the other end of ${fd} (client_connect()) for a run; waits for its
 * word. ${*base_port} is the local port of party 0. */
int run_client_ask(int fd, uint16_t *base_port, struct err *err);
/* Then, perhaps, pass it the socket ${gate} (gate.h), which stays the caller's. */
int run_client_gate(int fd, int gate, struct err *err);

struct run_client_callbacks {
	void (*line)(void *arg, const struct run_line *l);
	/* The proxy hung up, or makes no sense; ${why} is a sentence. Once. */
	void (*closed)(void *arg, const char *why);
};

/* After those. Takes ${fd} over; NULL (${fd} closed) when memory is short.
 * run_client_free() may be called from within callbacks. */
struct run_client *run_client_new(struct event_base *base, int fd,
				  const struct run_client_callbacks *cb, void *arg);
void run_client_free(struct run_client *c);

void run_client_say(struct run_client *c, const struct run_line *l);

#endif
