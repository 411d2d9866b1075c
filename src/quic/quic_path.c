#include <arpa/inet.h>

#include "quic/conn.h"

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

uint32_t
quic_path_current(const struct quic *q)
{
	return q->conn != NULL ? quic_path_id(ngtcp2_conn_get_path(q->conn)) : q->path;
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
quic_migrate(struct quic *q, uint32_t path, uint64_t now_ns)
{
	ngtcp2_path_storage ps;
	bool outside;
	int rv;

	if (q->cfg.server || q->state != QUIC_ESTABLISHED || q->ending)
		return -1;
	outside = quic_enter(q, now_ns);
	quic_path_set(&ps, path);
	/* Either answers what is being validated, if anything, with ABORTED. The
	 * immediate variant does not wait for the new path's validation, and both
	 * ends start with a fresh congestion window. */
	rv =
	    (path_is_dead(q) ? ngtcp2_conn_initiate_immediate_migration
			     : ngtcp2_conn_initiate_migration)(q->conn, &ps.path, now_ns);
	if (rv == 0) {
		q->migrating = true;
		q->new_path = path;
	}
	if (outside)
		quic_leave(q, false);
	return rv == 0 ? 0 : -1;
}
