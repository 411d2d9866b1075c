#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "quic/conn.h"

/* A guess for the first flight: a probe timeout of 300 ms instead of a second. */
#define INITIAL_RTT_NS (100 * NS_PER_MS)

/* The peer adds it to every probe timeout, so it is smaller than the default 25 ms; a
 * party that computes may well be late by a few. */
#define MAX_ACK_DELAY_NS (8 * NS_PER_MS)

/*
 * Two full packets are acknowledged at once (RFC 9000, 13.2.2; what is full counts, as in
 * RFC 5681, 4.2: a round of MPyC is a few messages of 20 bytes); less with the local
 * program's answer, or after this long. It is decided here: ngtcp2 takes an eighth of the
 * round trip, and on a LAN would not wait for anybody to answer. It is longer than a
 * tick of most kernels (4 ms): a shorter timeout has the clock's hardware set anew for every
 * epoll_wait(), which on a virtual machine costs as much as the rest of it.
 */
#define FULL_BYTES  1200
#define LONE_ACK_NS (5 * NS_PER_MS)

/*
 * On a WAN packets come one by one, and an acknowledgement for every two costs both ends as
 * much as the packets themselves. There one is for so many packets, or for what comes
 * within so long. What comes after the last of them waits for LONE_ACK_NS, so round trips
 * must be long enough that this does not hold up a sender whose window is small.
 */
#define ACK_PACKETS       10
#define ACK_GATHER_NS     NS_PER_MS
#define ACK_GATHER_RTT_NS (4 * LONE_ACK_NS)

#define HANDSHAKE_LIMIT_NS (15 * NS_PER_S)

/* Spare connection ids for moves that fail. ngtcp2 keeps no more. */
#define ACTIVE_CID_MAX 8

/* Callbacks of ngtcp2 about the connection as a whole. */

void
quic_established(struct quic *q)
{
	if (q->state != QUIC_HANDSHAKE)
		return;
	q->state = QUIC_ESTABLISHED;
	if (!q->ending)
		q->cb.established(q->arg);
}

/* The server's handshake is complete when the client has proved its key. A client's is
 * complete earlier, when its proof has left: it waits for the server's confirmation. */
static int
handshake_completed(ngtcp2_conn *conn, void *user)
{
	struct quic *q = user;

	ngtcp2_conn_set_keep_alive_timeout(conn, q->cfg.keep_alive_ns);
	if (q->cfg.server)
		quic_established(q);
	return 0;
}

static int
handshake_confirmed(ngtcp2_conn *conn, void *user)
{
	(void)conn;
	quic_established(user);
	return 0;
}

static int
recv_stateless_reset(ngtcp2_conn *conn, const ngtcp2_pkt_stateless_reset *sr, void *user)
{
	struct quic *q = user;

	(void)conn;
	(void)sr;
	q->stateless_reset = true;
	return 0;
}

/* Making a connection. */

static void
set_params(const struct quic *q, ngtcp2_settings *settings,
	   ngtcp2_transport_params *params)
{
	ngtcp2_settings_default(settings);
	settings->cc_algo = NGTCP2_CC_ALGO_BBR2; /* what became BBR in ngtcp2 1.0 */
	settings->initial_ts = q->now_ns;
	settings->initial_rtt = INITIAL_RTT_NS;
	settings->handshake_timeout = HANDSHAKE_LIMIT_NS;
	settings->max_window = QUIC_WINDOW_MAX;
	settings->max_stream_window = QUIC_STREAM_WINDOW_MAX;
	settings->ack_thresh = 1; /* see LONE_ACK_NS */

	/* Silence is measured by us (see idle_expiry()): ngtcp2's idle timeout starts
	 * anew with what we send. */
	ngtcp2_transport_params_default(params);
	params->initial_max_data = QUIC_WINDOW_INITIAL;
	params->initial_max_stream_data_bidi_local = QUIC_STREAM_WINDOW_INITIAL;
	params->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW_INITIAL;
	params->initial_max_streams_bidi = QUIC_STREAMS_MAX;
	params->initial_max_streams_uni = q->cfg.uni_streams;
	params->initial_max_stream_data_uni = QUIC_STREAM_WINDOW_INITIAL;
	params->active_connection_id_limit = ACTIVE_CID_MAX;
	params->max_ack_delay = MAX_ACK_DELAY_NS;
	params->max_datagram_frame_size = UINT16_MAX;
}

