#ifndef MPCPROXY_TUNNEL_PORTS_H
#define MPCPROXY_TUNNEL_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/local.h"
#include "session/session.h"

/*
 * The local ports of a proxy, and where each leads. The set can be exchanged for another
 * one while it is in use: first everything that can fail (binding what is not bound yet),
 * then, or not at all, the exchange. A port that is in both sets goes on listening.
 */
struct ports;

enum port_kind {
	PORT_MPYC,    /* to the MPyC program of ${party} */
	PORT_FORWARD, /* to ${target} at ${party} */
	PORT_SOCKS,   /* the client says */
};

struct port {
	enum port_kind kind;
	struct endpoint at;
	struct pubkey party;
	struct target target;
};

/* A local program has connected to ${port}; ${fd} as in listener.h. */
typedef void ports_accepted(void *arg, const struct port *port, int fd);

/* ${users} as for listener_new(). */
struct ports *ports_new(struct event_base *base, const struct owner_users *users,
			ports_accepted *accepted, void *arg);
/* NULL is ignored. */
void ports_free(struct ports *p);

/* The ports that the configuration asks for, seen from party ${self}; ${*n} of them,
 * malloc'ed. NULL when memory is short. */
struct port *ports_wanted(const struct session *s, const struct local *l, size_t self,
			  size_t *n);

/* Bind those of ${want} that are not bound yet. -1 when one cannot be: all is as before,
 * and the message says which and what for. Otherwise ports_commit() or ports_abort()
 * must follow. ${s} is for messages. */
int ports_prepare(struct ports *p, const struct port *want, size_t n,
		  const struct session *s, struct err *err);
/* From now on, accept on what was asked for and on nothing else. */
void ports_commit(struct ports *p);
void ports_abort(struct ports *p);

/* Forwards that come and go while the proxy runs, at most PORTS_ADDED_MAX. They outlive a
 * change of the set as long as their party is in ${s} and nothing of the set takes their
 * place. */
#define PORTS_ADDED_MAX 64
int ports_add(struct ports *p, const struct port *port, const struct session *s,
	      struct err *err);
/* -1 when there is none, or it is of the configuration. */
int ports_remove(struct ports *p, const struct endpoint *at, struct err *err);

/* Call ${each} for every forward. */
void ports_each(struct ports *p,
		void (*each)(void *arg, const struct port *port, bool added), void *arg);

#endif
