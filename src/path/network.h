#ifndef MPCPROXY_PATH_NETWORK_H
#define MPCPROXY_PATH_NETWORK_H

#include <event2/event.h>

#include "base/err.h"

/* Tells when the addresses of this machine (interfaces_addresses()) are others than
 * before, from what the kernel says (rtnetlink). One per process. */
struct network;

struct network *network_new(struct event_base *base, void (*changed)(void *arg),
			    void *arg, struct err *err);
/* NULL is ignored. */
void network_free(struct network *n);

#endif
