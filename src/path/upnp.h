#ifndef MPCPROXY_PATH_UPNP_H
#define MPCPROXY_PATH_UPNP_H

#include "base/addr.h"
#include "base/err.h"

/*
 * A router that maps ports on request (UPnP Internet Gateway Device), through
 * libminiupnpc. All calls block, for seconds when the router does: they belong to a
 * thread of their own (portmap.c).
 *
 * Everybody on a LAN can answer the search. So only the default gateway's answer counts,
 * and nothing that it says sends us to another machine.
 */
struct upnp;

/* Search for ${gateway} (IPv4). */
struct upnp *upnp_find(const union addr *gateway, struct err *err);
/* NULL is ignored. Mappings stay. */
void upnp_free(struct upnp *u);

/* The router's outside address, port 0: whatever it says. */
int upnp_external(struct upnp *u, union addr *out, struct err *err);

/*
 * Map an outside UDP port to ${internal}, an address of this machine, for ${lease_s}
 * seconds; ask again to renew. ${port}: the port that is wished, and the one that is
 * given. A router that maps for ever only is not used: if this process dies, nobody takes
 * such a mapping back.
 */
int upnp_map(struct upnp *u, const union addr *internal, unsigned lease_s, uint16_t *port,
	     struct err *err);
int upnp_unmap(struct upnp *u, uint16_t port, struct err *err);

#endif