static int
random_cid(ngtcp2_cid *cid)
{
	uint8_t bytes[QUIC_CID_BYTES];

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return -1;
	ngtcp2_cid_init(cid, bytes, sizeof bytes);
	return 0;
}

/* ${initial} is the first packet's header; NULL for a client. */
static int
start(struct quic *q, uint32_t path, const ngtcp2_pkt_hd *initial, struct err *err)
{
	ngtcp2_callbacks cb;
	ngtcp2_settings settings;
	ngtcp2_transport_params params;
	ngtcp2_path_storage ps;
	ngtcp2_cid scid, dcid;
	int rv;

	memset(&cb, 0, sizeof cb);
	quic_crypto_callbacks(&cb);
	quic_keys_callbacks(&cb);
	quic_stream_callbacks(&cb);
	quic_datagram_callbacks(&cb);
	cb.handshake_completed = handshake_completed;
	cb.handshake_confirmed = handshake_confirmed;
	quic_path_callbacks(&cb);
	cb.recv_stateless_reset = recv_stateless_reset;
	set_params(q, &settings, &params);
	quic_path_set(&ps, (struct quic_place){.path = path});
	if (random_cid(&scid) < 0 || random_cid(&dcid) < 0)
		return err_ssl(err, "random bytes");
	if (initial != NULL) {
		params.original_dcid = initial->dcid;
		rv = ngtcp2_conn_server_new(&q->conn, &initial->scid, &scid, &ps.path,
					    initial->version, &cb, &settings, &params,
					    NULL, q);
	} else {
		rv = ngtcp2_conn_client_new(&q->conn, &dcid, &scid, &ps.path,
					    NGTCP2_PROTO_VER_V1, &cb, &settings, &params,
					    NULL, q);
	}
	if (rv != 0) {
		q->conn = NULL;
		return err_set(err, "QUIC: %s", ngtcp2_strerror(rv));
	}
	if (quic_crypto_start(q, &scid, err) < 0) {
		ngtcp2_conn_del(q->conn);
		q->conn = NULL;
		return -1;
	}
	q->path = path;
	q->state = QUIC_HANDSHAKE;
	return 0;
}

/* Forget a client's first packet that led to nothing. */
static void
stop(struct quic *q)
{
	ngtcp2_conn_del(q->conn);
	q->conn = NULL;
	quic_tls_free(q->tls);
	q->tls = NULL;
	q->tls_done = false;
	q->state = QUIC_WAITING;
}

struct quic *
quic_new(const struct quic_config *cfg, const struct quic_callbacks *cb, void *arg,
	 uint64_t now_ns, struct err *err)
{
	struct quic *q = calloc(1, sizeof *q);

	if (q == NULL) {
		err_sys(err, "QUIC connection");
		return NULL;
	}
	q->cfg = *cfg;
	q->cb = *cb;
	q->arg = arg;
	q->path = cfg->path;
	q->created_ns = q->now_ns = now_ns;
	q->state = QUIC_WAITING;
	quic_ration_init(&q->ration);
	if (!cfg->server && start(q, cfg->path, NULL, err) < 0) {
		free(q);
		return NULL;
	}
	/* A client's first packet waits for the first call. */
	q->expiry_ns = cfg->server ? now_ns + cfg->idle_ns : now_ns;
	return q;
}

void
quic_free(struct quic *q)
{
	if (q == NULL)
		return;
	q->state = QUIC_ENDED;
	quic_streams_free(q);
	quic_send_clear(q);
	quic_datagrams_clear(q);
	if (q->conn != NULL)
		ngtcp2_conn_del(q->conn);
	quic_tls_free(q->tls);
	sendbuf_pool_clear(&q->pool);
	free(q);
}

/* Serving a call. Owners may call everything but quic_free() from a callback: it marks
 * what is to be done, and quic_leave() does it. */

static uint64_t
idle_expiry(const struct quic *q)
{
	uint64_t heard = q->last_received_ns > 0 ? q->last_received_ns : q->created_ns;

	return heard + q->cfg.idle_ns;
}

bool
quic_enter(struct quic *q, uint64_t now_ns)
{
	if (q->state == QUIC_ENDED || q->inside)
		return false;
	q->inside = true;
	q->now_ns = now_ns;
	return true;
}

