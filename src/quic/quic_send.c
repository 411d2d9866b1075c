#include <stdlib.h>
#include <string.h>

#include "quic/conn.h"

/* The largest datagram that path MTU discovery tries; ngtcp2's probes end at 1444. */
#define DATAGRAM_MAX 1452

/* Trains in one batch: more only when sizes or paths alternate. */
#define TRAINS_MAX 16

/* How long before its time ngtcp2 lets a packet go (its NGTCP2_PKT_PACING_OVERHEAD). */
#define NGTCP2_EARLY_NS NS_PER_MS

/* See pacing_rate(): less than this is the trains' own doing, and so much slower. */
#define QUEUE_MIN_NS (5 * NS_PER_MS)
#define QUEUE_DRAIN  0.93

/* A CONNECTION_CLOSE that is lost leaves the peer waiting for its idle timeout, and
 * nobody stays to answer what the peer still sends (RFC 9000, 10.2.1). */
#define CLOSE_COPIES 2

/* Datagrams of one size for one path, the last of which may be shorter: what
 * UDP_SEGMENT sends with one call. */
struct train {
	uint32_t path;
	size_t len;
	size_t segment;
};

/* What one flush has written, and what a path had no room for. */
struct quic_batch {
	size_t first, n; /* trains */
	size_t offset;   /* of the first train's bytes */
	size_t len;
	struct train train[TRAINS_MAX];
	uint8_t data[];
};

union stack_batch {
	struct quic_batch batch;
	uint8_t room[sizeof(struct quic_batch) + QUIC_BATCH_BYTES];
};

static void
batch_init(struct quic_batch *b)
{
	b->first = b->n = b->offset = b->len = 0;
}

static bool
batch_has_room(const struct quic_batch *b)
{
	return b->len + DATAGRAM_MAX <= QUIC_BATCH_BYTES && b->n < TRAINS_MAX;
}

/* Count the datagram of ${len} bytes that was written at the end. */
static void
batch_add(struct quic_batch *b, uint32_t path, size_t len)
{
	struct train *t = b->n > 0 ? &b->train[b->n - 1] : NULL;

	if (t == NULL || t->path != path || len > t->segment ||
	    t->len % t->segment != 0) {
		t = &b->train[b->n++];
		*t = (struct train){.path = path, .segment = len};
	}
	t->len += len;
	b->len += len;
}

/* Offer what is in ${b} to its paths; whether all was taken. */
static bool
batch_send(struct quic *q, struct quic_batch *b)
{
	struct train *t;
	size_t taken;

	for (; b->first < b->n; b->first++) {
		t = &b->train[b->first];
		taken =
		    q->cb.send(q->arg, t->path, b->data + b->offset, t->len, t->segment);
		q->bytes_sent += taken;
		b->offset += taken;
		t->len -= taken;
		if (t->len > 0)
			return false;
	}
	return true;
}

/* Keep what the path did not take. With no memory for it, the network has lost it. */
static void
batch_keep(struct quic *q, const struct quic_batch *b)
{
	size_t left = b->len - b->offset;
	struct quic_batch *kept = malloc(sizeof *kept + left);

	if (kept == NULL)
		return;
	batch_init(kept);
	kept->n = b->n - b->first;
	kept->len = left;
	memcpy(kept->train, b->train + b->first, kept->n * sizeof kept->train[0]);
	memcpy(kept->data, b->data + b->offset, left);
	q->unsent = kept;
}

void
quic_send_clear(struct quic *q)
{
	free(q->unsent);
	q->unsent = NULL;
}

/* The stream whose turn it is, with ${offered} bytes in ${vec}; NULL when none may send. */
static struct quic_stream *
next_stream(struct quic *q, ngtcp2_vec vec[2], size_t *n_vec, size_t *offered)
{
	struct quic_stream *s;
	struct iovec iov[2];
	uint64_t left;
	int n;

	while ((s = q->list[QUIC_LIST_SEND].first) != NULL) {
		n = sendbuf_unsent(&s->out, iov, 2);
		*n_vec = (size_t)n;
		*offered = 0;
		for (int i = 0; i < n; i++) {
			vec[i].base = iov[i].iov_base;
			vec[i].len = iov[i].iov_len;
			*offered += vec[i].len;
		}
		/* Without connection credit only a FIN can go. */
		if (n == 0)
			return s;
		left = ngtcp2_conn_get_max_data_left(q->conn);
		if (left == 0 || quic_ration_is_small(q, left, *offered))
			break;
		left = ngtcp2_conn_get_max_stream_data_left(q->conn, s->id);
		if (left == 0 || !quic_ration_is_small(q, left, *offered))
			return s;
		quic_stream_blocked(s, true);
	}
	*n_vec = *offered = 0;
	return NULL;
}

