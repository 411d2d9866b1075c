#ifndef MPCPROXY_PATH_SERVERS_H
#define MPCPROXY_PATH_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include <nice/agent.h>

#include "base/resolve.h"
#include "path/context.h"

struct servers;

/* The name of a TURN server on its way to an address. */
struct servers_lookup {
	struct servers *servers;
	const struct url *url;
	struct resolve *resolve; /* NULL when it has ended */
};

/*
 * The STUN and TURN servers of an agent. libnice looks up the STUN server's name; those
 * of TURN servers are looked up here, since libnice forgets the port of all addresses but
 * the first, and to end gathering when it does not find one.
 */
struct servers {
	struct path_context *ctx;
	NiceAgent *agent;
	guint stream, component;
	bool ipv4, ipv6; /* families of the host candidates: others are of no use */
	bool any;        /* there are servers, */
	bool relays;     /* TURN servers among them */
	char *user, *password;
	struct servers_lookup lookup[SESSION_SERVERS_MAX];
	size_t n_lookups, looking_up;
	/* A lookup has ended, and given the agent a server to ask or not. */
	void (*looked_up)(void *arg, bool added);
	void *arg;
};

/* Give the agent what ${cfg} says; before it gathers. The caller has filled in who asks
 * and for which families; the rest is zero. */
int servers_start(struct servers *s, const struct path_config *cfg, struct err *err);

/* Nothing is called back any more. */
void servers_stop(struct servers *s);

#endif
