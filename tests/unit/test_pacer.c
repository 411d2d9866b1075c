#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic/pacer.h"

#define PACKET 1444

/* 100 Mbit/s in bytes per nanosecond, and a rate at which a train takes no time to
 * speak of. */
#define SLOW 0.0125
#define FAST 0.25

/* Send all that may leave; the bytes. */
static size_t
train(struct pacer *p, double rate, uint64_t now_ns)
{
	size_t sent = 0;

	if (!pacer_begin(p, rate, now_ns))
		return 0;
	while (pacer_allows(p) && sent < 65535) {
		pacer_sent(p, rate, PACKET);
		sent += PACKET;
	}
	p->waiting = true;
	return sent;
}

/* However often somebody wakes up, and when it is late as well. */
static void
test_average(void **state)
{
	static const uint64_t every_ns[] = {10000, 100000, NS_PER_MS, 3 * NS_PER_MS};
	struct pacer p;
	uint64_t start = NS_PER_S, now;
	double sent;

	(void)state;
	for (size_t i = 0; i < sizeof every_ns / sizeof *every_ns; i++) {
		p = (struct pacer){0};
		sent = 0;
		for (now = start; now < start + NS_PER_S; now += every_ns[i])
			sent += (double)train(&p, SLOW, now);
		/* One train before its time, and what a late start makes up for. */
		assert_true(sent <= SLOW * (double)(NS_PER_S + 10 * NS_PER_MS) + PACKET);
		assert_true(sent >= SLOW * (double)(NS_PER_S - 9 * NS_PER_MS));
	}
}

static void
test_train_is_bounded(void **state)
{
	struct pacer p = {0};
	size_t n;

	(void)state;
	assert_in_range(train(&p, SLOW, NS_PER_S), 60000, 2 * 65535);
	assert_int_equal(train(&p, SLOW, NS_PER_S), 0);
	/* At 1 Mbit/s: 8 milliseconds, and what was saved up in 200. */
	p = (struct pacer){0};
	n = train(&p, SLOW / 100, NS_PER_S);
	assert_in_range(n, PACKET, 208 * 125 + PACKET);
	assert_int_equal(train(&p, SLOW / 100, 100 * NS_PER_S), n);
	/* Without a pause nothing is. */
	assert_in_range(train(&p, SLOW / 100, pacer_expiry(&p)), PACKET, 8 * 125 + PACKET);
}

static void
test_expiry(void **state)
{
	struct pacer p = {0};

	(void)state;
	assert_int_equal(pacer_expiry(&p), CLOCK_NEVER);
	train(&p, SLOW, NS_PER_S);
	assert_in_range(pacer_expiry(&p), NS_PER_S, NS_PER_S + 9 * NS_PER_MS);
	assert_int_equal(train(&p, SLOW, pacer_expiry(&p) - 1), 0);
	assert_true(train(&p, SLOW, pacer_expiry(&p)) > 0);
}

/* Messages that go as fast as the rate that they have shown are not held back. */
static void
test_rest(void **state)
{
	struct pacer p = {0};

	(void)state;
	for (uint64_t now = NS_PER_S; now < 2 * NS_PER_S; now += NS_PER_MS / 10) {
		assert_true(pacer_begin(&p, 1e-4, now));
		pacer_sent(&p, 1e-4, 100);
		pacer_rest(&p, now);
		assert_int_equal(pacer_expiry(&p), CLOCK_NEVER);
	}
}

/* No account where a train takes less than an event loop can tell, or without a rate. */
static void
test_fast(void **state)
{
	struct pacer p = {0};

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_true(train(&p, FAST, NS_PER_S) >= 60000);
		assert_true(train(&p, 0, NS_PER_S) >= 60000);
	}
	assert_true(pacer_expiry(&p) <= NS_PER_S + NS_PER_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_average),
	    cmocka_unit_test(test_train_is_bounded),
	    cmocka_unit_test(test_expiry),
	    cmocka_unit_test(test_fast),
	    cmocka_unit_test(test_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
