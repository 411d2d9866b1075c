#include <stdbool.h>

#include "tests/unit/check.h"
#include "wan_line.h"

#define MS     1000000ULL
#define PACKET 1250 /* 10,000 bits: 0.1 ms at 100 Mbit/s */
#define SLOT   (MS / 10)
#define MANY   100000

static const char packet[PACKET];

/* Send ${n} packets, ${gap_ns} apart, and take what arrives; at_ns[i] is when the i-th
 * arrival was, for the first ${max}. Returns how many there were. */
static size_t
pass(struct wan_line *l, size_t n, uint64_t gap_ns, uint64_t *at_ns, size_t max)
{
	uint64_t now, next;
	size_t len, arrived = 0, i = 0;

	while (i < n || wan_line_next(l) != UINT64_MAX) {
		now = i < n ? i * gap_ns : UINT64_MAX;
		next = wan_line_next(l);
		if (next < now) {
			assert_null(wan_line_take(l, next - 1, &len));
			assert_non_null(wan_line_take(l, next, &len));
			assert_int_equal(len, PACKET);
			if (arrived < max)
				at_ns[arrived] = next;
			arrived++;
		} else {
			wan_line_put(l, now, packet, PACKET);
			i++;
		}
	}
	return arrived;
}

static void
test_delay_alone(void **state)
{
	struct wan_line *l = wan_line_new(&(struct wan_config){.delay_ns = 25 * MS});
	uint64_t at[3];

	(void)state;
	assert_int_equal(pass(l, 3, MS, at, 3), 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(at[i], i * MS + 25 * MS);
	wan_line_free(l);
}

/* Packets that come at once leave one after the other. */
static void
test_rate(void **state)
{
	struct wan_line *l = wan_line_new(&(struct wan_config){.rate_bps = 100000000,
							       .queue_ns = 50 * MS,
							       .delay_ns = 25 * MS});
	uint64_t at[10];

	(void)state;
	assert_int_equal(pass(l, 10, 0, at, 10), 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(at[i], (i + 1) * SLOT + 25 * MS);
	wan_line_free(l);
}

static void
test_tail_drop(void **state)
{
	struct wan_line *l =
	    wan_line_new(&(struct wan_config){.rate_bps = 100000000, .queue_ns = 5 * MS});
	const struct wan_counters *c = wan_line_counters(l);
	size_t len;

	(void)state;
	/* One on the line and 50 that wait 5 ms at most. */
	for (unsigned i = 0; i < 100; i++)
		wan_line_put(l, 0, packet, PACKET);
	assert_int_equal(c->packets, 100);
	assert_int_equal(c->overflowed, 49);
	assert_int_equal(c->queue_max_ns, 5 * MS);
	/* Room for one more as soon as one has left. */
	assert_non_null(wan_line_take(l, SLOT, &len));
	wan_line_put(l, SLOT, packet, PACKET);
	wan_line_put(l, SLOT, packet, PACKET);
	assert_int_equal(c->overflowed, 50);
	assert_int_equal(pass(l, 0, 0, NULL, 0), 51);
	assert_int_equal(c->delivered, 52);
	assert_int_equal(c->delivered_bytes, 52 * PACKET);
	wan_line_free(l);
}

static void
test_loss(void **state)
{
	struct wan_line *l =
	    wan_line_new(&(struct wan_config){.delay_ns = MS, .loss = 0.01, .seed = 7});
	const struct wan_counters *c = wan_line_counters(l);

	(void)state;
	assert_int_equal(pass(l, MANY, MS, NULL, 0) + c->lost, MANY);
	assert_in_range(c->lost, MANY / 100 * 9 / 10, MANY / 100 * 11 / 10);
	wan_line_free(l);
}

/* The same share of losses, in runs of the length asked for. */
static void
test_bursts(void **state)
{
	struct wan_line *l =
	    wan_line_new(&(struct wan_config){.loss = 0.01, .burst = 5, .seed = 7});
	const struct wan_counters *c = wan_line_counters(l);
	uint64_t lost = 0, runs = 0;
	bool in_run = false;

	(void)state;
	for (unsigned i = 0; i < 5 * MANY; i++) {
		wan_line_put(l, i, packet, 1);
		if (c->lost > lost && !in_run)
			runs++;
		in_run = c->lost > lost;
		lost = c->lost;
		if (!in_run) {
			size_t len;

			assert_non_null(wan_line_take(l, i, &len));
		}
	}
	assert_in_range(lost, 5 * MANY / 100 * 8 / 10, 5 * MANY / 100 * 12 / 10);
	assert_in_range(lost * 10 / runs, 45, 55);
	wan_line_free(l);
}

/* Who sends a packet each second meets single losses. */
static void
test_bursts_end_in_time(void **state)
{
	struct wan_line *l = wan_line_new(
	    &(struct wan_config){.delay_ns = MS, .loss = 0.01, .burst = 50, .seed = 7});
	const struct wan_counters *c = wan_line_counters(l);
	uint64_t lost = 0, run = 0, longest = 0;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		wan_line_put(l, i * 1000 * MS, packet, 1);
		wan_line_take(l, i * 1000 * MS + MS, &len);
		run = c->lost > lost ? run + 1 : 0;
		longest = run > longest ? run : longest;
		lost = c->lost;
	}
	assert_in_range(longest, 1, 3);
	wan_line_free(l);
}

static void
test_jitter_reorders(void **state)
{
	struct wan_line *l = wan_line_new(
	    &(struct wan_config){.delay_ns = 25 * MS, .jitter_ns = 5 * MS, .seed = 7});
	const struct wan_counters *c = wan_line_counters(l);
	static uint64_t at[1000];

	(void)state;
	assert_int_equal(pass(l, 1000, MS, at, 1000), 1000);
	assert_in_range(c->reordered, 300, 900);
	for (unsigned i = 1; i < 1000; i++)
		assert_true(at[i] >= at[i - 1]);
	assert_in_range(at[0], 25 * MS, 35 * MS);
	wan_line_free(l);
}

static void
test_seed_decides(void **state)
{
	static uint64_t at[3][1000];
	size_t n[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct wan_line *l =
		    wan_line_new(&(struct wan_config){.loss = 0.1,
						      .jitter_ns = 5 * MS,
						      .seed = i < 2 ? 7 : 8});

		n[i] = pass(l, 1000, MS, at[i], 1000);
		wan_line_free(l);
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(at[0], at[1], sizeof at[0]);
	assert_memory_not_equal(at[0], at[2], sizeof at[0]);
}

/* What is under way is not changed any more. */
static void
test_another_line(void **state)
{
	struct wan_config cfg = {.delay_ns = 25 * MS};
	struct wan_line *l = wan_line_new(&cfg);
	size_t len;

	(void)state;
	wan_line_put(l, 0, packet, 1);
	cfg.loss = 1;
	wan_line_set(l, &cfg);
	wan_line_put(l, MS, packet, 2);
	cfg = (struct wan_config){.delay_ns = 5 * MS};
	wan_line_set(l, &cfg);
	wan_line_put(l, 2 * MS, packet, 3);
	assert_int_equal(wan_line_next(l), 7 * MS);
	assert_non_null(wan_line_take(l, 7 * MS, &len));
	assert_int_equal(len, 3);
	assert_int_equal(wan_line_next(l), 25 * MS);
	assert_non_null(wan_line_take(l, 25 * MS, &len));
	assert_int_equal(len, 1);
	assert_int_equal(wan_line_next(l), UINT64_MAX);
	assert_int_equal(wan_line_counters(l)->lost, 1);
	assert_int_equal(wan_line_counters(l)->reordered, 1);
	wan_line_free(l);
}

/* Without a rate nothing overflows but memory's bound. */
static void
test_bounded(void **state)
{
	struct wan_line *l = wan_line_new(&(struct wan_config){.delay_ns = MS});

	(void)state;
	for (unsigned i = 0; i < WAN_PACKETS_MAX + 1; i++)
		wan_line_put(l, 0, packet, 1);
	assert_int_equal(wan_line_counters(l)->overflowed, 1);
	wan_line_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_delay_alone),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_tail_drop),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_bursts),
	    cmocka_unit_test(test_bursts_end_in_time),
	    cmocka_unit_test(test_jitter_reorders),
	    cmocka_unit_test(test_seed_decides),
	    cmocka_unit_test(test_another_line),
	    cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
