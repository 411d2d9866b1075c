#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"
#include "quic/conn.h"

/*
 * Every path is a pair of addresses to ngtcp2. Ours are made up: the path's number is
 * the IPv4 address of both ends, and the local port is the epoch.
 *
 * ngtcp2 doubles its probe timeout for as long as a path is silent, and with a full
 * congestion window sends nothing else, so after a long outage it would find the path
 * again only minutes later. It starts afresh on a new path alone. So we make one of the
 * same: the client when it is told that the path is back (quic_revive()), with a
 * connection id that is new as well; the server when it meets that id. Both then
 * validate it.
 */
#define PATH_REMOTE_PORT 1

/* An answer is overdue when so many probes in a row have had none (acknowledged ones
 * set ngtcp2's count back to 2 at most), and the next is so far away. */
#define LATE_PROBES 3
#define LATE_NS     (500 * NS_PER_MS)

/* The same for one who sends all the time: every packet starts the probe timeout anew
 * (RFC 9002, 6.2.1), and none may ever end. So many of them are the time of LATE_PROBES. */
#define LATE_TIMEOUTS ((1 << LATE_PROBES) - 1)

/* From the client's challenge in a new place to what makes ngtcp2 follow it there. */
#define ENTERING_NS (500 * NS_PER_MS)

void
quic_path_set(ngtcp2_path_storage *ps, struct quic_place place)
{
	struct sockaddr_in local = {.sin_family = AF_INET};
	struct sockaddr_in remote;

	local.sin_addr.s_addr = htonl(place.path);
	remote = local;
	local.sin_port = htons(place.epoch);
	remote.sin_port = htons(PATH_REMOTE_PORT);
	ngtcp2_path_storage_init(ps, (struct sockaddr *)&local, sizeof local,
				 (struct sockaddr *)&remote, sizeof remote, NULL);
}

static const struct sockaddr_in *
local_of(const ngtcp2_path *path)
{
	return (const struct sockaddr_in *)(const void *)path->local.addr;
}

uint32_t
quic_path_id(const ngtcp2_path *path)
{
	return ntohl(local_of(path)->sin_addr.s_addr);
}

static struct quic_place
place_in_use(const struct quic *q)
{
	const ngtcp2_path *path = ngtcp2_conn_get_path(q->conn);

	return (struct quic_place){quic_path_id(path), ntohs(local_of(path)->sin_port)};
}

uint32_t
quic_path_current(const struct quic *q)
{
	return q->conn != NULL ? place_in_use(q).path : q->path;
}

static bool
same_place(struct quic_place a, struct quic_place b)
{
	return a.path == b.path && a.epoch == b.epoch;
}

/* Whether a datagram of full size has come there. */
static bool
is_full(const struct quic *q, struct quic_place place)
{
	for (size_t i = 0; i < QUIC_PLACES && i < q->n_full; i++)
		if (same_place(q->full[i], place))
			return true;
	return false;
}

/* Never used before: an address that ngtcp2 has left can confuse it. */
static struct quic_place
next_place(const struct quic *q, uint32_t path)
{
	return (struct quic_place){path, (uint16_t)(q->epoch + 1)};
}

/* The client's challenge came with a new connection id; what makes ngtcp2 follow it has
 * not come yet. */
static bool
is_entering(const struct quic *q, uint32_t path)
{
	return q->now_ns - q->full_ns < ENTERING_NS && is_full(q, next_place(q, path));
}

void
quic_path_sent(struct quic *q)
{
	ngtcp2_conn_stat st;

	if (q->unanswered_ns > 0 || q->state != QUIC_ESTABLISHED)
		return;
	ngtcp2_conn_get_conn_stat(q->conn, &st);
	if (st.bytes_in_flight > 0)
		q->unanswered_ns = q->now_ns;
}

void
quic_path_heard(struct quic *q)
{
	q->last_received_ns = q->now_ns;
	q->unanswered_ns = 0;
}

/* When what is unanswered is so for too long. */
static uint64_t
unanswered_until(const struct quic *q)
{
	uint64_t patience_ns;

	if (q->unanswered_ns == 0)
		return CLOCK_NEVER;
	patience_ns = LATE_TIMEOUTS * ngtcp2_conn_get_pto(q->conn);
	return q->unanswered_ns + (patience_ns > LATE_NS ? patience_ns : LATE_NS);
}

uint64_t
quic_path_expiry(const struct quic *q)
{
	uint64_t until = q->state == QUIC_ESTABLISHED ? unanswered_until(q) : CLOCK_NEVER;

	return until > q->now_ns ? until : CLOCK_NEVER;
}

