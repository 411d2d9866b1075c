#ifndef MPCPROXY_WATCH_REQUEST_H
#define MPCPROXY_WATCH_REQUEST_H

#include <stddef.h>

#include "rendezvous/envelope.h"
#include "session/endpoint.h"
#include "session/session.h"
#include "session/target.h"

/*
 * What a client asks of a running proxy on the control socket: one line. The answer is
 * lines that begin with '1' (for stdout) or '2' (for stderr), then "x CODE" with the
 * exit code; nothing follows.
 *
 *   status text | status json | flags | wait | missing | ping PARTY COUNT | reload |
 *   offer | accept SEALED |
 *   connect PARTY TARGET | forwards | forward PARTY TARGET ENDPOINT | unforward ENDPOINT
 *
 * With `connect` comes a socket (base/pass.h), which is joined to the target; the answer is
 * given when that is over.
 *
 * SEALED is base64url of what a block has for this party. After `run` the connection
 * speaks run_line.h instead.
 */
enum request_verb {
	REQUEST_STATUS_TEXT,
	REQUEST_STATUS_JSON,
	REQUEST_FLAGS,
	REQUEST_WAIT,    /* answered when every party is connected */
	REQUEST_MISSING, /* the same, but answered now */
	REQUEST_PING,
	REQUEST_RELOAD,    /* read the configuration again */
	REQUEST_CONNECT,   /* join a socket to what a party exposes */
	REQUEST_FORWARDS,  /* list them */
	REQUEST_FORWARD,   /* add one */
	REQUEST_UNFORWARD, /* remove one that was added */
	REQUEST_RUN,       /* a program together with the other parties */
	REQUEST_OFFER,
	REQUEST_ACCEPT,
};

#define REQUEST_LINE_MAX 9216 /* "accept SEALED" and a newline, with room */
#define REQUEST_PING_MAX 1000 /* round trips of one ping */

struct request {
	enum request_verb verb;
	char party[SESSION_NAME_MAX + 1]; /* ping, connect, forward */
	unsigned count;                   /* ping */
	struct target target;             /* connect, forward */
	struct endpoint at;               /* forward, unforward */
	uint8_t sealed[ENVELOPE_SEALED_MAX]; /* accept */
	size_t sealed_len;
};

/* Parse the ${len} bytes of ${line}, without its newline: exactly the grammar above,
 * single spaces, no NUL; -1 otherwise. */
int request_parse(struct request *r, const char *line, size_t len);

/* The line of ${r}, without a newline. */
char *request_format(const struct request *r, char out[REQUEST_LINE_MAX]);

#endif