/* For how long the acknowledgement of what was read may wait for more. */
static uint64_t
ack_patience(const struct quic *q)
{
	ngtcp2_conn_stat st;

	if (q->n_read == 0 || q->n_read >= ACK_PACKETS)
		return 0;
	if (q->n_read == 1 || q->read_bytes < 2 * FULL_BYTES)
		return LONE_ACK_NS;
	ngtcp2_conn_get_conn_stat(q->conn, &st);
	return st.smoothed_rtt >= ACK_GATHER_RTT_NS ? ACK_GATHER_NS : 0;
}

/* All there may be to send is an acknowledgement, and what can wait as long. */
static bool
can_wait(const struct quic *q)
{
	return q->settled && q->now_ns < q->read_ns + ack_patience(q) && !q->expiring &&
	       !q->migrating && !q->pacer.waiting && q->unsent == NULL &&
	       q->now_ns < quic_ration_expiry(q) &&
	       q->list[QUIC_LIST_SEND].first == NULL &&
	       q->list[QUIC_LIST_ABORT].first == NULL &&
	       q->list[QUIC_LIST_NOTIFY].first == NULL;
}

static void
send_all(struct quic *q)
{
	int rv;

	quic_ration_begin(q);
	while (!q->ending) {
		quic_streams_notify(q);
		if (q->ending)
			return;
		if ((rv = quic_send(q)) != 0)
			quic_fail(q, rv);
		if (q->list[QUIC_LIST_NOTIFY].first == NULL)
			break;
	}
	quic_ration_end(q);
	q->n_read = 0;
	q->read_bytes = 0;
	q->settled = q->state == QUIC_ESTABLISHED;
}

static uint64_t
next_expiry(const struct quic *q, bool waits)
{
	uint64_t expiry = idle_expiry(q);
	uint64_t next = CLOCK_NEVER;

	if (waits)
		next = q->read_ns + LONE_ACK_NS;
	else if (q->conn != NULL)
		next = ngtcp2_conn_get_expiry(q->conn);
	expiry = clock_earlier(expiry, next);
	expiry = clock_earlier(expiry, quic_path_expiry(q));
	expiry = clock_earlier(expiry, pacer_expiry(&q->pacer));
	return clock_earlier(expiry, quic_ration_expiry(q));
}

void
quic_leave(struct quic *q, bool more)
{
	uint64_t expiry = CLOCK_NEVER;
	bool waits = !more && !q->ending && can_wait(q);

	if (!more && !waits && q->conn != NULL)
		send_all(q);
	if (q->ending)
		quic_finish(q);
	else if (more)
		expiry = q->expiry_ns;
	else
		expiry = next_expiry(q, waits);
	q->inside = false;
	q->expiring = false;
	if (expiry != q->expiry_ns) {
		q->expiry_ns = expiry;
		if (q->state != QUIC_ENDED)
			q->cb.timer(q->arg);
	}
}

/* A client that speaks another version learns which one we speak (RFC 9000, 6.1). */
static void
negotiate_version(struct quic *q, uint32_t path, const uint8_t *data, size_t len)
{
	static const uint32_t ours[] = {NGTCP2_PROTO_VER_V1};
	uint8_t answer[256], unused;
	ngtcp2_version_cid vc;
	ngtcp2_ssize n;

	if (len < NGTCP2_MAX_UDP_PAYLOAD_SIZE ||
	    ngtcp2_pkt_decode_version_cid(&vc, data, len, QUIC_CID_BYTES) !=
		NGTCP2_ERR_VERSION_NEGOTIATION ||
	    RAND_bytes(&unused, 1) != 1)
		return;
	n = ngtcp2_pkt_write_version_negotiation(answer, sizeof answer, unused, vc.scid,
						 vc.scidlen, vc.dcid, vc.dcidlen, ours,
						 1);
	if (n > 0)
		q->bytes_sent += q->cb.send(q->arg, path, answer, (size_t)n, (size_t)n);
}

/* A server's first packet. Whether there is a connection to read it. */
static bool
accept_first(struct quic *q, uint32_t path, const uint8_t *data, size_t len)
{
	ngtcp2_pkt_hd hd;
	struct err err;

	if (ngtcp2_accept(&hd, data, len) != 0 || hd.version != NGTCP2_PROTO_VER_V1) {
		negotiate_version(q, path, data, len);
		return false;
	}
	if (start(q, path, &hd, &err) < 0) {
		quic_end(q, false, false, false, NGTCP2_INTERNAL_ERROR, err.text);
		return false;
	}
	return true;
}

