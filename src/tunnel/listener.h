#ifndef MPCPROXY_TUNNEL_LISTENER_H
#define MPCPROXY_TUNNEL_LISTENER_H

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"

/* A TCP port for programs of our own user on this machine. */
struct listener;

/* A connection whose other end is a socket of our own user (owner_check_client()), others
 * are reset; ${fd} is non-blocking, with TCP_NODELAY, and the callee's. */
typedef void listener_accepted(void *arg, int fd);

/* Connections accepted per wake-up, so that a flood on one port cannot starve the rest.
 */
#define LISTENER_BATCH 64

/*
 * Bind ${at} (loopback) and listen. ${what} says what the port is for, in messages: "for
 * MPyC's connections to bob". Nothing is accepted before listener_start(). Out of
 * descriptors, it waits a while and goes on.
 */
struct listener *listener_new(struct event_base *base, const union addr *at,
			      const char *what, listener_accepted *accepted, void *arg,
			      struct err *err);
void listener_start(struct listener *l);
void listener_free(struct listener *l);

#endif
