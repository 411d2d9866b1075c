#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "quic/conn.h"

/* A stream that could not write is told of room when there is this much of it, so that
 * it is not woken for every acknowledgement. */
#define ROOM_WORTH_TELLING (64 * 1024)

void
quic_list_add(enum quic_list_name name, struct quic_stream *s)
{
	struct quic_list *list = &s->q->list[name];
	struct quic_link *link = &s->link[name];

	if (link->in)
		return;
	link->in = true;
	link->next = NULL;
	link->prev = list->last;
	if (list->last != NULL)
		list->last->link[name].next = s;
	else
		list->first = s;
	list->last = s;
}

void
quic_list_remove(enum quic_list_name name, struct quic_stream *s)
{
	struct quic_list *list = &s->q->list[name];
	struct quic_link *link = &s->link[name];

	if (!link->in)
		return;
	link->in = false;
	if (link->prev != NULL)
		link->prev->link[name].next = link->next;
	else
		list->first = link->next;
	if (link->next != NULL)
		link->next->link[name].prev = link->prev;
	else
		list->last = link->prev;
}

static struct quic_stream *
stream_new(struct quic *q)
{
	struct quic_stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->q = q;
	sendbuf_init(&s->out, &q->pool);
	quic_list_add(QUIC_LIST_ALL, s);
	q->streams++;
	return s;
}

/* What the owner has in hand: give the connection's credit for ${len} bytes of it back,
 * and what was withheld before as far as the bound allows. */
static void
release(struct quic *q, size_t len)
{
	size_t credit = q->owed;

	q->held -= len;
	if (q->held >= QUIC_RECEIVED_MAX && credit > len)
		credit = len;
	q->owed -= credit;
	if (credit > 0 && q->state != QUIC_ENDED)
		ngtcp2_conn_extend_max_offset(q->conn, credit);
}

static void
stream_free(struct quic_stream *s)
{
	struct quic *q = s->q;
	int i;

	release(q, s->held);
	q->buffered -= s->out.len;
	q->streams--;
	sendbuf_clear(&s->out);
	for (i = 0; i < QUIC_LISTS; i++)
		quic_list_remove((enum quic_list_name)i, s);
	free(s);
}

/* Whether callbacks of the stream may be made. */
static bool
has_owner(const struct quic_stream *s)
{
	return s->arg != NULL;
}

static bool
may_write(const struct quic_stream *s)
{
	return !s->aborted && !s->stopped && !s->over && s->q->state == QUIC_ESTABLISHED;
}

/* Put the stream among those that send, if it has anything to. */
static void
update_sending(struct quic_stream *s)
{
	bool wants = s->out.unsent > 0 || (s->fin_wanted && !s->fin_sent);

	if (may_write(s) && wants && (!s->blocked || s->out.unsent == 0))
		quic_list_add(QUIC_LIST_SEND, s);
	else
		quic_list_remove(QUIC_LIST_SEND, s);
}

/* What the stream may have in its buffer at most. */
static size_t
send_limit(const struct quic_stream *s)
{
	return s->q->buffered < QUIC_BUFFERED_MAX ? QUIC_SEND_BUFFER_MAX
						  : SENDBUF_CHUNK_BYTES;
}

static size_t
room(const struct quic_stream *s)
{
	size_t limit = send_limit(s);

	return s->out.len < limit ? limit - s->out.len : 0;
}

static bool
room_worth_telling(const struct quic_stream *s)
{
	return room(s) >= (s->out.len < ROOM_WORTH_TELLING ? 1 : ROOM_WORTH_TELLING);
}

/*
 * A clean end waits for the owner to have got rid of everything, so that what owners
 * hold of finished streams is bounded by the peer's credit too.
 */
static bool
is_over(const struct quic_stream *s)
{
	return s->over && (s->held == 0 || s->aborted || s->was_reset);
}

static void
check_over(struct quic_stream *s)
{
	if (is_over(s))
		quic_list_add(QUIC_LIST_NOTIFY, s);
}

/* API. */

struct quic_stream *
quic_stream_open(struct quic *q, void *sarg)
{
	struct quic_stream *s;

	if (q->state != QUIC_ESTABLISHED || q->ending)
		return NULL;
	s = stream_new(q);
	if (s == NULL)
		return NULL;
	if (ngtcp2_conn_open_bidi_stream(q->conn, &s->id, s) != 0) {
		stream_free(s);
		return NULL;
	}
	s->arg = sarg;
	return s;
}

int
quic_stream_reserve(struct quic_stream *s, size_t want, struct iovec iov[2])
{
	size_t limit = room(s);
	int n;

	if (!may_write(s) || s->fin_wanted)
		return 0;
	n = sendbuf_reserve(&s->out, want < limit ? want : limit, iov);
	if (n == 0)
		s->want_room = true;
	return n;
}

void
quic_stream_commit(struct quic_stream *s, size_t len)
{
	sendbuf_commit(&s->out, len);
	s->written += len;
	s->q->buffered += len;
	update_sending(s);
}