static void
read_packet(struct quic *q, uint32_t path, const uint8_t *data, size_t len)
{
	struct quic_place place;
	ngtcp2_path_storage ps;
	int rv;

	q->opened = q->authentic = q->eliciting = false;
	if (!quic_path_of(q, path, data, len, &place)) {
		q->dropped++;
		return;
	}
	quic_path_set(&ps, place);
	rv = ngtcp2_conn_read_pkt(q->conn, &ps.path, NULL, data, len, q->now_ns);
	if (!q->opened)
		q->dropped++;
	/* Others do not make a second packet of the one that follows: two ends that
	 * acknowledge at once would send two packets for every message, for ever. */
	if (q->eliciting) {
		if (q->n_read++ == 0)
			q->read_ns = q->now_ns;
		q->read_bytes += len;
	}
	if (q->authentic) {
		quic_path_heard(q);
		quic_path_proved(q, place, data, len);
	}
	switch (rv) {
	case 0:
		return;
	case NGTCP2_ERR_RETRY:
	case NGTCP2_ERR_DROP_CONN:
		stop(q);
		return;
	default:
		quic_fail(q, rv);
	}
}

void
quic_receive(struct quic *q, uint32_t path, uint8_t *data, size_t len, bool more,
	     uint64_t now_ns)
{
	if (!quic_enter(q, now_ns))
		return;
	q->bytes_received += len;
	if (len == 0 || q->ending ||
	    (q->conn == NULL && !accept_first(q, path, data, len)))
		q->dropped++;
	else
		read_packet(q, path, data, len);
	quic_leave(q, more);
}

uint64_t
quic_expiry(const struct quic *q)
{
	return q->expiry_ns;
}

void
quic_expire(struct quic *q, uint64_t now_ns)
{
	int rv;

	if (!quic_enter(q, now_ns))
		return;
	q->expiring = true;
	if (idle_expiry(q) <= now_ns)
		quic_fail(q, NGTCP2_ERR_IDLE_CLOSE);
	else if (q->conn != NULL &&
		 (rv = ngtcp2_conn_handle_expiry(q->conn, now_ns)) != 0)
		quic_fail(q, rv);
	quic_leave(q, false);
}

void
quic_flush(struct quic *q, uint64_t now_ns)
{
	if (quic_enter(q, now_ns))
		quic_leave(q, false);
}

void
quic_close(struct quic *q, uint64_t code, const char *reason, uint64_t now_ns)
{
	bool outside = quic_enter(q, now_ns);

	if (q->state == QUIC_ENDED)
		return;
	quic_end(q, true, false, true, code, reason);
	if (outside)
		quic_leave(q, false);
}

uint64_t
quic_last_received_ns(const struct quic *q)
{
	return q->last_received_ns;
}

void
quic_get_info(const struct quic *q, struct quic_info *info)
{
	const struct quic_stream *s;
	ngtcp2_conn_stat st;

	memset(info, 0, sizeof *info);
	info->established = q->state == QUIC_ESTABLISHED;
	info->bytes_sent = q->bytes_sent;
	info->bytes_received = q->bytes_received;
	info->packets_lost = q->packets_lost;
	info->datagrams_dropped = q->dropped;
	info->last_received_ns = q->last_received_ns;
	info->streams = q->streams;
	info->path = quic_path_current(q);
	if (q->conn == NULL)
		return;
	for (s = q->list[QUIC_LIST_ALL].first; s != NULL; s = s->link[QUIC_LIST_ALL].next)
		if (!s->over)
			info->packets_lost +=
			    ngtcp2_conn_get_stream_loss_count(q->conn, s->id);
	ngtcp2_conn_get_conn_stat(q->conn, &st);
	info->smoothed_rtt_ns = st.smoothed_rtt;
	info->min_rtt_ns = st.min_rtt == UINT64_MAX ? 0 : st.min_rtt;
	info->cwnd_bytes = (size_t)st.cwnd;
	info->datagram_bytes = ngtcp2_conn_get_path_max_tx_udp_payload_size(q->conn);
}