bool
quic_is_late(const struct quic *q)
{
	ngtcp2_conn_stat st;

	if (q->state != QUIC_ESTABLISHED)
		return false;
	if (unanswered_until(q) <= q->now_ns)
		return true;
	ngtcp2_conn_get_conn_stat(q->conn, &st);
	return st.pto_count >= LATE_PROBES &&
	       ngtcp2_conn_get_pto(q->conn) >= LATE_NS >> (st.pto_count & 31);
}

/* The connection id of a packet with a short header; NULL for others. */
static const uint8_t *
short_dcid(const uint8_t *data, size_t len)
{
	return len > QUIC_CID_BYTES && (data[0] & 0x80) == 0 ? data + 1 : NULL;
}

static bool
has_new_dcid(const struct quic *q, const uint8_t *data, size_t len)
{
	const uint8_t *dcid = short_dcid(data, len);

	return dcid != NULL && q->has_dcid && memcmp(dcid, q->dcid, QUIC_CID_BYTES) != 0;
}

/*
 * A server that follows a small datagram to a new place may send little there (RFC 9000,
 * 8.1), so its challenge is small, too, and ngtcp2 then gives up the connection when a
 * second, full one fails. So a server takes no notice of a new place before a datagram
 * of full size, which the client's challenge is.
 */
bool
quic_path_of(struct quic *q, uint32_t path, const uint8_t *data, size_t len,
	     struct quic_place *place)
{
	bool full = len >= NGTCP2_MAX_UDP_PAYLOAD_SIZE;

	*place = place_in_use(q);
	if (path == place->path) {
		if (q->cfg.server && has_new_dcid(q, data, len) &&
		    (full || is_entering(q, path)))
			*place = next_place(q, path);
		return true;
	}
	*place = (struct quic_place){.path = path};
	return !q->cfg.server || q->state != QUIC_ESTABLISHED || full ||
	       is_full(q, *place);
}

void
quic_path_proved(struct quic *q, struct quic_place place, const uint8_t *data, size_t len)
{
	const uint8_t *dcid = short_dcid(data, len);

	if (!q->cfg.server)
		return;
	if (len >= NGTCP2_MAX_UDP_PAYLOAD_SIZE && !is_full(q, place)) {
		q->full[q->n_full++ % QUIC_PLACES] = place;
		q->full_ns = q->now_ns;
	}
	if (!same_place(place, place_in_use(q)))
		return;
	if (same_place(place, next_place(q, place.path)))
		q->epoch++;
	if (dcid != NULL) {
		memcpy(q->dcid, dcid, QUIC_CID_BYTES);
		q->has_dcid = true;
	}
}

/*
 * The path in use is dead: a probe is unanswered that waited behind a full congestion
 * window, or a keep-alive. An end whose window is full sends neither challenge nor
 * response on another path before its probe timeout, which doubles without a bound.
 */
static bool
path_is_dead(const struct quic *q)
{
	uint64_t silence_ns = q->now_ns - q->last_received_ns;
	ngtcp2_conn_stat st;

	ngtcp2_conn_get_conn_stat(q->conn, &st);
	return (st.pto_count > 0 && st.bytes_in_flight >= st.cwnd) ||
	       (q->cfg.keep_alive_ns > 0 &&
		silence_ns > q->cfg.keep_alive_ns + ngtcp2_conn_get_pto(q->conn));
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

void
quic_path_callbacks(ngtcp2_callbacks *cb)
{
	cb->path_validation = path_validation;
}

int
quic_migrate(struct quic *q, uint32_t path, bool dead, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	bool outside;
	int rv;

	if (q->cfg.server || q->state != QUIC_ESTABLISHED || q->ending)
		return -1;
	outside = quic_enter(q, now_ns);
	quic_path_set(&ps, (struct quic_place){.path = path});
	/* Either answers what is being validated, if anything, with ABORTED. The
	 * immediate variant does not wait for the new path's validation, and both
	 * ends start with a fresh congestion window. */
	rv =
	    (dead || path_is_dead(q) ? ngtcp2_conn_initiate_immediate_migration
			     : ngtcp2_conn_initiate_migration)(q->conn, &ps.path, now_ns);
	if (rv == 0) {
		q->migrating = true;
		q->new_path = path;
		q->unanswered_ns = 0;
	}
	if (outside)
		quic_leave(q, false);
	return rv == 0 ? 0 : -1;
}

int
quic_revive(struct quic *q, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	bool outside;
	int rv;

	if (q->cfg.server || q->state != QUIC_ESTABLISHED || q->ending || q->migrating)
		return -1;
	outside = quic_enter(q, now_ns);
	quic_path_set(&ps, next_place(q, quic_path_current(q)));
	rv = ngtcp2_conn_initiate_immediate_migration(q->conn, &ps.path, now_ns);
	if (rv == 0) {
		q->epoch++;
		q->unanswered_ns = 0;
	}
	if (outside)
		quic_leave(q, false);
	return rv == 0 ? 0 : -1;
}