/*
 * Fill one packet with the next stream in turn, and more of them while they have little to
 * say; no stream at all when none may send, which is also how BBR is told that the
 * application, not the path, sets the pace. Returns the packet's length, 0 when
 * nothing may or need be sent, or an error.
 */
static ngtcp2_ssize
write_streams(struct quic *q, uint8_t *dest, ngtcp2_path *path)
{
	struct quic_stream *s;
	ngtcp2_vec vec[2];
	ngtcp2_ssize n, taken;
	size_t n_vec, offered;
	uint32_t flags;
	bool fin;

	for (;;) {
		s = next_stream(q, vec, &n_vec, &offered);
		fin = s != NULL && s->fin_wanted && offered == s->out.unsent;
		flags = s == NULL ? 0 : NGTCP2_WRITE_STREAM_FLAG_MORE;
		if (fin)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		n = ngtcp2_conn_writev_stream(q->conn, path, NULL, dest, DATAGRAM_MAX,
					      &taken, flags, s != NULL ? s->id : -1, vec,
					      n_vec, q->now_ns);
		if (s != NULL && taken >= 0)
			quic_stream_taken(s, (size_t)taken,
					  fin && (size_t)taken == offered);
		switch (n) {
		case NGTCP2_ERR_WRITE_MORE:
			continue;
		case NGTCP2_ERR_STREAM_DATA_BLOCKED:
			quic_stream_blocked(s, false);
			continue;
		case NGTCP2_ERR_STREAM_SHUT_WR:
		case NGTCP2_ERR_STREAM_NOT_FOUND:
			/* The code comes with RESET_STREAM, if at all. */
			quic_stream_stopped(s, s->reset_code);
			continue;
		default:
			return n;
		}
	}
}

/* Datagrams and streams take turns: what sends UDP need not know of congestion, and would
 * leave streams nothing. As write_streams(). */
static ngtcp2_ssize
write_packet(struct quic *q, uint8_t *dest, ngtcp2_path *path)
{
	bool streams = q->streams_turn && q->list[QUIC_LIST_SEND].first != NULL;
	ngtcp2_ssize n;

	q->streams_turn = !streams;
	n = streams ? write_streams(q, dest, path)
		    : quic_datagram_write(q, dest, DATAGRAM_MAX, path);
	if (n != 0)
		return n;
	return streams ? quic_datagram_write(q, dest, DATAGRAM_MAX, path)
		       : write_streams(q, dest, path);
}

/* Whether anything waits to be sent, besides what ngtcp2 has to say. */
static bool
has_data(const struct quic *q)
{
	return q->list[QUIC_LIST_SEND].first != NULL || q->datagrams != NULL;
}

/*
 * As fast as the congestion controller wants, in bytes per nanosecond, but a little slower
 * while packets wait in the network's queues. BBR takes the fastest of several measurements
 * for the path's bandwidth. With the few per cent that this is too much, a queue grows
 * up to the congestion window, and every other stream's packets wait in it as well.
 */
static double
pacing_rate(const struct quic *q)
{
	ngtcp2_conn_stat st;
	uint64_t queue_ns;

	ngtcp2_conn_get_conn_stat(q->conn, &st);
	if (st.min_rtt == UINT64_MAX || st.smoothed_rtt <= st.min_rtt)
		return st.pacing_rate;
	queue_ns = st.smoothed_rtt - st.min_rtt;
	if (queue_ns > QUEUE_MIN_NS && queue_ns > st.min_rtt / 4)
		return st.pacing_rate * QUEUE_DRAIN;
	return st.pacing_rate;
}

/* Let ngtcp2 write acknowledgements only, until the pacer allows more: it adds the time
 * that its own account takes to what it is given, and lets packets go NGTCP2_EARLY_NS
 * before the sum. */
