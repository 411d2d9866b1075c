#ifndef MPCPROXY_BASE_RESOLVE_H
#define MPCPROXY_BASE_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * Names to addresses without blocking the event loop. getaddrinfo() runs in a thread
 * of its own, because only it knows all that a machine is configured to ask (hosts,
 * DNS, mDNS, directories) and notices when that changes.
 */
struct resolve;

#define RESOLVE_ADDRS_MAX 8

/* One that is cancelled ends only when its servers have answered, or have not for long
 * enough. */
#define RESOLVE_THREADS_MAX 64

/* ${n} addresses in the order of preference (RFC 6724), or none and why. */
typedef void resolve_done(void *arg, const union addr *addrs, size_t n, const char *why);

/*
 * Look up ${host} for a TCP or UDP port ${port}; a numeric address needs no thread.
 * done() is called once, from the event loop, and ends the lookup; never from within
 * this call. NULL when resources are short, or RESOLVE_THREADS_MAX lookups under way.
 */
struct resolve *resolve_start(struct event_base *base, const char *host, uint16_t port,
			      resolve_done *done, void *arg, struct err *err);

/* Before done() only; NULL is fine. The thread ends on its own when its time is up. */
void resolve_cancel(struct resolve *r);

#endif
