#include <stdlib.h>

#include "base/clock.h"
#include "base/timer.h"
#include "tunnel/search.h"
#include "tunnel/searcher.h"

struct searcher {
	enum searcher_did (*due)(void *arg);
	void *arg;
	struct search search;
	struct event *timer;
};

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct searcher *s = arg;

	(void)fd;
	(void)what;
	switch (s->due(s->arg)) {
	case SEARCHER_TRIED:
		search_tried(&s->search, clock_now_ns());
		break;
	case SEARCHER_WAITS:
		search_later(&s->search, clock_now_ns());
		break;
	case SEARCHER_STOPS:
		s->search.next_ns = CLOCK_NEVER;
		break;
	}
	timer_at(s->timer, s->search.next_ns);
}

struct searcher *
searcher_new(struct event_base *base, enum searcher_did (*due)(void *arg), void *arg,
	     struct err *err)
{
	struct searcher *s = calloc(1, sizeof *s);

	if (s == NULL)
		goto err1;
	s->due = due;
	s->arg = arg;
	search_init(&s->search);
	s->timer = evtimer_new(base, on_due, s);
	if (s->timer == NULL)
		goto err2;
	return s;

err2:
	free(s);
err1:
	err_set(err, "out of memory");
	return NULL;
}

void
searcher_free(struct searcher *s)
{
	if (s == NULL)
		return;
	event_free(s->timer);
	free(s);
}

void
searcher_path(struct searcher *s, bool relayed)
{
	search_path(&s->search, relayed, clock_now_ns());
	timer_at(s->timer, s->search.next_ns);
}

void
searcher_now(struct searcher *s)
{
	search_afresh(&s->search, clock_now_ns());
	timer_at(s->timer, s->search.next_ns);
}
