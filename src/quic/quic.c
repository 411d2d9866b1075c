#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "quic/conn.h"

/* Our connection ids. Nothing is dispatched by them: a path carries one connection. */
#define CID_BYTES 8

/* A guess for the first flight: a probe timeout of 300 ms instead of a second. */
#define INITIAL_RTT_NS (100 * NS_PER_MS)

/* The peer adds it to every probe timeout, so it is smaller than the default 25 ms; a
 * party that computes may well be late by a few. */
#define MAX_ACK_DELAY_NS (5 * NS_PER_MS)

#define HANDSHAKE_LIMIT_NS (15 * NS_PER_S)

/* Spare connection ids for moves that fail. ngtcp2 keeps no more. */
#define ACTIVE_CID_MAX 8

#define PATH_LOCAL_PORT  1
#define PATH_REMOTE_PORT 2

/* Every path is a pair of addresses to ngtcp2. Ours are made up: the path's number is
 * the IPv4 address of both ends. */
void
quic_path_set(ngtcp2_path_storage *ps, uint32_t path)
{
	struct sockaddr_in local = {.sin_family = AF_INET};
	struct sockaddr_in remote;

	local.sin_addr.s_addr = htonl(path);
	remote = local;
	local.sin_port = htons(PATH_LOCAL_PORT);
	remote.sin_port = htons(PATH_REMOTE_PORT);
	ngtcp2_path_storage_init(ps, (struct sockaddr *)&local, sizeof local,
				 (struct sockaddr *)&remote, sizeof remote, NULL);
}

uint32_t
quic_path_id(const ngtcp2_path *path)
{
	return ntohl(((const struct sockaddr_in *)(const void *)path->local.addr)
			 ->sin_addr.s_addr);
}

static uint32_t
current_path(const struct quic *q)
{
	return q->conn != NULL ? quic_path_id(ngtcp2_conn_get_path(q->conn)) : q->path;
}

/* How it ended. */

static void
set_end(struct quic *q, bool tell_peer, bool by_peer, bool application, uint64_t code,
	const char *text)
{
	if (q->ending)
		return;
	q->ending = true;
	q->tell_peer = tell_peer;
	q->end.by_peer = by_peer;
	q->end.application = application;
	q->end.code = code;
	log_clean(q->end.text, sizeof q->end.text, text, strlen(text));
}

static void
end_by_peer(struct quic *q)
{
	ngtcp2_connection_close_error e;
	char reason[96], text[160];
	bool application;

	if (q->stateless_reset) {
		set_end(q, false, true, false, NGTCP2_NO_ERROR,
			"the peer does not know this connection any more");
		return;
	}
	ngtcp2_conn_get_connection_close_error(q->conn, &e);
	application =
	    e.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
	log_clean(reason, sizeof reason, e.reason, e.reasonlen);
	if (!application && e.error_code >= NGTCP2_CRYPTO_ERROR &&
	    e.error_code <= (NGTCP2_CRYPTO_ERROR | 0xff))
		snprintf(text, sizeof text, "the peer ended the handshake: %s",
			 SSL_alert_desc_string_long((int)(e.error_code & 0xff)));
	else if (reason[0] != '\0')
		snprintf(text, sizeof text, "the peer closed the connection: %s", reason);
	else
		snprintf(text, sizeof text, "the peer closed the connection (code %llu)",
			 (unsigned long long)e.error_code);
	set_end(q, false, true, application, e.error_code, text);
}

static void
end_by_tls(struct quic *q)
{
	const char *why = q->tls != NULL ? quic_tls_error(q->tls) : "";
	uint8_t alert = ngtcp2_conn_get_tls_alert(q->conn);

	set_end(q, true, false, false,
		NGTCP2_CRYPTO_ERROR | (alert != 0 ? alert : SSL_AD_INTERNAL_ERROR),
		why[0] != '\0' ? why : "the TLS handshake failed");
}

