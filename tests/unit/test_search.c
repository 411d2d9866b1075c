#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tunnel/search.h"

#define HOUR_NS (3600 * NS_PER_S)

/* Tries as long as they are due within ${ns}; returns how many there were. */
static unsigned
try_for(struct search *s, uint64_t *now_ns, uint64_t ns)
{
	uint64_t end_ns = *now_ns + ns;
	unsigned n = 0;

	while (s->next_ns <= end_ns) {
		assert_true(s->next_ns >= *now_ns);
		*now_ns = s->next_ns;
		search_tried(s, *now_ns);
		n++;
	}
	*now_ns = end_ns;
	return n;
}

static void
a_direct_pair_does_not_search(void **state)
{
	uint64_t now = NS_PER_S;
	struct search s;

	(void)state;
	search_init(&s);
	assert_int_equal(try_for(&s, &now, HOUR_NS), 0);
	search_path(&s, false, now);
	assert_int_equal(try_for(&s, &now, HOUR_NS), 0);
	search_afresh(&s, now);
	assert_int_equal(try_for(&s, &now, HOUR_NS), 0);
}

static void
a_relayed_pair_tries_ever_more_rarely(void **state)
{
	uint64_t now = NS_PER_S;
	struct search s;

	(void)state;
	search_init(&s);
	search_path(&s, true, now);
	assert_int_equal(try_for(&s, &now, 3 * NS_PER_S - 1), 0);
	assert_int_equal(try_for(&s, &now, 1), 1);
	/* After 3, 9, 21, 45, 93, 189, 381, 765 s and then every 10 minutes. */
	assert_int_equal(try_for(&s, &now, HOUR_NS - 3 * NS_PER_S), 11);
	assert_int_equal(try_for(&s, &now, 24 * HOUR_NS), 24 * 6);
}

static void
a_change_of_the_network_is_a_reason_to_try(void **state)
{
	uint64_t now = NS_PER_S;
	struct search s;

	(void)state;
	search_init(&s);
	search_path(&s, true, now);
	try_for(&s, &now, 24 * HOUR_NS);
	search_afresh(&s, now);
	assert_int_equal(try_for(&s, &now, 0), 1);
	assert_int_equal(try_for(&s, &now, 6 * NS_PER_S), 1);
}

static void
what_cannot_be_tried_now_is_tried_later(void **state)
{
	uint64_t now = NS_PER_S;
	struct search s;

	(void)state;
	search_init(&s);
	search_path(&s, true, now);
	for (int i = 0; i < 5; i++) {
		now = s.next_ns;
		search_later(&s, now);
		assert_true(s.next_ns == now + 3 * NS_PER_S);
	}
}

/* A direct path that holds for half a minute only: fewer and fewer moves to it. */
static void
a_pair_does_not_go_to_and_fro(void **state)
{
	uint64_t now = NS_PER_S;
	unsigned moves = 0;
	struct search s;

	(void)state;
	search_init(&s);
	while (now < HOUR_NS) {
		search_path(&s, true, now);
		now = s.next_ns;
		search_tried(&s, now);
		search_path(&s, false, now);
		moves++;
		now += 30 * NS_PER_S;
	}
	assert_in_range(moves, 10, 14);
	/* One that lasts is another matter. */
	search_path(&s, false, now);
	now += HOUR_NS;
	search_path(&s, true, now);
	assert_true(s.next_ns == now + 3 * NS_PER_S);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_direct_pair_does_not_search),
	    cmocka_unit_test(a_relayed_pair_tries_ever_more_rarely),
	    cmocka_unit_test(a_change_of_the_network_is_a_reason_to_try),
	    cmocka_unit_test(what_cannot_be_tried_now_is_tried_later),
	    cmocka_unit_test(a_pair_does_not_go_to_and_fro),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
