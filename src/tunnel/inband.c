#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "rendezvous/gate.h"
#include "rendezvous/sealed_stream.h"
#include "tunnel/header.h"
#include "tunnel/inband.h"

/* The stream that we have opened. */
struct ours {
	struct link_owner owner; /* first: see conn.h */
	struct inband *in;
	struct quic_stream *qs;
	uint8_t head[HEADER_REPLY_BYTES];
	size_t head_len;
	bool open;
};

/* The one that the peer has. */
struct theirs {
	struct link_owner owner; /* first: see conn.h */
	struct inband *in;
	struct quic_stream *qs;
	struct sealed_stream reader;
	uint64_t gate; /* gate_pass() */
};

struct message {
	STAILQ_ENTRY(message) entry;
	size_t len;
	uint8_t sealed[];
};

struct inband {
	struct link *link;
	struct inband_callbacks cb;
	void *arg;
	struct ours ours;
	struct theirs theirs;
	/* What is said to our owner may end the connection, and so is not said from within
	 * callbacks of it. */
	STAILQ_HEAD(, message) messages;
	size_t n_messages;
	bool told_open;
	struct event *tell; /* only ever activated */
};

static void
tell_soon(struct inband *in)
{
	event_active(in->tell, EV_TIMEOUT, 0);
}

static void
on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct inband *in = arg;
	struct message *m;

	(void)fd;
	(void)what;
	if (in->told_open != in->ours.open) {
		in->told_open = in->ours.open;
		in->cb.changed(in->arg);
	}
	while ((m = STAILQ_FIRST(&in->messages)) != NULL) {
		STAILQ_REMOVE_HEAD(&in->messages, entry);
		in->n_messages--;
		in->cb.message(in->arg, m->sealed, m->len);
		free(m);
	}
}

/* --- ours --- */

static void
ours_gone(struct ours *o)
{
	o->qs = NULL;
	o->open = false;
	tell_soon(o->in);
}

/* Without a stream the messages go by the rendezvous alone. */
static void
ours_end(struct ours *o)
{
	quic_stream_set_arg(o->qs, NULL);
	quic_stream_abort(o->qs, QUIC_CODE_NONE);
	link_flush_soon(o->in->link);
	ours_gone(o);
}

static void
ours_on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct ours *o = owner;
	size_t left = sizeof o->head - o->head_len;

	quic_stream_consumed(o->qs, len);
	/* Nothing comes behind the reply. */
	if (fin || len > left) {
		ours_end(o);
		return;
	}
	memcpy(o->head + o->head_len, data, len);
	o->head_len += len;
	if (o->open || o->head_len < sizeof o->head)
		return;
	if (header_parse_reply(o->head) != REPLY_SUCCEEDED) {
		ours_end(o);
		return;
	}
	o->open = true;
	tell_soon(o->in);
}

static void
ours_on_reset(void *owner, uint64_t code)
{
	(void)code;
	ours_end(owner);
}

static void
ours_on_closed(void *owner, bool lost)
{
	(void)lost;
	ours_gone(owner);
}

static const struct link_stream_ops ours_ops = {
    .data = ours_on_data,
    .reset = ours_on_reset,
    .stopped = ours_on_reset,
    .closed = ours_on_closed,
};

void
inband_start(struct inband *in)
{
	static const struct header_request request = {.host = "signal"};
	struct ours *o = &in->ours;
	uint8_t head[HEADER_REQUEST_MAX];
	size_t len = header_encode_request(&request, head);

	if (o->qs != NULL)
		return;
	o->qs = link_open_stream(in->link, &o->owner);
	if (o->qs == NULL)
		return;
	o->head_len = 0;
	if (quic_stream_write(o->qs, head, len) != 0)
		ours_end(o);
	link_flush_soon(in->link);
}

bool
inband_is_open(const struct inband *in)
{
	return in->ours.open;
}

