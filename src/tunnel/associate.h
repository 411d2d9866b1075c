#ifndef MPCPROXY_TUNNEL_ASSOCIATE_H
#define MPCPROXY_TUNNEL_ASSOCIATE_H

#include <event2/event.h>

#include "session/local.h"
#include "tunnel/header.h"
#include "tunnel/peer.h"

/*
 * UDP ASSOCIATE for local programs (RFC 1928, 6 and 7): a UDP socket for one client, that
 * lives as long as its TCP connection. What it sends to a party goes there in a flow
 * (flow.h), one for each destination; fragments, and what is for nobody, are dropped.
 */
struct associations;

#define ASSOCIATIONS_MAX      64
#define ASSOCIATION_FLOWS_MAX 16 /* one more takes the place of the oldest */

struct associate_callbacks {
	/* Whom ${req} is for, and what is meant there; NULL for nobody. */
	struct peer *(*find)(void *arg, const struct header_request *req,
			     struct target *t);
};

/* ${local} must outlive it, and may change. */
struct associations *associations_new(struct event_base *base, const struct local *local,
				      const struct associate_callbacks *cb, void *arg);
/* Hangs up on all clients. NULL is ignored. Before the peers are freed. */
void associations_free(struct associations *a);

/* A client has asked for one, and says with ${req} from where it will send (zero: it does
 * not know yet). Takes ${fd} over and answers, or returns what it is to be told. */
enum header_reply associate(struct associations *a, int fd,
			    const struct header_request *req);

#endif
