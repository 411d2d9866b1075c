#ifndef MPCPROXY_TUNNEL_DOUBLES_H
#define MPCPROXY_TUNNEL_DOUBLES_H

#include <event2/event.h>

#include "rendezvous/twin.h"

/* A twin (twin.h) on the event loop: finds out whether another process runs as our
 * party, and which of the two goes on. */
struct doubles;

/* The callbacks are twin.h's. */
struct doubles *doubles_new(struct event_base *base, const struct twin_config *cfg,
			    const struct twin_callbacks *cb, void *arg, struct err *err);
void doubles_free(struct doubles *d);

/* A peer refuses us. */
void doubles_ask(struct doubles *d);

/* A sealed message that claims to come from our own party. */
void doubles_receive(struct doubles *d, const uint8_t *sealed, size_t len);

#endif
