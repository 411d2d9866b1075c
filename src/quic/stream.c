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

struct quic_stream *
quic_stream_new(struct quic *q)
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

void
quic_stream_release(struct quic *q, size_t len)
{
	size_t credit = q->owed;

	q->held -= len;
	if (q->held >= QUIC_RECEIVED_MAX && credit > len)
		credit = len;
	q->owed -= credit;
	if (credit > 0 && q->state != QUIC_ENDED)
		ngtcp2_conn_extend_max_offset(q->conn, credit);
}

void
quic_stream_free(struct quic_stream *s)
{
	struct quic *q = s->q;
	int i;

	quic_stream_release(q, s->held);
	q->buffered -= s->out.len;
	q->streams--;
	sendbuf_clear(&s->out);
	for (i = 0; i < QUIC_LISTS; i++)
		quic_list_remove((enum quic_list_name)i, s);
	free(s);
}

bool
quic_stream_may_write(const struct quic_stream *s)
{
	return !s->aborted && !s->stopped && !s->over && s->q->state == QUIC_ESTABLISHED;
}

void
quic_stream_update(struct quic_stream *s)
{
	bool wants = s->out.unsent > 0 || (s->fin_wanted && !s->fin_sent);

	if (quic_stream_may_write(s) && wants && (!s->blocked || s->out.unsent == 0))
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
	size_t left = s->out.len < limit ? limit - s->out.len : 0;
	size_t unsent =
	    s->out.unsent < QUIC_UNSENT_MAX ? QUIC_UNSENT_MAX - s->out.unsent : 0;

	return left < unsent ? left : unsent;
}

bool
quic_stream_has_room(const struct quic_stream *s)
{
	return room(s) >= (s->out.len < ROOM_WORTH_TELLING ? 1 : ROOM_WORTH_TELLING);
}

bool
quic_stream_is_over(const struct quic_stream *s)
{
	return s->over && (s->held == 0 || s->aborted || s->was_reset);
}

/* API. */

struct quic_stream *
quic_stream_open(struct quic *q, void *sarg)
{
	struct quic_stream *s;

	if (q->state != QUIC_ESTABLISHED || q->ending)
		return NULL;
	s = quic_stream_new(q);
	if (s == NULL)
		return NULL;
	if (ngtcp2_conn_open_bidi_stream(q->conn, &s->id, s) != 0) {
		quic_stream_free(s);
		return NULL;
	}
	s->arg = sarg;
	return s;
}

static_assert(QUIC_STREAM_AREAS == SENDBUF_AREAS, "one for the other");

int
quic_stream_reserve(struct quic_stream *s, size_t want,
		    struct iovec iov[QUIC_STREAM_AREAS])
{
	size_t limit = room(s);
	int n;

	if (!quic_stream_may_write(s) || s->fin_wanted)
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
	quic_stream_update(s);
}

int
quic_stream_write(struct quic_stream *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	struct iovec iov[QUIC_STREAM_AREAS];
	size_t n;
	int i, cnt;

	if (!quic_stream_may_write(s) || s->fin_wanted)
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
	quic_stream_update(s);
}

void
quic_stream_consumed(struct quic_stream *s, size_t len)
{
	/* An aborted stream has given everything back already. */
	if (len > s->held)
		len = s->held;
	s->held -= len;
	quic_stream_release(s->q, len);
	if (s->q->state != QUIC_ENDED && !s->over)
		ngtcp2_conn_extend_max_stream_offset(s->q->conn, s->id, len);
	if (quic_stream_is_over(s))
		quic_list_add(QUIC_LIST_NOTIFY, s);
}

void
quic_stream_abort(struct quic_stream *s, uint64_t code)
{
	if (s->aborted || s->q->state == QUIC_ENDED)
		return;
	s->aborted = true;
	s->abort_code = code;
	quic_stream_release(s->q, s->held);
	s->held = 0;
	quic_stream_update(s);
	if (s->over)
		quic_list_add(QUIC_LIST_NOTIFY, s);
	else
		quic_list_add(QUIC_LIST_ABORT, s);
}

void
quic_stream_refuse(struct quic_stream *s)
{
	s->refused = true;
}

void
quic_stream_set_arg(struct quic_stream *s, void *sarg)
{
	s->arg = sarg;
	if (sarg == NULL)
		quic_stream_consumed(s, s->held);
}

uint64_t
quic_stream_id(const struct quic_stream *s)
{
	return (uint64_t)s->id;
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
	quic_stream_update(s);
	if (s->want_room && quic_stream_has_room(s))
		quic_list_add(QUIC_LIST_NOTIFY, s);
}

void
quic_stream_blocked(struct quic_stream *s, bool small)
{
	s->blocked = true;
	if (small)
		quic_list_add(QUIC_LIST_SMALL, s);
	quic_stream_update(s);
}

void
quic_stream_unblocked(struct quic_stream *s)
{
	s->blocked = false;
	quic_list_remove(QUIC_LIST_SMALL, s);
	quic_stream_update(s);
}

/* The bytes in the buffer stay: ngtcp2 may refer to them until it closes the stream. */
void
quic_stream_stopped(struct quic_stream *s, uint64_t code)
{
	if (s->stopped)
		return;
	s->stopped = true;
	s->stop_code = code;
	quic_stream_update(s);
	quic_list_add(QUIC_LIST_NOTIFY, s);
}

int
quic_streams_abort(struct quic *q)
{
	struct quic_stream *s;
	int rv = 0;

	while (rv == 0 && (s = q->list[QUIC_LIST_ABORT].first) != NULL) {
		quic_list_remove(QUIC_LIST_ABORT, s);
		/* Frames go out last in, first out. STOP_SENDING has to come first: a
		 * peer that has not met the stream yet makes one for it and answers,
		 * but takes RESET_STREAM for its end and answers nothing any more. */
		rv = ngtcp2_conn_shutdown_stream_write(q->conn, s->id, s->abort_code);
		if (rv == 0)
			rv = ngtcp2_conn_shutdown_stream_read(q->conn, s->id,
							      s->abort_code);
	}
	return rv;
}

void
quic_streams_free(struct quic *q)
{
	struct quic_stream *s;

	while ((s = q->list[QUIC_LIST_ALL].first) != NULL)
		quic_stream_free(s);
}
