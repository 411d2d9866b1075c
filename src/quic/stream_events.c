#include "quic/conn.h"

static void
notify(struct quic_stream *s)
{
	struct quic *q = s->q;

	if (s->stopped && !s->stop_told) {
		s->stop_told = true;
		if (s->arg != NULL && !s->aborted)
			q->cb.stream_stopped(s->arg, s->stop_code);
	}
	if (s->want_room && quic_stream_has_room(s)) {
		s->want_room = false;
		if (s->arg != NULL && quic_stream_may_write(s))
			q->cb.stream_writable(s->arg);
	}
	if (!quic_stream_is_over(s))
		return;
	if (s->arg != NULL)
		q->cb.stream_closed(s->arg, false);
	if (ngtcp2_is_bidi_stream(s->id) &&
	    !ngtcp2_conn_is_local_stream(q->conn, s->id)) {
		if (s->refused)
			quic_ration_refused(q);
		else
			ngtcp2_conn_extend_max_streams_bidi(q->conn, 1);
	}
	quic_stream_free(s);
}

void
quic_streams_notify(struct quic *q)
{
	struct quic_stream *s;

	while ((s = q->list[QUIC_LIST_NOTIFY].first) != NULL) {
		quic_list_remove(QUIC_LIST_NOTIFY, s);
		notify(s);
	}
}

void
quic_streams_lost(struct quic *q)
{
	struct quic_stream *s;

	while ((s = q->list[QUIC_LIST_ALL].first) != NULL) {
		if (s->arg != NULL)
			q->cb.stream_closed(s->arg, true);
		quic_stream_free(s);
	}
}

/* Callbacks of ngtcp2. */

static int
stream_open(ngtcp2_conn *conn, int64_t id, void *user)
{
	struct quic *q = user;
	struct quic_stream *s = quic_stream_new(q);

	if (s == NULL)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	s->id = id;
	if (ngtcp2_conn_set_stream_user_data(conn, id, s) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	/* A server has authenticated its client before it opens a stream; this one
	 * overtook HANDSHAKE_DONE. */
	quic_established(q);
	if (!ngtcp2_is_bidi_stream(id))
		return 0;
	s->arg = q->ending ? NULL : q->cb.stream_opened(q->arg, s);
	if (s->arg == NULL) {
		quic_stream_refuse(s);
		quic_stream_abort(s, QUIC_CODE_LIMIT);
	}
	return 0;
}

static int
recv_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
		 const uint8_t *data, size_t len, void *user, void *stream_user)
{
	struct quic *q = user;
	struct quic_stream *s = stream_user;

	(void)offset;
	(void)id;
	if (q->held < QUIC_RECEIVED_MAX)
		ngtcp2_conn_extend_max_offset(conn, len);
	else
		q->owed += len;
	q->held += len;
	s->held += len;
	if (s->aborted) {
		s->held -= len;
		quic_stream_release(q, len);
	} else if (s->arg == NULL) {
		quic_stream_consumed(s, len);
	} else {
		q->cb.stream_data(s->arg, data, len,
				  (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
	}
	return 0;
}

static int
acked_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t len,
		  void *user, void *stream_user)
{
	struct quic *q = user;
	struct quic_stream *s = stream_user;
	bool all;

	(void)conn;
	(void)id;
	sendbuf_acked(&s->out, (size_t)len);
	q->buffered -= (size_t)len;
	s->acked = offset + len;
	all = s->fin_sent && s->acked == s->written;
	/* ngtcp2 reports a FIN only when it came in a frame of its own, by a length
	 * of zero; one that came with data is acknowledged with the last byte. */
	if (len == 0 || (all && !s->fin_alone))
		s->fin_acked = true;
	if (all && s->fin_acked && !s->sent_told) {
		s->sent_told = true;
		if (s->arg != NULL && !s->aborted && !s->stopped)
			q->cb.stream_sent(s->arg);
	}
	if (s->want_room && quic_stream_has_room(s))
		quic_list_add(QUIC_LIST_NOTIFY, s);
	return 0;
}

static int
stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code, void *user,
	     void *stream_user)
{
	struct quic *q = user;
	struct quic_stream *s = stream_user;
	bool error = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;

	q->packets_lost += ngtcp2_conn_get_stream_loss_count(conn, id);
	if (s == NULL)
		return 0;
	/* What no callback of ngtcp2 told: that the peer asked us to stop, and that
	 * a FIN arrived which went into one frame with data when it was sent again. */
	if (error && !s->was_reset && !s->aborted && !s->sent_told)
		quic_stream_stopped(s, code);
	if (!error && !s->sent_told && s->fin_sent) {
		s->sent_told = true;
		if (s->arg != NULL)
			q->cb.stream_sent(s->arg);
	}
	s->over = true;
	quic_stream_update(s);
	quic_list_remove(QUIC_LIST_ABORT, s);
	if (quic_stream_is_over(s))
		quic_list_add(QUIC_LIST_NOTIFY, s);
	return 0;
}

static int
stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code,
	     void *user, void *stream_user)
{
	struct quic *q = user;
	struct quic_stream *s = stream_user;

	(void)conn;
	(void)id;
	(void)final_size;
	if (s == NULL || s->was_reset)
		return 0;
	s->was_reset = true;
	s->reset_code = code;
	if (s->arg != NULL && !s->aborted)
		q->cb.stream_reset(s->arg, code);
	return 0;
}

static int
extend_max_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t max, void *user,
		       void *stream_user)
{
	struct quic_stream *s = stream_user;

	(void)conn;
	(void)id;
	(void)max;
	(void)user;
	if (s != NULL)
		quic_stream_unblocked(s);
	return 0;
}

void
quic_stream_callbacks(ngtcp2_callbacks *cb)
{
	cb->stream_open = stream_open;
	cb->recv_stream_data = recv_stream_data;
	cb->acked_stream_data_offset = acked_stream_data;
	cb->stream_close = stream_close;
	cb->stream_reset = stream_reset;
	cb->extend_max_stream_data = extend_max_stream_data;
}
