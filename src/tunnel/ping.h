#ifndef MPCPROXY_TUNNEL_PING_H
#define MPCPROXY_TUNNEL_PING_H

#include "tunnel/link.h"
#include "tunnel/proxy.h"

/* One round trip through the far proxy's echo service, on a stream of its own:
 * proxy_ping() for one link. */
struct proxy_ping *ping_start(struct event_base *base, struct link *l,
			      proxy_ping_done *done, void *arg, struct err *err);

#endif
