#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tunnel/silence.h"

/* Steps from ${*now_ns} on, each when it is due, for ${ns}; counts what was asked for. */
struct count {
	unsigned probes, lost, heard;
};

static struct count
run(struct silence *s, uint64_t *now_ns, uint64_t ns, bool late, uint64_t heard_ns)
{
	struct count c = {0};
	uint64_t end = *now_ns + ns;

	for (;;) {
		unsigned todo = silence_step(s, late, heard_ns, *now_ns);

		c.probes += (todo & SILENCE_PROBE) != 0;
		c.lost += (todo & SILENCE_LOST) != 0;
		c.heard += (todo & SILENCE_HEARD) != 0;
		if (s->next_ns > end)
			break;
		*now_ns = s->next_ns;
	}
	*now_ns = end;
	return c;
}

static void
a_path_that_is_heard_is_left_alone(void **state)
{
	uint64_t now = NS_PER_S;
	struct silence s;
	struct count c;

	(void)state;
	silence_init(&s);
	c = run(&s, &now, 3600 * NS_PER_S, false, now);
	assert_int_equal(c.probes + c.lost + c.heard, 0);
	assert_true(s.next_ns == CLOCK_NEVER);
}

static void
silence_is_probed_and_then_lost(void **state)
{
	uint64_t now = 10 * NS_PER_S, heard = 9 * NS_PER_S;
	struct silence s;
	struct count c;

	(void)state;
	silence_init(&s);
	c = run(&s, &now, 2 * NS_PER_S, true, heard);
	assert_int_equal(c.probes, 9);
	assert_int_equal(c.lost, 0);
	c = run(&s, &now, NS_PER_S, true, heard);
	assert_int_equal(c.lost, 1);
	/* Never silent itself, but seldom; and said once. */
	c = run(&s, &now, 3600 * NS_PER_S, true, heard);
	assert_in_range(c.probes, 3600, 3800);
	assert_int_equal(c.lost + c.heard, 0);
	/* QUIC has started afresh and waits: that alone is no news. */
	c = run(&s, &now, NS_PER_S, false, heard);
	assert_int_equal(c.heard, 0);
	c = run(&s, &now, NS_PER_S, false, now);
	assert_int_equal(c.heard, 1);
	assert_true(s.next_ns == CLOCK_NEVER);
	assert_false(s.lost);
}

static void
a_short_silence_is_not_mentioned(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;
	struct count c;

	(void)state;
	silence_init(&s);
	c = run(&s, &now, NS_PER_S, true, now - NS_PER_S);
	assert_int_equal(c.lost, 0);
	c = run(&s, &now, NS_PER_S, false, now);
	assert_int_equal(c.heard, 0);
}

/* Stopped for two minutes in the middle: one late probe more, no verdict. */
static void
our_own_absence_is_no_silence(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;
	struct count c;

	(void)state;
	silence_init(&s);
	run(&s, &now, NS_PER_S, true, now - NS_PER_S);
	now += 120 * NS_PER_S;
	c = run(&s, &now, NS_PER_S, true, now);
	assert_int_equal(c.lost, 0);
	assert_in_range(c.probes, 4, 5);
}

static void
answers_delay_the_verdict_but_not_for_ever(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;
	unsigned lost = 0, revived = 0;

	(void)state;
	silence_init(&s);
	for (int i = 0; i < 9; i++) {
		lost += run(&s, &now, NS_PER_S, true, 1).lost;
		revived += silence_answered(&s, now);
	}
	assert_int_equal(lost, 0);
	/* After 0, 2 and 6 s. */
	assert_in_range(revived, 2, 4);
	assert_int_equal(run(&s, &now, 5 * NS_PER_S, true, 1).lost, 1);
}

/* A path that is cut every few seconds is revived each time. */
static void
success_ends_the_pause(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;

	(void)state;
	silence_init(&s);
	for (int i = 0; i < 50; i++) {
		run(&s, &now, NS_PER_S, true, now - NS_PER_S);
		assert_true(silence_answered(&s, now));
		run(&s, &now, NS_PER_S / 10, false, now);
		assert_false(s.late);
	}
}

static void
a_suspicion_is_cleared_by_an_answer(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;
	struct count c;

	(void)state;
	silence_init(&s);
	silence_suspect(&s, now);
	c = run(&s, &now, NS_PER_S, false, now - NS_PER_S);
	assert_int_equal(c.probes, 5);
	assert_false(silence_answered(&s, now));
	assert_false(s.late);
	/* Or by a packet. */
	silence_suspect(&s, now);
	c = run(&s, &now, NS_PER_S / 10, false, now);
	assert_int_equal(c.probes, 1);
	c = run(&s, &now, NS_PER_S, false, now);
	assert_int_equal(c.probes + c.lost + c.heard, 0);
	assert_false(s.late);
}

static void
one_question_is_no_complaint(void **state)
{
	uint64_t now = 10 * NS_PER_S;
	struct silence s;

	(void)state;
	silence_init(&s);
	for (int i = 0; i < 3; i++) {
		assert_false(silence_probed(&s, now));
		now += 4 * NS_PER_S;
	}
	assert_false(silence_probed(&s, now));
	assert_true(silence_probed(&s, now + NS_PER_S / 4));
	assert_true(silence_probed(&s, now + NS_PER_S));
}

static void
a_suspicion_that_is_right(void **state)
{
	uint64_t now = 10 * NS_PER_S, heard = 9 * NS_PER_S;
	struct silence s;

	(void)state;
	silence_init(&s);
	silence_suspect(&s, now);
	assert_int_equal(run(&s, &now, 3 * NS_PER_S, false, heard).lost, 1);
	/* An answer after all: what was sent meanwhile is lost, so it is revived. */
	assert_true(silence_answered(&s, now));
	assert_int_equal(run(&s, &now, NS_PER_S, false, now).heard, 1);
	/* QUIC has become late first. */
	run(&s, &now, NS_PER_S / 2, true, heard);
	silence_suspect(&s, now);
	assert_int_equal(run(&s, &now, NS_PER_S, true, heard).lost, 1);
	run(&s, &now, NS_PER_S, false, now);
	/* Or afterwards. */
	silence_suspect(&s, now);
	heard = now;
	run(&s, &now, NS_PER_S, true, heard);
	assert_true(silence_answered(&s, now));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_path_that_is_heard_is_left_alone),
	    cmocka_unit_test(silence_is_probed_and_then_lost),
	    cmocka_unit_test(a_short_silence_is_not_mentioned),
	    cmocka_unit_test(our_own_absence_is_no_silence),
	    cmocka_unit_test(answers_delay_the_verdict_but_not_for_ever),
	    cmocka_unit_test(success_ends_the_pause),
	    cmocka_unit_test(a_suspicion_is_cleared_by_an_answer),
	    cmocka_unit_test(one_question_is_no_complaint),
	    cmocka_unit_test(a_suspicion_that_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
