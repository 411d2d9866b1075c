#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "tunnel/conn.h"

struct conn {
	struct conn_callbacks cb;
	void *arg;
	struct quic *quic;
	struct event *timer;
	uint64_t timer_ns; /* when it fires: at the expiry or before */
	bool over;
	bool closing; /* by conn_close(): nobody wants to hear of it */
	bool peer_left;
	bool timed_out;
	char why[200];
};

/* What moves the expiry into the future by less than this leaves the timer as it is: it
 * looks again when it has fired. By more, and it would wake the process for nothing, and
 * before that have the kernel set its clock for every short wait (see LONE_ACK_NS). */
#define TIMER_SLACK_NS NS_PER_MS

static void
arm(struct conn *c)
{
	uint64_t when_ns = quic_expiry(c->quic);

	if (when_ns >= c->timer_ns && when_ns - c->timer_ns < TIMER_SLACK_NS)
		return;
	timer_at(c->timer, when_ns);
	c->timer_ns = when_ns;
}

static void
on_expired(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	uint64_t now_ns = clock_now_ns();

	(void)fd;
	(void)what;
	c->timer_ns = CLOCK_NEVER;
	if (!c->over && quic_expiry(c->quic) <= now_ns)
		quic_expire(c->quic, now_ns);
	if (c->over)
		return;
	arm(c);
	if (quic_is_late(c->quic))
		c->cb.late(c->arg, c);
}

static size_t
on_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct conn *c = arg;

	return c->cb.send(c->arg, path, data, len, segment);
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;

	/* The first change may come from within quic_new(). */
	if (c->quic != NULL && !c->over)
		arm(c);
}

static void
on_established(void *arg)
{
	struct conn *c = arg;

	c->cb.established(c->arg, c);
}

static void
on_ended(void *arg, const struct quic_end *end)
{
	struct conn *c = arg;

	c->over = true;
	c->peer_left =
	    end->by_peer && end->application && end->code == QUIC_CODE_SHUTDOWN;
	c->timed_out = end->silence;
	snprintf(c->why, sizeof c->why, "%s",
		 c->peer_left ? "the party's proxy has shut down" : end->text);
	if (!c->closing)
		c->cb.ended(c->arg, c);
}

static void *
on_stream_opened(void *arg, struct quic_stream *s)
{
	struct conn *c = arg;

	return c->cb.opened(c->arg, c, s);
}

static void
on_stream_data(void *sarg, const uint8_t *data, size_t len, bool fin)
{
	struct link_owner *o = sarg;

	o->ops->data(o, data, len, fin);
}

static void
on_stream_writable(void *sarg)
{
	struct link_owner *o = sarg;

	if (o->ops->writable != NULL)
		o->ops->writable(o);
}

static void
on_stream_sent(void *sarg)
{
	(void)sarg;
}

static void
on_stream_reset(void *sarg, uint64_t code)
{
	struct link_owner *o = sarg;

	o->ops->reset(o, code);
}

static void
on_stream_stopped(void *sarg, uint64_t code)
{
	struct link_owner *o = sarg;

	o->ops->stopped(o, code);
}

static void
on_stream_closed(void *sarg, bool lost)
{
	struct link_owner *o = sarg;

	o->ops->closed(o, lost);
}

static void
on_datagram(void *arg, const uint8_t *data, size_t len)
{
	struct conn *c = arg;

	c->cb.datagram(c->arg, c, data, len);
}

static void
on_migrated(void *arg, uint32_t path, bool ok)
{
	struct conn *c = arg;

	c->cb.migrated(c->arg, c, path, ok);
}

static const struct quic_callbacks quic_callbacks = {
    .send = on_send,
    .timer = on_timer,
    .established = on_established,
    .ended = on_ended,
    .stream_opened = on_stream_opened,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_sent = on_stream_sent,
    .stream_reset = on_stream_reset,
    .stream_stopped = on_stream_stopped,
    .stream_closed = on_stream_closed,
    .datagram = on_datagram,
    .migrated = on_migrated,
};

struct conn *
conn_new(struct event_base *base, const struct quic_config *cfg,
	 const struct conn_callbacks *cb, void *arg, struct err *err)
{
	struct conn *c = calloc(1, sizeof *c);

	if (c == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->cb = *cb;
	c->arg = arg;
	c->timer_ns = CLOCK_NEVER;
	c->timer = evtimer_new(base, on_expired, c);
	if (c->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	c->quic = quic_new(cfg, &quic_callbacks, c, clock_now_ns(), err);
	if (c->quic == NULL)
		goto err2;
	arm(c);
	return c;

err2:
	event_free(c->timer);
err1:
	free(c);
	return NULL;
}

void
conn_close(struct conn *c, enum quic_code code, const char *why)
{
	if (c == NULL)
		return;
	c->closing = true;
	if (!c->over)
		quic_close(c->quic, code, why, clock_now_ns());
	quic_free(c->quic);
	event_free(c->timer);
	free(c);
}

struct quic *
conn_quic(const struct conn *c)
{
	return c->over ? NULL : c->quic;
}

bool
conn_is_over(const struct conn *c)
{
	return c->over;
}

void
conn_receive(struct conn *c, uint32_t path, uint8_t *data, size_t len)
{
	if (!c->over)
		quic_receive(c->quic, path, data, len, true, clock_now_ns());
}

void
conn_flush(struct conn *c)
{
	if (!c->over)
		quic_flush(c->quic, clock_now_ns());
}

const char *
conn_why(const struct conn *c)
{
	return c->why;
}

bool
conn_peer_left(const struct conn *c)
{
	return c->peer_left;
}

bool
conn_timed_out(const struct conn *c)
{
	return c->timed_out;
}
