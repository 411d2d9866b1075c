#include "check.h"

#include <stdbool.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/timer.h"

#define FOREVER_NS (UINT64_MAX - 1)

static struct event_base *base;
static struct event *timer;
static uint64_t fired_ns; /* 0: it has not */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fired_ns = clock_now_ns();
}

static int
set_up(void **state)
{
	(void)state;
	fired_ns = 0;
	base = event_base_new();
	timer = evtimer_new(base, on_timer, NULL);
	return base != NULL && timer != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	event_free(timer);
	event_base_free(base);
	return 0;
}

static bool
is_set(void)
{
	return event_pending(timer, EV_TIMEOUT, NULL) != 0;
}

/* Until nothing is left to wait for. */
static void
wait_for_it(void)
{
	assert_int_not_equal(event_base_dispatch(base), -1);
}

static void
test_never_early(void **state)
{
	uint64_t when_ns;

	(void)state;
	for (uint64_t ns = 1; ns < 4 * NS_PER_MS; ns = ns * 7 + 1) {
		when_ns = clock_now_ns() + ns;
		timer_at(timer, when_ns);
		wait_for_it();
		assert_true(fired_ns >= when_ns);
		when_ns = clock_now_ns() + ns;
		timer_after(timer, ns);
		wait_for_it();
		assert_true(fired_ns >= when_ns);
	}
}

/* The loop looks at the clock before its callbacks, not in between. */
static void
on_long(evutil_socket_t fd, short what, void *arg)
{
	uint64_t *when_ns = arg;

	(void)fd;
	(void)what;
	*when_ns = clock_now_ns() + 10 * NS_PER_MS;
	while (clock_now_ns() < *when_ns)
		;
	*when_ns += 5 * NS_PER_MS;
	timer_at(timer, *when_ns);
}

static void
test_never_early_after_a_long_callback(void **state)
{
	uint64_t when_ns;

	(void)state;
	event_base_once(base, -1, EV_TIMEOUT, on_long, &when_ns, NULL);
	wait_for_it();
	assert_true(fired_ns >= when_ns);
}

static void
test_at_once(void **state)
{
	(void)state;
	timer_at(timer, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(fired_ns > 0);
	fired_ns = 0;
	timer_after(timer, 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(fired_ns > 0);
}

static void
test_never(void **state)
{
	(void)state;
	timer_after(timer, NS_PER_S);
	assert_true(is_set());
	timer_at(timer, CLOCK_NEVER);
	assert_false(is_set());
	timer_after(timer, NS_PER_S);
	timer_after(timer, CLOCK_NEVER);
	assert_false(is_set());
	wait_for_it();
	assert_true(fired_ns == 0);
}

/* However far away: six hundred years are no overflow. */
static void
test_one_replaces_another(void **state)
{
	(void)state;
	timer_after(timer, FOREVER_NS);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(fired_ns == 0 && is_set());
	timer_at(timer, FOREVER_NS);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_true(fired_ns == 0 && is_set());
	timer_at(timer, clock_now_ns() + NS_PER_MS);
	wait_for_it();
	assert_true(fired_ns > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_never_early, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_never_early_after_a_long_callback,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_at_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_never, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_one_replaces_another, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
