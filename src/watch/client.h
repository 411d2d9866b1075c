#ifndef MPCPROXY_WATCH_CLIENT_H
#define MPCPROXY_WATCH_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "session/session.h"
#include "watch/request.h"

/* The other end of the control socket, for the verbs that ask a running proxy. */

/* The longest line of an answer; a party's line of JSON takes half of it. */
#define CLIENT_LINE_MAX 8192

enum client_found {
	CLIENT_FOUND,
	CLIENT_ABSENT, /* no proxy of this party runs on this machine */
	CLIENT_FAILED,
};

/* Connect to the running proxy of party ${index}; ${*fd} is the caller's. Otherwise
 * ${err} says what to do. */
enum client_found client_connect(const struct session *s, size_t index, int *fd,
				 struct err *err);

/* An answer on its way. */
struct client_answer {
	char line[CLIENT_LINE_MAX];
	size_t len;
	int code; /* -1 until it is there */
};

/* Read what is there of it and copy whole lines to stdout and stderr: 1 when it is
 * complete, 0 when it is not, -1 when it makes no sense or never will be. */
int client_read(int fd, struct client_answer *a, struct err *err);

/* What client_ask() returns besides the answer's exit code. */
#define CLIENT_ASK_FAILED (-1) /* ${err} says why */
#define CLIENT_ASK_LATE   (-2) /* ${deadline_ns} has passed */

/*
 * Send ${r} and copy the answer's lines to stdout and stderr as they come. Returns the
 * exit code that the proxy gave (0..255). Gives up when ${deadline_ns} (monotonic,
 * CLOCK_NEVER for none) passes before the end of the answer.
 */
int client_ask(int fd, const struct request *r, uint64_t deadline_ns, struct err *err);

/* How long a healthy proxy takes at most to answer what it need not wait for. */
uint64_t client_patience_ns(const struct request *r);

#endif