int
quic_stream_write(struct quic_stream *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct iovec iov[2];
	size_t n;
	int i, cnt;

	if (!may_write(s) || s->fin_wanted)
		return -1;
	if (len > room(s)) {
		s->want_room = true;
		return -1;
	}
	while (len > 0) {
		cnt = sendbuf_reserve(&s->out, len, iov);
		if (cnt == 0) {
			/* Half a message is worse than none. */
			if (p != data)
				quic_stream_abort(s, QUIC_CODE_LIMIT);
			return -1;
		}
		for (i = 0, n = 0; i < cnt; i++) {
			memcpy(iov[i].iov_base, p + n, iov[i].iov_len);
			n += iov[i].iov_len;
		}
		quic_stream_commit(s, n);
		p += n;
		len -= n;
	}
	return 0;
}

void
quic_stream_finish(struct quic_stream *s)
{
	s->fin_wanted = true;
	update_sending(s);
}

void
quic_stream_consumed(struct quic_stream *s, size_t len)
{
	/* An aborted stream has given everything back already. */
	if (len > s->held)
		len = s->held;
	s->held -= len;
	release(s->q, len);
	if (s->q->state != QUIC_ENDED && !s->over)
		ngtcp2_conn_extend_max_stream_offset(s->q->conn, s->id, len);
	check_over(s);
}

void
quic_stream_abort(struct quic_stream *s, uint64_t code)
{
	if (s->aborted || s->q->state == QUIC_ENDED)
		return;
	s->aborted = true;
	s->abort_code = code;
	release(s->q, s->held);
	s->held = 0;
	update_sending(s);
	if (s->over)
		check_over(s);
	else
		quic_list_add(QUIC_LIST_ABORT, s);
}

void
quic_stream_set_arg(struct quic_stream *s, void *sarg)
{
	s->arg = sarg;
	if (sarg == NULL)
		quic_stream_consumed(s, s->held);
}

size_t
quic_stream_unacked(const struct quic_stream *s)
{
	return s->out.len;
}

/* For quic_send.c. */

void
quic_stream_taken(struct quic_stream *s, size_t len, bool fin)
{
	sendbuf_sent(&s->out, len);
	if (fin) {
		s->fin_sent = true;
		s->fin_alone = len == 0;
	}
	update_sending(s);
}

void
quic_stream_blocked(struct quic_stream *s)
{
	s->blocked = true;
	update_sending(s);
}

/* The bytes in the buffer stay: ngtcp2 may refer to them until it closes the stream. */
void
quic_stream_stopped(struct quic_stream *s, uint64_t code)
{
	if (s->stopped)
		return;
	s->stopped = true;
	s->stop_code = code;
	update_sending(s);
	quic_list_add(QUIC_LIST_NOTIFY, s);
}

int
quic_streams_abort(struct quic *q)
{
	struct quic_stream *s;
	int rv = 0;

	while (rv == 0 && (s = q->list[QUIC_LIST_ABORT].first) != NULL) {
		quic_list_remove(QUIC_LIST_ABORT, s);
		rv = ngtcp2_conn_shutdown_stream(q->conn, s->id, s->abort_code);
	}
	return rv;
}

static void
notify(struct quic_stream *s)
{
	struct quic *q = s->q;

	if (s->stopped && !s->stop_told) {
		s->stop_told = true;
		if (has_owner(s) && !s->aborted)
			q->cb.stream_stopped(s->arg, s->stop_code);
	}
	if (s->want_room && room_worth_telling(s)) {
		s->want_room = false;
		if (has_owner(s) && may_write(s))
			q->cb.stream_writable(s->arg);
	}
	if (!is_over(s))
		return;
	if (has_owner(s))
		q->cb.stream_closed(s->arg, false);
	if (!ngtcp2_conn_is_local_stream(q->conn, s->id))
		ngtcp2_conn_extend_max_streams_bidi(q->conn, 1);
	stream_free(s);
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
		if (has_owner(s))
			q->cb.stream_closed(s->arg, true);
		stream_free(s);
	}
}

void
quic_streams_free(struct quic *q)
{
	struct quic_stream *s;

	while ((s = q->list[QUIC_LIST_ALL].first) != NULL)
		stream_free(s);
}

/* Callbacks of ngtcp2. */

static int
stream_open(ngtcp2_conn *conn, int64_t id, void *user)
{
	struct quic *q = user;
	struct quic_stream *s = stream_new(q);

	if (s == NULL)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	s->id = id;
	if (ngtcp2_conn_set_stream_user_data(conn, id, s) != 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	/* A server has authenticated its client before it opens a stream; this one
	 * overtook HANDSHAKE_DONE. */
	quic_established(q);
	s->arg = q->ending ? NULL : q->cb.stream_opened(q->arg, s);
	if (!has_owner(s))
		quic_stream_abort(s, QUIC_CODE_LIMIT);
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
		release(q, len);
	} else if (!has_owner(s)) {
		quic_stream_consumed(s, len);
	} else {
		q->cb.stream_data(s->arg, data, len,
				  (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
	}
	return 0;
}

static int
acked_stream_data(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t len, void *user,
		  void *stream_user)
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
		if (has_owner(s) && !s->aborted && !s->stopped)
			q->cb.stream_sent(s->arg);
	}
	if (s->want_room && room_worth_telling(s))
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
		if (has_owner(s))
			q->cb.stream_sent(s->arg);
	}
	s->over = true;
	update_sending(s);
	quic_list_remove(QUIC_LIST_ABORT, s);
	check_over(s);
	return 0;
}

static int
stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size, uint64_t code, void *user,
	     void *stream_user)
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
	if (has_owner(s) && !s->aborted)
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
	if (s == NULL)
		return 0;
	s->blocked = false;
	update_sending(s);
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
