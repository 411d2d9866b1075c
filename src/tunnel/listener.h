#ifndef MPCPROXY_TUNNEL_LISTENER_H
#define MPCPROXY_TUNNEL_LISTENER_H

#include <event2/event.h>

#include "base/err.h"
#include "base/owner.h"
#include "session/endpoint.h"

/* A TCP port, or UNIX socket, for programs of our own user on this machine. */
struct listener;

/* A connection whose other end is a socket of our own user, or one of ${users}
 * (owner_check_client()), others are reset; on an endpoint for everyone, any connection.
 * ${fd} is non-blocking, with TCP_NODELAY, and the callee's. */
typedef void listener_accepted(void *arg, int fd);

/* Connections accepted per wake-up, so that a flood on one port cannot starve the rest.
 */
#define LISTENER_BATCH 64

/*
 * Bind ${at} and listen; a UNIX socket that nobody serves any more is replaced, and has
 * mode 0600, or 0666 with ${users}, for whom the kernel's word counts. ${users} must
 * outlive the listener, and may change. ${what} says what the port is for, in messages: "for
 * MPyC's connections to bob". Nothing is accepted before listener_start(). Out of
 * descriptors, it waits a while and goes on.
 */
struct listener *listener_new(struct event_base *base, const struct endpoint *at,
			      const char *what, const struct owner_users *users,
			      listener_accepted *accepted, void *arg, struct err *err);
void listener_start(struct listener *l);
/* The configuration has changed: whether it is for everyone, and perhaps ${users}. */
void listener_follow(struct listener *l, bool everyone);
/* Removes a UNIX socket. */
void listener_free(struct listener *l);

#endif
