#include <stdlib.h>
#include <string.h>

#include "quic/conn.h"

/* Unreliable datagrams (RFC 9221): a queue of what waits to be sent. */

/* What a short header, a DATAGRAM frame's and the AEAD add (RFC 9000, 17.3.1; RFC 9221, 4):
 * first byte, connection id, packet number, type, length, tag. */
#define OVERHEAD_BYTES (1 + QUIC_CID_BYTES + 4 + 1 + 2 + 16)

struct quic_datagram {
	struct quic_datagram *next;
	size_t len;
	uint8_t data[];
};

static size_t
max_bytes(const struct quic *q)
{
	return ngtcp2_conn_get_path_max_tx_udp_payload_size(q->conn) - OVERHEAD_BYTES;
}

static void
drop_first(struct quic *q)
{
	struct quic_datagram *first = q->datagrams;

	q->datagrams = first->next;
	if (q->datagrams == NULL)
		q->last_datagram = NULL;
	q->n_datagrams--;
	free(first);
}

void
quic_datagrams_clear(struct quic *q)
{
	while (q->datagrams != NULL)
		drop_first(q);
}

int
quic_datagram_send(struct quic *q, const struct iovec *part, int n)
{
	struct quic_datagram *d;
	size_t len = 0, at = 0;

	if (q->state != QUIC_ESTABLISHED || q->ending)
		return -1;
	for (int i = 0; i < n; i++)
		len += part[i].iov_len;
	if (len > max_bytes(q))
		return -1;
	/* Whoever comes when there is no room is lost, as on any path. */
	if (q->n_datagrams == QUIC_DATAGRAMS_MAX || (d = malloc(sizeof *d + len)) == NULL)
		return 0;
	d->next = NULL;
	d->len = len;
	for (int i = 0; i < n; i++) {
		memcpy(d->data + at, part[i].iov_base, part[i].iov_len);
		at += part[i].iov_len;
	}
	if (q->last_datagram != NULL)
		q->last_datagram->next = d;
	else
		q->datagrams = d;
	q->last_datagram = d;
	q->n_datagrams++;
	return 0;
}

ngtcp2_ssize
quic_datagram_write(struct quic *q, uint8_t *dest, size_t size, ngtcp2_path *path)
{
	ngtcp2_ssize n;
	ngtcp2_vec vec;
	int accepted;

	/* On a new path there may be less room. */
	while (q->datagrams != NULL && q->datagrams->len > max_bytes(q))
		drop_first(q);
	if (q->datagrams == NULL)
		return 0;
	vec.base = q->datagrams->data;
	vec.len = q->datagrams->len;
	n = ngtcp2_conn_writev_datagram(q->conn, path, NULL, dest, size, &accepted,
					NGTCP2_WRITE_DATAGRAM_FLAG_NONE, 0, &vec,
					vec.len > 0, q->now_ns);
	/* The peer takes none, or no larger ones. */
	if (n == NGTCP2_ERR_INVALID_STATE || n == NGTCP2_ERR_INVALID_ARGUMENT) {
		quic_datagrams_clear(q);
		return 0;
	}
	if (n >= 0 && accepted)
		drop_first(q);
	return n;
}

static int
recv_datagram(ngtcp2_conn *conn, uint32_t flags, const uint8_t *data, size_t len,
	      void *user)
{
	struct quic *q = user;

	(void)conn;
	(void)flags;
	if (q->state == QUIC_ESTABLISHED && !q->ending && q->cb.datagram != NULL)
		q->cb.datagram(q->arg, data, len);
	return 0;
}

void
quic_datagram_callbacks(ngtcp2_callbacks *cb)
{
	cb->recv_datagram = recv_datagram;
}
