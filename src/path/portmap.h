#ifndef MPCPROXY_PATH_PORTMAP_H
#define MPCPROXY_PATH_PORTMAP_H

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * Ports that the router lets through to us. One per process: one thread speaks with the
 * router (upnp.h) and nobody ever waits for it. Mappings are leased, renewed while they
 * are wanted, and taken back when they are not.
 */
struct portmap;

/* One mapping that somebody wants. */
struct mapping;

#define PORTMAP_MAX     64  /* mappings; those beyond fail */
#define PORTMAP_LEASE_S 600 /* what a killed process leaves behind ends after that */

enum portmap_state {
	PORTMAP_SEARCHING,
	PORTMAP_NONE,  /* no router that maps ports: ${why} */
	PORTMAP_FOUND, /* there is one; ${why} when it is of no use all the same */
};

struct portmap_info {
	enum portmap_state state;
	union addr router;  /* AF_UNSPEC: there is none */
	union addr outside; /* the router's own address outside, as it says */
	char why[ERR_TEXT_BYTES];
};

/* Start to search for the router. ${searched} (may be NULL) is called once, when that is
 * over; all callbacks come from the loop. */
struct portmap *portmap_new(struct event_base *base, void (*searched)(void *arg),
			    void *arg, struct err *err);

/* Begin to take all mappings back; nothing is called back any more. */
void portmap_end(struct portmap *p);

/* Wait until that is done, a second or so at most; NULL is ignored. Mappings that are
 * not dropped yet may be afterwards. */
void portmap_free(struct portmap *p);

void portmap_get(struct portmap *p, struct portmap_info *out);

/* ${outside}: where others reach the port, NULL when they do not. */
typedef void mapping_done(void *arg, const union addr *outside);

/* Map ${inside}, an IPv4 address and port of this machine; ${done} is called once, not
 * from within this call. NULL when there are too many. */
struct mapping *mapping_new(struct portmap *p, const union addr *inside,
			    mapping_done *done, void *arg);

/* Nobody wants it any more; it is taken back in the background. NULL is ignored. */
void mapping_free(struct mapping *m);

#endif