void
inband_send(struct inband *in, const uint8_t *sealed, size_t len)
{
	struct ours *o = &in->ours;
	uint8_t out[SEALED_STREAM_MAX];

	if (!o->open || quic_stream_unacked(o->qs) > INBAND_WAITING_MAX - sizeof out)
		return;
	/* Without room for it, it is as good as lost on the way. */
	if (quic_stream_write(o->qs, out, sealed_stream_encode(sealed, len, out)) == 0)
		link_flush_soon(in->link);
}

/* --- theirs --- */

static void
theirs_end(struct theirs *t, enum quic_code code)
{
	quic_stream_set_arg(t->qs, NULL);
	quic_stream_abort(t->qs, code);
	link_flush_soon(t->in->link);
	t->qs = NULL;
}

/* Without memory or room for it, it is as good as lost on the way. */
static void
keep(struct theirs *t, const uint8_t *sealed, size_t len)
{
	struct inband *in = t->in;
	struct message *m;

	if (!gate_pass(&t->gate, INBAND_BURST, NS_PER_S / INBAND_RATE, clock_now_ns()) ||
	    in->n_messages >= INBAND_BURST || (m = malloc(sizeof *m + len)) == NULL)
		return;
	m->len = len;
	memcpy(m->sealed, sealed, len);
	STAILQ_INSERT_TAIL(&in->messages, m, entry);
	in->n_messages++;
	tell_soon(in);
}

static void
theirs_on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct theirs *t = owner;
	const uint8_t *sealed;
	size_t sealed_len;
	int rc;

	quic_stream_consumed(t->qs, len);
	while ((rc = sealed_stream_next(&t->reader, &data, &len, &sealed, &sealed_len)) > 0)
		keep(t, sealed, sealed_len);
	if (rc < 0)
		theirs_end(t, QUIC_CODE_PROTOCOL);
	else if (fin)
		theirs_end(t, QUIC_CODE_NONE);
}

static void
theirs_on_reset(void *owner, uint64_t code)
{
	(void)code;
	theirs_end(owner, QUIC_CODE_NONE);
}

static void
theirs_on_closed(void *owner, bool lost)
{
	(void)lost;
	((struct theirs *)owner)->qs = NULL;
}

static const struct link_stream_ops theirs_ops = {
    .data = theirs_on_data,
    .reset = theirs_on_reset,
    .stopped = theirs_on_reset,
    .closed = theirs_on_closed,
};

struct link_owner *
inband_accept(struct inband *in, struct quic_stream *qs)
{
	struct theirs *t = &in->theirs;
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(REPLY_SUCCEEDED, head);
	if (t->qs != NULL || quic_stream_write(qs, head, sizeof head) != 0)
		return NULL;
	t->qs = qs;
	t->reader.have = 0;
	quic_stream_set_arg(qs, t);
	link_flush_soon(in->link);
	return &t->owner;
}

size_t
inband_streams(const struct inband *in)
{
	return (in->ours.qs != NULL) + (in->theirs.qs != NULL);
}

/* --- life --- */

struct inband *
inband_new(struct event_base *base, struct link *l, const struct inband_callbacks *cb,
	   void *arg, struct err *err)
{
	struct inband *in = calloc(1, sizeof *in);

	if (in == NULL || (in->tell = evtimer_new(base, on_tell, in)) == NULL) {
		free(in);
		err_set(err, "out of memory");
		return NULL;
	}
	STAILQ_INIT(&in->messages);
	in->link = l;
	in->cb = *cb;
	in->arg = arg;
	in->ours.owner.ops = &ours_ops;
	in->ours.in = in;
	in->theirs.owner.ops = &theirs_ops;
	in->theirs.in = in;
	return in;
}

void
inband_free(struct inband *in)
{
	struct message *m;

	if (in == NULL)
		return;
	while ((m = STAILQ_FIRST(&in->messages)) != NULL) {
		STAILQ_REMOVE_HEAD(&in->messages, entry);
		free(m);
	}
	event_free(in->tell);
	free(in);
}
