#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "path/glib_loop.h"

/*
 * GLib tells which descriptors it wants polled, and for how long. They are put into an
 * epoll set of our own, and libevent watches that one: GLib's sources close
 * descriptors without a word, and a number that libevent believes it is watching but
 * that meanwhile means another file would be lost for whoever got it.
 *
 * For the same reason the set is made anew not only when GLib's wishes change, but
 * also from time to time while there is activity: a descriptor may have been closed and
 * its number used again between two looks, and then it is no longer in the set.
 */
#define RENEW_NS (100 * NS_PER_MS)

struct glib_loop {
	GMainContext *ctx;
	struct event_base *base;
	struct event *ready; /* something in the set is */
	struct event *timer; /* GLib's timeout */
	int set;             /* the epoll descriptor */
	GPollFD *watched;    /* what is in the set */
	int n_watched, watched_size;
	uint64_t renewed_ns;
	bool changed;
	struct log_gate gate;
	GPollFD *fds; /* GLib's last wishes */
	int n, size;
	gint priority;
};

/* Make the set anew from GLib's wishes. */
static int
renew(struct glib_loop *l)
{
	struct epoll_event ev;
	int set, i;

	set = epoll_create1(EPOLL_CLOEXEC);
	if (set < 0)
		return -1;
	for (i = 0; i < l->n; i++) {
		/* The bits of GIOCondition are poll's, and these are epoll's too. */
		ev.events = (uint32_t)l->fds[i].events;
		ev.data.fd = l->fds[i].fd;
		/* A descriptor that cannot be polled is left to GLib, which sees
		 * POLLNVAL in it at the next round. */
		if (epoll_ctl(set, EPOLL_CTL_ADD, l->fds[i].fd, &ev) != 0 &&
		    errno == ENOMEM)
			goto err1;
	}
	if (l->set >= 0) {
		event_del(l->ready);
		close(l->set);
	}
	l->set = set;
	if (event_assign(l->ready, l->base, set, EV_READ | EV_PERSIST,
			 event_get_callback(l->ready), l) != 0 ||
	    event_add(l->ready, NULL) != 0)
		return -1;
	if (l->watched_size < l->n) {
		l->watched = g_renew(GPollFD, l->watched, l->size);
		l->watched_size = l->size;
	}
	l->n_watched = l->n;
	memcpy(l->watched, l->fds, (size_t)l->n * sizeof *l->fds);
	return 0;
err1:
	close(set);
	return -1;
}

static bool
same_wishes(const struct glib_loop *l)
{
	int i;

	if (l->n != l->n_watched)
		return false;
	for (i = 0; i < l->n; i++)
		if (l->fds[i].fd != l->watched[i].fd ||
		    l->fds[i].events != l->watched[i].events)
			return false;
	return true;
}

/* Make the set fit for waiting up to ${timeout_ns}; returns for how long to wait. */
static uint64_t
watch(struct glib_loop *l, uint64_t timeout_ns)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t next_ns = l->renewed_ns + RENEW_NS;

	if (!l->changed && same_wishes(l) && now_ns < next_ns)
		return MIN(timeout_ns, next_ns - now_ns);
	if (renew(l) != 0) {
		int error = errno;

		if (log_gate_pass(&l->gate, (long long)now_ns, NULL))
			log_warn("cannot watch the sockets of ICE: %s", strerror(error));
		l->changed = true;
		return MIN(timeout_ns, RENEW_NS);
	}
	l->changed = false;
	l->renewed_ns = now_ns;
	return timeout_ns;
}

/* Ask GLib what to wait for, and wait for it. */
static void
prepare(struct glib_loop *l)
{
	gint timeout_ms;
	uint64_t timeout_ns;

	g_main_context_prepare(l->ctx, &l->priority);
	while ((l->n = g_main_context_query(l->ctx, l->priority, &timeout_ms, l->fds,
					    l->size)) > l->size) {
		l->size = l->n * 2;
		l->fds = g_renew(GPollFD, l->fds, l->size);
	}
	timeout_ns = timeout_ms < 0 ? CLOCK_NEVER : (uint64_t)timeout_ms * NS_PER_MS;
	/* When something is ready already the wishes lack what has a lower priority;
	 * and nothing is waited for. */
	if (timeout_ns > 0)
		timeout_ns = watch(l, timeout_ns);
	timer_after(l->timer, timeout_ns);
}

/* One round of GLib's loop, without its waiting. */
static void
iterate(evutil_socket_t fd, short what, void *arg)
{
	struct glib_loop *l = arg;

	(void)fd;
	(void)what;
	g_main_context_acquire(l->ctx);
	g_poll(l->fds, (guint)l->n, 0);
	if (g_main_context_check(l->ctx, l->priority, l->fds, l->n))
		g_main_context_dispatch(l->ctx);
	prepare(l);
	/* Nobody owns the context while libevent waits: then it is woken for every
	 * source that is attached, this thread's too. */
	g_main_context_release(l->ctx);
}

struct glib_loop *
glib_loop_new(struct event_base *base, struct err *err)
{
	struct glib_loop *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	l->base = base;
	l->set = -1;
	l->ctx = g_main_context_new_with_flags(G_MAIN_CONTEXT_FLAGS_OWNERLESS_POLLING);
	l->ready = event_new(base, -1, 0, iterate, l);
	l->timer = evtimer_new(base, iterate, l);
	if (l->ready == NULL || l->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	g_main_context_acquire(l->ctx);
	prepare(l);
	g_main_context_release(l->ctx);
	if (l->set < 0) {
		err_sys(err, "cannot create an epoll set");
		goto err1;
	}
	return l;
err1:
	glib_loop_free(l);
	return NULL;
}

void
glib_loop_free(struct glib_loop *l)
{
	if (l == NULL)
		return;
	if (l->ready != NULL)
		event_free(l->ready);
	if (l->timer != NULL)
		event_free(l->timer);
	if (l->set >= 0)
		close(l->set);
	g_main_context_unref(l->ctx);
	g_free(l->watched);
	g_free(l->fds);
	free(l);
}

GMainContext *
glib_loop_context(struct glib_loop *l)
{
	return l->ctx;
}

void
glib_loop_enter(struct glib_loop *l)
{
	g_main_context_push_thread_default(l->ctx);
}

void
glib_loop_leave(struct glib_loop *l)
{
	g_main_context_pop_thread_default(l->ctx);
	g_main_context_wakeup(l->ctx);
}

void
glib_loop_changed(struct glib_loop *l)
{
	l->changed = true;
	g_main_context_wakeup(l->ctx);
}
