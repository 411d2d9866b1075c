#ifndef MPCPROXY_PATH_PUNCH_H
#define MPCPROXY_PATH_PUNCH_H

#include <stddef.h>

#include <event2/event.h>

#include "path/candidate.h"
#include "path/ice.h"

/*
 * Keeps NATs open for a path whose other side may begin hours later: every now and then a
 * STUN Binding indication (RFC 8445, 11), which nobody answers, from each of its sockets
 * to the STUN server, so that our mapping stays what our candidates say, and to each of
 * the other side's candidates, so that its checks are let in. libnice ends its own when
 * they have failed, and begins anew when the other side's arrive.
 */
struct punch;

/* RFC 4787, 4.3 asks NATs for 2 minutes; some keep 30 s. */
#define PUNCH_EVERY_S 10

/* NULL when memory is short: then only patience is lost. ${ice} must outlive it. */
struct punch *punch_new(struct event_base *base, struct ice *ice);
/* NULL is ignored. */
void punch_free(struct punch *p);

/* The other side has these candidates, too. */
void punch_towards(struct punch *p, const struct candidate *c, size_t n);

#endif
