#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "watch/pinger.h"

#define LINE_BYTES 320

struct pinger {
	struct proxy *proxy;
	char name[SESSION_NAME_MAX + 1];
	const struct pinger_callbacks *cb;
	void *arg;
	struct event *timer;     /* the next question, or the patience with this one */
	struct proxy_ping *ping; /* NULL between round trips */
	unsigned count, sent, answered;
	uint64_t min_ns, max_ns, sum_ns;
};

/* Milliseconds with three digits behind the point. */
#define MS       "%" PRIu64 ".%03u"
#define MS_OF(t) (uint64_t)((t) / NS_PER_MS), (unsigned)((t) % NS_PER_MS / NS_PER_US)

static void
set_timer(struct pinger *p, uint64_t wait_ns)
{
	timer_after(p->timer, wait_ns);
}

static void
sum_up(struct pinger *p)
{
	char text[LINE_BYTES];

	if (p->answered > 0)
		snprintf(text, sizeof text,
			 "%s: %u of %u answered, min/avg/max " MS "/" MS "/" MS " ms",
			 p->name, p->answered, p->sent, MS_OF(p->min_ns),
			 MS_OF(p->sum_ns / p->answered), MS_OF(p->max_ns));
	else
		snprintf(text, sizeof text, "%s: 0 of %u answered", p->name, p->sent);
	evtimer_del(p->timer);
	p->cb->line(p->arg, text);
	p->cb->done(p->arg, p->answered == p->count);
}

static void
on_pong(void *arg, uint64_t rtt_ns, const char *why)
{
	struct pinger *p = arg;
	char text[LINE_BYTES];

	p->ping = NULL;
	if (why == NULL) {
		p->min_ns = p->answered == 0 || rtt_ns < p->min_ns ? rtt_ns : p->min_ns;
		p->max_ns = rtt_ns > p->max_ns ? rtt_ns : p->max_ns;
		p->sum_ns += rtt_ns;
		p->answered++;
		snprintf(text, sizeof text, "%s: " MS " ms", p->name, MS_OF(rtt_ns));
	} else {
		snprintf(text, sizeof text, "%s: %s", p->name, why);
	}
	p->cb->line(p->arg, text);
	if (p->sent < p->count)
		set_timer(p, PINGER_INTERVAL_NS);
	else
		sum_up(p);
}

static void
ask(struct pinger *p)
{
	char text[LINE_BYTES];
	struct err err;

	p->sent++;
	p->ping = proxy_ping(p->proxy, p->name, on_pong, p, &err);
	if (p->ping != NULL) {
		set_timer(p, PINGER_ANSWER_NS);
		return;
	}
	/* Not connected: further attempts would only say so again. */
	snprintf(text, sizeof text, "%s: %.250s", p->name, err.text);
	p->cb->line(p->arg, text);
	sum_up(p);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pinger *p = arg;

	(void)fd;
	(void)what;
	if (p->ping == NULL) {
		ask(p);
		return;
	}
	proxy_ping_cancel(p->ping);
	on_pong(p, 0, "no answer");
}

struct pinger *
pinger_new(struct event_base *base, struct proxy *proxy, const char *name, unsigned count,
	   const struct pinger_callbacks *cb, void *arg)
{
	struct pinger *p;

	if ((p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	p->proxy = proxy;
	snprintf(p->name, sizeof p->name, "%s", name);
	p->count = count;
	p->cb = cb;
	p->arg = arg;
	if ((p->timer = evtimer_new(base, on_timer, p)) == NULL) {
		free(p);
		return NULL;
	}
	set_timer(p, 0);
	return p;
}

void
pinger_free(struct pinger *p)
{
	if (p == NULL)
		return;
	if (p->ping != NULL)
		proxy_ping_cancel(p->ping);
	event_free(p->timer);
	free(p);
}
