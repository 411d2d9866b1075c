#ifndef MPCPROXY_TUNNEL_ECHO_H
#define MPCPROXY_TUNNEL_ECHO_H

#include "tunnel/link.h"

/* What one stream of the echo service returns at most. */
#define ECHO_MAX 1024

/* The service that `mpcproxy ping` measures: a reply (header.h), then whatever comes.
 * It becomes the owner of ${qs} and ends with it. NULL when memory is short. */
struct link_owner *echo_accept(struct link *l, struct quic_stream *qs);

#endif
