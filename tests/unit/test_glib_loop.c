#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <glib-unix.h>
#include <glib.h>

#include "path/glib_loop.h"

#define HANG_S 30

/* Long enough for the last look at the descriptors, which would hide that a wakeup is
 * missing. */
#define QUIET_MS 250

static struct event_base *base;
static struct glib_loop *loop;

static int
set_up(void **state)
{
	struct err err;

	(void)state;
	base = event_base_new();
	loop = glib_loop_new(base, &err);
	return base != NULL && loop != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	glib_loop_free(loop);
	event_base_free(base);
	return 0;
}

static void
on_hang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
	event_base_loopbreak(base);
}

static void
run_until(const int *counter, int value)
{
	struct timeval tv = {HANG_S, 0};
	bool hung = false;
	struct event *hang = evtimer_new(base, on_hang, &hung);

	evtimer_add(hang, &tv);
	while (*counter < value && !hung)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(hang);
	assert_false(hung);
}

static void
run_for_ms(unsigned ms)
{
	struct timeval tv = {0, (suseconds_t)ms * 1000};

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

static gboolean
count_once(gpointer arg)
{
	++*(int *)arg;
	return G_SOURCE_REMOVE;
}

static gboolean
count_on(gpointer arg)
{
	++*(int *)arg;
	return G_SOURCE_CONTINUE;
}

static void
attach(GSource *source, GSourceFunc func, gpointer arg)
{
	g_source_set_callback(source, func, arg, NULL);
	g_source_attach(source, glib_loop_context(loop));
	g_source_unref(source);
}

static void
runs_idle_sources_and_timeouts(void **state)
{
	int idle = 0, timeout = 0;

	(void)state;
	attach(g_idle_source_new(), count_once, &idle);
	attach(g_timeout_source_new(5), count_once, &timeout);
	run_until(&idle, 1);
	run_until(&timeout, 1);
}

static void
repeats_timeouts(void **state)
{
	int n = 0;
	GSource *source = g_timeout_source_new(1);

	(void)state;
	attach(g_source_ref(source), count_on, &n);
	run_until(&n, 5);
	g_source_destroy(source);
	g_source_unref(source);
}

static gboolean
read_one(gint fd, GIOCondition condition, gpointer arg)
{
	char c;

	(void)condition;
	assert_int_equal(read(fd, &c, 1), 1);
	++*(int *)arg;
	return G_SOURCE_CONTINUE;
}

static GSource *
watch_fd(int fd, int *counter)
{
	GSource *source = g_unix_fd_source_new(fd, G_IO_IN);

	g_source_set_callback(source, G_SOURCE_FUNC(read_one), counter, NULL);
	g_source_attach(source, glib_loop_context(loop));
	return source;
}

static void
drop(GSource *source)
{
	g_source_destroy(source);
	g_source_unref(source);
}

static void
watches_descriptors(void **state)
{
	int fds[2], n = 0;
	GSource *source;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	source = watch_fd(fds[0], &n);
	assert_int_equal(write(fds[1], "abc", 3), 3);
	run_until(&n, 3);
	drop(source);
	assert_int_equal(write(fds[1], "d", 1), 1);
	run_for_ms(10);
	assert_int_equal(n, 3);
	close(fds[0]);
	close(fds[1]);
}

struct swap {
	int old, fresh, n;
	GSource *source;
};

/* Put another pipe in place of the one that is watched, under the same number. */
static gboolean
swap(gpointer arg)
{
	struct swap *s = arg;

	drop(s->source);
	assert_int_equal(dup2(s->fresh, s->old), s->old);
	s->source = watch_fd(s->old, &s->n);
	return G_SOURCE_REMOVE;
}

static void
notices_that_a_number_is_used_again(void **state)
{
	int a[2], b[2];
	struct swap s = {0};

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	s.old = a[0];
	s.fresh = b[0];
	s.source = watch_fd(a[0], &s.n);
	assert_int_equal(write(a[1], "x", 1), 1);
	run_until(&s.n, 1);
	attach(g_idle_source_new(), swap, &s);
	run_for_ms(1);
	assert_int_equal(write(b[1], "x", 1), 1);
	run_until(&s.n, 2);

	/* The same from outside GLib, announced. */
	drop(s.source);
	assert_int_equal(dup2(a[0] = dup(b[0]), s.old), s.old);
	s.source = watch_fd(s.old, &s.n);
	glib_loop_changed(loop);
	assert_int_equal(write(b[1], "x", 1), 1);
	run_until(&s.n, 3);
	drop(s.source);
	close(s.old);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

static gpointer
attach_from_thread(gpointer arg)
{
	attach(g_idle_source_new(), count_once, arg);
	return NULL;
}

static void
is_woken_by_other_threads(void **state)
{
	int n = 0, i;
	GThread *thread;

	(void)state;
	run_for_ms(QUIET_MS);
	for (i = 1; i <= 20; i++) {
		thread = g_thread_new("attach", attach_from_thread, &n);
		run_until(&n, i);
		g_thread_join(thread);
	}
}

static void
attach_now(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	attach(g_idle_source_new(), count_once, arg);
}

static void
attach_as_default(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	glib_loop_enter(loop);
	attach(g_idle_source_new(), count_once, arg);
	glib_loop_leave(loop);
}

/* By the loop's own thread, too, while it is in libevent's callbacks. */
static void
is_woken_by_its_own_thread(void **state)
{
	struct timeval tv = {0, 1000};
	int n = 0;

	(void)state;
	run_for_ms(QUIET_MS);
	event_base_once(base, -1, EV_TIMEOUT, attach_now, &n, &tv);
	run_until(&n, 1);
	run_for_ms(QUIET_MS);
	event_base_once(base, -1, EV_TIMEOUT, attach_as_default, &n, &tv);
	run_until(&n, 2);
}

struct counting {
	GSource source;
	int *n;
};

static gboolean
count_round(GSource *source, gint *timeout)
{
	struct counting *c = (struct counting *)source;

	*timeout = -1;
	++*c->n;
	return FALSE;
}

/* Nothing to do, nothing done: at most the one round that looks at the descriptors
 * again after there was activity. */
static void
sleeps_when_idle(void **state)
{
	static GSourceFuncs funcs = {.prepare = count_round};
	struct counting *c;
	int rounds = 0, n = 0, fds[2];
	GSource *source;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	source = watch_fd(fds[0], &n);
	c = (struct counting *)g_source_new(&funcs, sizeof *c);
	c->n = &rounds;
	g_source_attach(&c->source, glib_loop_context(loop));
	run_for_ms(5);
	rounds = 0;
	run_for_ms(700);
	assert_in_range(rounds, 0, 2);
	rounds = 0;
	run_for_ms(300);
	assert_int_equal(rounds, 0);
	drop(&c->source);
	drop(source);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(runs_idle_sources_and_timeouts),
	    TEST(repeats_timeouts),
	    TEST(watches_descriptors),
	    TEST(notices_that_a_number_is_used_again),
	    TEST(is_woken_by_other_threads),
	    TEST(is_woken_by_its_own_thread),
	    TEST(sleeps_when_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
