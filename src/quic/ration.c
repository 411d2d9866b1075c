#include "quic/conn.h"

/*
 * What costs us most and the peer least is rationed: streams that it opens only to be
 * refused, and windows of a few bytes, each of which would take a packet. Honest peers do
 * neither often enough to notice.
 */

/* Credit for refused streams comes back in portions: 1,280 a second. Until then the peer
 * lives on what is left of its QUIC_STREAMS_MAX. */
#define REFUSED_PORTION     64
#define REFUSED_INTERVAL_NS (50 * NS_PER_MS)

/* A window smaller than this, and than what there is to send, waits to grow, but not
 * for ever (as RFC 1122, 4.2.3.4, has it for TCP). */
#define SMALL_WINDOW_BYTES 1000
#define SMALL_WAIT_NS      (20 * NS_PER_MS)

void
quic_ration_init(struct quic_ration *r)
{
	*r = (struct quic_ration){.refused_ns = CLOCK_NEVER, .small_ns = CLOCK_NEVER};
}

void
quic_ration_refused(struct quic *q)
{
	if (q->ration.n_refused++ == 0)
		q->ration.refused_ns = q->now_ns + REFUSED_INTERVAL_NS;
}

/* What is being sent may fill small windows. */
static bool
has_waited(const struct quic *q)
{
	return q->ration.small_ns <= q->now_ns;
}

bool
quic_ration_is_small(struct quic *q, uint64_t left, size_t offered)
{
	if (left >= SMALL_WINDOW_BYTES || left >= offered || has_waited(q))
		return false;
	if (q->ration.small_ns == CLOCK_NEVER)
		q->ration.small_ns = q->now_ns + SMALL_WAIT_NS;
	return true;
}

void
quic_ration_begin(struct quic *q)
{
	struct quic_ration *r = &q->ration;
	struct quic_stream *s;
	size_t n;

	if (r->refused_ns <= q->now_ns) {
		n = r->n_refused < REFUSED_PORTION ? r->n_refused : REFUSED_PORTION;
		ngtcp2_conn_extend_max_streams_bidi(q->conn, n);
		r->n_refused -= n;
		r->refused_ns =
		    r->n_refused > 0 ? q->now_ns + REFUSED_INTERVAL_NS : CLOCK_NEVER;
	}
	while (has_waited(q) && (s = q->list[QUIC_LIST_SMALL].first) != NULL)
		quic_stream_unblocked(s);
}

void
quic_ration_end(struct quic *q)
{
	if (has_waited(q))
		q->ration.small_ns = CLOCK_NEVER;
}

uint64_t
quic_ration_expiry(const struct quic *q)
{
	return clock_earlier(q->ration.refused_ns, q->ration.small_ns);
}
