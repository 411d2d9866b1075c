#ifndef MPCPROXY_PATH_NETWORK_H
#define MPCPROXY_PATH_NETWORK_H

#include <event2/event.h>

#include "base/err.h"

/* Tells what the kernel says of changes of the network (rtnetlink). One per process. */
struct network;

struct network_callbacks {
	/* The addresses of this machine (interfaces_addresses()) are others than
	 * before. */
	void (*addresses)(void *arg);
	/* They are the same, but its unicast routes are others: what is sent from them
	 * may take another way now, or none. */
	void (*routes)(void *arg);
};

struct network *network_new(struct event_base *base, const struct network_callbacks *cb,
			    void *arg, struct err *err);
/* NULL is ignored. */
void network_free(struct network *n);

#endif
