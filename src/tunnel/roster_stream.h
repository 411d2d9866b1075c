#ifndef MPCPROXY_TUNNEL_ROSTER_STREAM_H
#define MPCPROXY_TUNNEL_ROSTER_STREAM_H

#include "session/session.h"
#include "tunnel/link.h"

/*
 * The session's signed roster, told to a party that is connected on a stream of its own:
 * what the host has changed arrives without any rendezvous, too.
 */
struct roster_heard;

/* What such a stream is for, in its header. */
#define ROSTER_SERVICE "roster"

/* Tell the party at the other end. Nothing waits for its answer: when it is not connected,
 * or takes no more streams, sealed messages have to do. */
void roster_tell(struct link *l, const struct session *s);

/*
 * A stream of the party's; its owner, or NULL when memory is short. What comes on it goes
 * to link_take_roster(). ${slot} is the one that is under way, NULL for none, and outlives
 * the stream: a newer one ends it, so that no more than ROSTER_SIGNED_MAX bytes are held for
 * a party.
 */
struct link_owner *roster_accept(struct link *l, struct roster_heard **slot,
				 struct quic_stream *qs);

#endif