void
quic_fail(struct quic *q, int error)
{
	char text[160];

	switch (error) {
	case NGTCP2_ERR_DRAINING:
		end_by_peer(q);
		return;
	case NGTCP2_ERR_CRYPTO:
		end_by_tls(q);
		return;
	case NGTCP2_ERR_IDLE_CLOSE:
		set_end(q, false, false, false, NGTCP2_NO_ERROR,
			"nothing was heard from the peer for too long");
		return;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		set_end(q, false, false, false, NGTCP2_NO_ERROR,
			"the peer did not complete the handshake in time");
		return;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		set_end(q, false, true, false, NGTCP2_NO_ERROR,
			"the peer does not speak version 1 of QUIC");
		return;
	case NGTCP2_ERR_CALLBACK_FAILURE:
	case NGTCP2_ERR_NOMEM:
		set_end(q, true, false, false, NGTCP2_INTERNAL_ERROR,
			"out of memory, or of randomness");
		return;
	default:
		snprintf(text, sizeof text, "QUIC: %s", ngtcp2_strerror(error));
		set_end(q, true, false, false,
			ngtcp2_err_infer_quic_transport_error_code(error), text);
	}
}

/* Tell everybody that it is over. */
static void
finish(struct quic *q)
{
	if (q->tell_peer && q->conn != NULL)
		quic_send_close(q);
	q->state = QUIC_ENDED;
	quic_send_clear(q);
	quic_streams_lost(q);
	q->cb.ended(q->arg, &q->end);
}

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
path_validation(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
		ngtcp2_path_validation_result result, void *user)
{
	struct quic *q = user;

	(void)conn;
	(void)flags;
	if (!q->migrating || quic_path_id(path) != q->new_path)
		return 0;
	q->migrating = false;
	q->cb.migrated(q->arg, q->new_path,
		       result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS);
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
set_params(const struct quic *q, ngtcp2_settings *settings, ngtcp2_transport_params *params)
{
	ngtcp2_settings_default(settings);
	settings->cc_algo = NGTCP2_CC_ALGO_BBR;
	settings->initial_ts = q->now_ns;
	settings->initial_rtt = INITIAL_RTT_NS;
	settings->handshake_timeout = HANDSHAKE_LIMIT_NS;
	settings->max_window = QUIC_WINDOW_MAX;
	settings->max_stream_window = QUIC_STREAM_WINDOW_MAX;

	/* Silence is measured by us (see idle_expiry()): ngtcp2's idle timeout starts
	 * anew with what we send. */
	ngtcp2_transport_params_default(params);
	params->initial_max_data = QUIC_WINDOW_INITIAL;
	params->initial_max_stream_data_bidi_local = QUIC_STREAM_WINDOW_INITIAL;
	params->initial_max_stream_data_bidi_remote = QUIC_STREAM_WINDOW_INITIAL;
	params->initial_max_streams_bidi = QUIC_STREAMS_MAX;
	params->active_connection_id_limit = ACTIVE_CID_MAX;
	params->max_ack_delay = MAX_ACK_DELAY_NS;
}

static int
random_cid(ngtcp2_cid *cid)
{
	uint8_t bytes[CID_BYTES];

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
	quic_stream_callbacks(&cb);
	cb.handshake_completed = handshake_completed;
	cb.handshake_confirmed = handshake_confirmed;
	cb.path_validation = path_validation;
	cb.recv_stateless_reset = recv_stateless_reset;
	set_params(q, &settings, &params);
	quic_path_set(&ps, path);
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
	if (q->conn != NULL)
		ngtcp2_conn_del(q->conn);
	quic_tls_free(q->tls);
	sendbuf_pool_clear(&q->pool);
	free(q);
}

/* Serving a call. Owners may call everything but quic_free() from a callback: it marks
 * what is to be done, and leave() does it. */

static uint64_t
idle_expiry(const struct quic *q)
{
	uint64_t heard = q->last_received_ns > 0 ? q->last_received_ns : q->created_ns;

	return heard + q->cfg.idle_ns;
}

static bool
enter(struct quic *q, uint64_t now_ns)
{
	if (q->state == QUIC_ENDED || q->inside)
		return false;
	q->inside = true;
	q->now_ns = now_ns;
	return true;
}

static void
leave(struct quic *q, bool more)
{
	uint64_t expiry = CLOCK_NEVER;
	int rv;

	while (!more && !q->ending && q->conn != NULL) {
		quic_streams_notify(q);
		if (q->ending)
			break;
		if ((rv = quic_send(q)) != 0)
			quic_fail(q, rv);
		if (q->list[QUIC_LIST_NOTIFY].first == NULL)
			break;
	}
	if (q->ending) {
		finish(q);
	} else {
		expiry = idle_expiry(q);
		if (q->conn != NULL && ngtcp2_conn_get_expiry(q->conn) < expiry)
			expiry = ngtcp2_conn_get_expiry(q->conn);
	}
	q->inside = false;
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
	    ngtcp2_pkt_decode_version_cid(&vc, data, len, CID_BYTES) !=
		NGTCP2_ERR_VERSION_NEGOTIATION ||
	    RAND_bytes(&unused, 1) != 1)
		return;
	n = ngtcp2_pkt_write_version_negotiation(answer, sizeof answer, unused, vc.scid,
						 vc.scidlen, vc.dcid, vc.dcidlen, ours, 1);
	if (n > 0)
		q->bytes_sent +=
		    q->cb.send(q->arg, path, answer, (size_t)n, (size_t)n);
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
		set_end(q, false, false, false, NGTCP2_INTERNAL_ERROR, err.text);
		return false;
	}
	return true;
}

