#ifndef MPCPROXY_WATCH_RESPONDER_H
#define MPCPROXY_WATCH_RESPONDER_H

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "session/session.h"
#include "tunnel/proxy.h"

/* One client of the control socket: reads its one request (request.h) and answers. */
struct responder;

#define RESPONDER_REQUEST_NS (5 * NS_PER_S) /* for the request to be there */
#define RESPONDER_ANSWER_NS                                                              \
	(10 * NS_PER_S) /* for the client to take more of its answer */
/* A status of 256 parties, every string at its longest, takes half of it. */
#define RESPONDER_OUTPUT_MAX (1024 * 1024)

/* Read the configuration again and apply it. 0 and what has changed, or -1 and why not. */
typedef int responder_reload(void *arg, char summary[ERR_TEXT_BYTES], struct err *err);

/* What the program does for a client besides what the proxy does. */
struct responder_hooks {
	responder_reload *reload; /* NULL: it cannot */
	void *arg;
};

/* The client has its answer or hung up; ${r} frees itself after the call. */
typedef void responder_gone(void *arg, const struct responder *r);

/* ${hooks} must outlive it. Takes ${fd}, non-blocking, unless it returns NULL for want of memory. */
struct responder *responder_new(struct event_base *base, struct proxy *proxy,
				const struct session *s,
				const struct responder_hooks *hooks, int fd,
				responder_gone *gone, void *arg);

/* Hangs up; gone() is not called. */
void responder_free(struct responder *r);

/* The number of connected parties has changed: answer if that was waited for. */
void responder_changed(struct responder *r);

#endif