static void
hold_back(struct quic *q)
{
	ngtcp2_conn_stat st;
	uint64_t own_ns;

	if (q->unaccounted == 0)
		return;
	ngtcp2_conn_get_conn_stat(q->conn, &st);
	own_ns = (uint64_t)((double)q->unaccounted / st.pacing_rate);
	ngtcp2_conn_update_pkt_tx_time(q->conn,
				       q->pacer.paid_ns + NGTCP2_EARLY_NS - own_ns);
	q->unaccounted = 0;
}

/* Into a packet of ${len} bytes went all there was to send: whatever ngtcp2 has to say
 * comes before data. */
static bool
has_room(const struct quic *q, size_t len)
{
	return len < ngtcp2_conn_get_path_max_tx_udp_payload_size(q->conn);
}

/* A train at most, as far as there is room; the next one waits until it is paid. */
static int
write_batch(struct quic *q, struct quic_batch *b)
{
	double rate = pacing_rate(q);
	bool held = !pacer_begin(&q->pacer, rate, q->now_ns);
	struct quic_stream *s;
	ngtcp2_path_storage ps;
	bool data;
	ngtcp2_ssize n;

	if (held)
		hold_back(q);
	ngtcp2_path_storage_zero(&ps);
	q->pacer.waiting = true;
	while (batch_has_room(b) && (held || pacer_allows(&q->pacer))) {
		data = has_data(q);
		n = write_packet(q, b->data + b->len, &ps.path);
		if (n < 0)
			return (int)n;
		if (n == 0) {
			q->pacer.waiting = held;
			if (!data)
				pacer_rest(&q->pacer, q->now_ns);
			break;
		}
		pacer_sent(&q->pacer, rate, (size_t)n);
		q->unaccounted += (size_t)n;
		batch_add(b, quic_path_id(&ps.path), (size_t)n);
		/* The next packet is the next stream's. */
		s = q->list[QUIC_LIST_SEND].first;
		if (s != NULL) {
			quic_list_remove(QUIC_LIST_SEND, s);
			quic_list_add(QUIC_LIST_SEND, s);
		} else if (data && !has_data(q) && !q->expiring &&
			   has_room(q, (size_t)n)) {
			pacer_rest(&q->pacer, q->now_ns);
			break;
		}
	}
	return 0;
}

int
quic_send(struct quic *q)
{
	union stack_batch stack;
	struct quic_batch *b = &stack.batch;
	int rv;

	if (q->unsent != NULL) {
		/* The path will say when it has room. */
		q->pacer.waiting = false;
		if (!batch_send(q, q->unsent))
			return 0;
		quic_send_clear(q);
	}
	batch_init(b);
	rv = write_batch(q, b);
	/* Lost frames of a stream that are queued when it is reset would stay in
	 * ngtcp2's count of retransmissions for ever, and BBR would never again learn
	 * of a pause. So resets come behind what can be sent. */
	if (rv == 0 && q->list[QUIC_LIST_ABORT].first != NULL) {
		rv = quic_streams_abort(q);
		if (rv == 0)
			rv = write_batch(q, b);
	}
	if (b->len > 0)
		quic_path_sent(q);
	if (!batch_send(q, b)) {
		batch_keep(q, b);
		q->pacer.waiting = false;
	}
	return rv;
}

static void
close_error(const struct quic *q, ngtcp2_connection_close_error *e)
{
	const uint8_t *text = (const uint8_t *)q->end.text;

	ngtcp2_connection_close_error_default(e);
	if (q->end.application)
		ngtcp2_connection_close_error_set_application_error(e, q->end.code, text,
								    strlen(q->end.text));
	else /* What exactly failed is for our log, not for a stranger. */
		ngtcp2_connection_close_error_set_transport_error(e, q->end.code, NULL,
								  0);
}

void
quic_send_close(struct quic *q)
{
	ngtcp2_connection_close_error e;
	ngtcp2_path_storage ps;
	uint8_t packet[DATAGRAM_MAX];
	ngtcp2_ssize n;
	int i;

	close_error(q, &e);
	ngtcp2_path_storage_zero(&ps);
	n = ngtcp2_conn_write_connection_close(q->conn, &ps.path, NULL, packet,
					       sizeof packet, &e, q->now_ns);
	if (n <= 0)
		return;
	for (i = 0; i < CLOSE_COPIES; i++)
		q->bytes_sent += q->cb.send(q->arg, quic_path_id(&ps.path), packet,
					    (size_t)n, (size_t)n);
}