/*
 * ngtcp2 sends no probe of a new path, and no answer to one, while the congestion
 * window is full of what an old path has swallowed, until the probe timeout; and that
 * doubles without a bound while the path is dead. So when a path is known to be alive
 * the timeout fires now.
 */
static void
probe_now(struct quic *q)
{
	ngtcp2_conn_stat st;
	int rv;

	ngtcp2_conn_get_conn_stat(q->conn, &st);
	if (st.bytes_in_flight < st.cwnd || st.loss_detection_timer == UINT64_MAX ||
	    st.loss_detection_timer <= q->now_ns)
		return;
	rv = ngtcp2_conn_handle_expiry(q->conn, st.loss_detection_timer);
	/* The other party's idle timeout may lie before the probe. */
	if (rv != 0 && rv != NGTCP2_ERR_IDLE_CLOSE)
		quic_fail(q, rv);
}

static void
read_packet(struct quic *q, uint32_t path, const uint8_t *data, size_t len)
{
	ngtcp2_path_storage ps;
	int rv;

	q->opened = q->authentic = false;
	quic_path_set(&ps, path);
	rv = ngtcp2_conn_read_pkt(q->conn, &ps.path, NULL, data, len, q->now_ns);
	if (!q->opened)
		q->dropped++;
	if (q->authentic)
		q->last_received_ns = q->now_ns;
	switch (rv) {
	case 0:
		if (q->authentic && path != current_path(q))
			probe_now(q);
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
	if (!enter(q, now_ns))
		return;
	q->bytes_received += len;
	if (len == 0 || q->ending ||
	    (q->conn == NULL && !accept_first(q, path, data, len)))
		q->dropped++;
	else
		read_packet(q, path, data, len);
	leave(q, more);
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

	if (!enter(q, now_ns))
		return;
	if (idle_expiry(q) <= now_ns)
		quic_fail(q, NGTCP2_ERR_IDLE_CLOSE);
	else if (q->conn != NULL &&
		 (rv = ngtcp2_conn_handle_expiry(q->conn, now_ns)) != 0)
		quic_fail(q, rv);
	leave(q, false);
}

void
quic_flush(struct quic *q, uint64_t now_ns)
{
	if (enter(q, now_ns))
		leave(q, false);
}

void
quic_close(struct quic *q, uint64_t code, const char *reason, uint64_t now_ns)
{
	bool outside = enter(q, now_ns);

	if (q->state == QUIC_ENDED)
		return;
	set_end(q, true, false, true, code, reason);
	if (outside)
		leave(q, false);
}

int
quic_migrate(struct quic *q, uint32_t path, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	bool outside;
	int rv;

	if (q->cfg.server || q->state != QUIC_ESTABLISHED || q->ending)
		return -1;
	outside = enter(q, now_ns);
	quic_path_set(&ps, path);
	/* Answers what is being validated, if anything, with ABORTED. */
	rv = ngtcp2_conn_initiate_migration(q->conn, &ps.path, now_ns);
	if (rv == 0) {
		q->migrating = true;
		q->new_path = path;
		probe_now(q);
	}
	if (outside)
		leave(q, false);
	return rv == 0 ? 0 : -1;
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
	info->path = current_path(q);
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
