#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tunnel/meter.h"

#define RATE 1000000

static void
test_no_limit(void **state)
{
	struct meter m = {0};

	(void)state;
	assert_int_equal(meter_allow(&m, SIZE_MAX, 5), SIZE_MAX);
	meter_take(&m, 1000);
	assert_int_equal(meter_allow(&m, 7, 5), 7);
}

/* Whoever takes all there is, however often he asks, gets the rate and one burst. */
static void
test_rate(void **state)
{
	static const uint64_t steps_ns[] = {NS_PER_US, 33 * NS_PER_US, 10 * NS_PER_MS};

	(void)state;
	for (size_t i = 0; i < sizeof steps_ns / sizeof steps_ns[0]; i++) {
		struct meter m = {0};
		uint64_t total = 0, now = 12345;

		meter_set(&m, RATE, now);
		for (uint64_t end = now + 2 * NS_PER_S; now <= end; now += steps_ns[i]) {
			size_t n = meter_allow(&m, SIZE_MAX, now);

			meter_take(&m, n);
			total += n;
		}
		assert_in_range(total, 2 * RATE + RATE / 10 - RATE / 50,
				2 * RATE + RATE / 10);
	}
}

static void
test_a_pause_saves_one_burst(void **state)
{
	struct meter m = {0};

	(void)state;
	meter_set(&m, RATE, 0);
	meter_take(&m, RATE / 10);
	assert_int_equal(meter_allow(&m, 1, 0), 0);
	assert_int_equal(meter_allow(&m, SIZE_MAX, 3600 * NS_PER_S), RATE / 10);
}

static void
test_a_new_rate(void **state)
{
	struct meter m = {0};

	(void)state;
	meter_set(&m, RATE, 0);
	meter_set(&m, 1, 0);
	assert_int_equal(meter_allow(&m, SIZE_MAX, 0), METER_BURST_MIN);
	meter_set(&m, 0, 0);
	assert_int_equal(meter_allow(&m, SIZE_MAX, 0), SIZE_MAX);
}

/* Datagrams are not cut: a large one passes when anything may, and is paid for later. */
static void
test_datagrams(void **state)
{
	struct meter m = {0};
	uint64_t total = 0, now = 0;

	(void)state;
	assert_true(meter_pass(&m, 65507, 0));
	meter_set(&m, RATE / 10, 0);
	for (; now <= 20 * NS_PER_S; now += NS_PER_MS)
		total += meter_pass(&m, 65507, now) ? 65507 : 0;
	assert_in_range(total, 2 * RATE - 65507, 2 * RATE + METER_BURST_MIN + 65507);
	assert_int_equal(meter_allow(&m, 1, now), 0);
	/* As much as may be owed, and the slowest rate. */
	meter_set(&m, 1, now);
	assert_false(meter_pass(&m, 1, now + NS_PER_S));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_limit),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_a_pause_saves_one_burst),
	    cmocka_unit_test(test_a_new_rate),
	    cmocka_unit_test(test_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
