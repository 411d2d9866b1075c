#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "tunnel/doubles.h"

struct doubles {
	struct twin *twin;
	struct event *timer;
};

static void
arm(struct doubles *d)
{
	timer_at(d->timer, twin_expiry(d->twin));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct doubles *d = arg;

	(void)fd;
	(void)what;
	twin_tick(d->twin, clock_now_ns());
	arm(d);
}

struct doubles *
doubles_new(struct event_base *base, const struct twin_config *cfg,
	    const struct twin_callbacks *cb, void *arg, struct err *err)
{
	struct doubles *d = calloc(1, sizeof *d);

	if (d == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	d->timer = evtimer_new(base, on_timer, d);
	if (d->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	d->twin = twin_new(cfg, cb, arg, err);
	if (d->twin == NULL)
		goto err2;
	return d;

err2:
	event_free(d->timer);
err1:
	free(d);
	return NULL;
}

void
doubles_free(struct doubles *d)
{
	if (d == NULL)
		return;
	twin_free(d->twin);
	event_free(d->timer);
	free(d);
}

void
doubles_ask(struct doubles *d)
{
	twin_ask(d->twin, clock_now_ns());
	arm(d);
}

void
doubles_receive(struct doubles *d, const uint8_t *sealed, size_t len)
{
	struct err err;

	if (twin_receive(d->twin, sealed, len, clock_now_ns(), &err) != 0)
		log_debug("a message from our own party is ignored: %s", err.text);
	arm(d);
}
