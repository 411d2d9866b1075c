#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rendezvous/boxes.h"

static const struct boxes_limits limits = {
    .per_sender = 3,
    .senders = 4,
    .sender_boxes = 3,
    .box_bytes = 12 * (BOXES_OVERHEAD + 1),
    .bytes = 20 * (BOXES_OVERHEAD + 1),
    .age_ns = 10 * NS_PER_S,
};

static int
setup(void **state)
{
	*state = boxes_new(&limits);
	return *state != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	boxes_free(*state);
	return 0;
}

/* Sender, source and box are told apart by one byte each, and so is the message. */
static void
put_at(struct boxes *b, uint8_t box, uint8_t sender, uint8_t source, uint8_t msg,
       uint64_t now_ns)
{
	const struct box_id id = {.key = {box}};
	const struct pubkey key = {{sender}};
	const struct box_source from = {{source}};

	assert_int_equal(boxes_put(b, &id, &key, &from, &msg, 1, now_ns), 0);
}

static void
put(struct boxes *b, uint8_t box, uint8_t sender, uint8_t source, uint8_t msg)
{
	/* Every message is younger than the one before. */
	static uint64_t now_ns;

	put_at(b, box, sender, source, msg, ++now_ns);
}

/* The next message of the box, 0 when it is empty. */
static uint8_t
take(struct boxes *b, uint8_t box)
{
	const struct box_id id = {.key = {box}};
	struct box_message *m = boxes_take(b, &id);
	uint8_t msg;

	if (m == NULL)
		return 0;
	assert_int_equal(m->len, 1);
	msg = m->data[0];
	free(m);
	return msg;
}

static size_t
count(struct boxes *b)
{
	struct boxes_stats stats;

	boxes_get_stats(b, &stats);
	assert_int_equal(stats.bytes, stats.messages * (BOXES_OVERHEAD + 1));
	return stats.messages;
}

static void
one_sender_s_messages_stay_in_order(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 1, 1, 10);
	put(b, 1, 1, 1, 11);
	put(b, 2, 1, 1, 20);
	assert_int_equal(take(b, 1), 10);
	assert_int_equal(take(b, 1), 11);
	assert_int_equal(take(b, 1), 0);
	assert_int_equal(take(b, 2), 20);
	assert_int_equal(count(b), 0);
}

static void
senders_take_turns(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 1, 1, 10);
	put(b, 1, 1, 1, 11);
	put(b, 1, 1, 1, 12);
	put(b, 1, 2, 1, 20);
	assert_int_equal(take(b, 1), 10);
	assert_int_equal(take(b, 1), 20);
	assert_int_equal(take(b, 1), 11);
}

static void
the_newest_replaces_the_oldest(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 2, 1, 99);
	for (uint8_t i = 10; i < 20; i++)
		put(b, 1, 1, 1, i);
	assert_int_equal(count(b), 4);
	assert_int_equal(take(b, 1), 99);
	assert_int_equal(take(b, 1), 17);
	assert_int_equal(take(b, 1), 18);
	assert_int_equal(take(b, 1), 19);
}

static void
a_sender_s_boxes_are_bounded(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 1, 1, 10);
	put(b, 1, 1, 1, 11);
	put(b, 2, 1, 1, 20);
	put(b, 3, 1, 1, 30);
	put(b, 4, 1, 1, 40);
	/* A whole box had to go, not only a message of it. */
	assert_int_equal(take(b, 1), 0);
	assert_int_equal(take(b, 2), 20);
	assert_int_equal(take(b, 4), 40);
}

static void
strangers_from_one_place_displace_only_each_other(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 1, 1, 10);
	put(b, 1, 2, 1, 20);
	for (uint8_t i = 100; i < 200; i++)
		put(b, 1, i, 9, i);
	assert_int_equal(count(b), 4);
	assert_int_equal(take(b, 1), 10);
	assert_int_equal(take(b, 1), 20);
	assert_int_equal(take(b, 1), 198);
	assert_int_equal(take(b, 1), 199);
}

static void
a_party_gets_into_a_box_that_strangers_fill(void **state)
{
	struct boxes *b = *state;

	for (uint8_t i = 100; i < 110; i++)
		put(b, 1, i, 9, i);
	put(b, 1, 1, 1, 10);
	for (uint8_t i = 110; i < 120; i++)
		put(b, 1, i, 9, i);
	assert_int_equal(take(b, 1), 10);
}

static void
a_box_s_bytes_are_bounded(void **state)
{
	static const uint8_t large[8 * BOXES_OVERHEAD];
	const struct box_id id = {.key = {1}};
	const struct box_source from = {{9}};
	const struct pubkey key = {{100}};
	struct boxes *b = *state;
	struct boxes_stats stats;

	put(b, 1, 1, 1, 10);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(boxes_put(b, &id, &key, &from, large, sizeof large, i),
				 0);
	boxes_get_stats(b, &stats);
	assert_int_equal(stats.messages, 2);
	assert_true(stats.bytes <= limits.box_bytes);
	assert_int_equal(take(b, 1), 10);
	/* More than any box may hold. */
	assert_int_equal(boxes_put(b, &id, &key, &from, large, limits.box_bytes, 1), -1);
}

static void
all_together_are_bounded(void **state)
{
	struct boxes *b = *state;

	put(b, 1, 1, 1, 10);
	put(b, 2, 2, 2, 20);
	/* One place fills everything, each time with a new sender and box. */
	for (uint8_t i = 50; i < 250; i++)
		put(b, i, i, 9, i);
	assert_int_equal(count(b), 20);
	assert_int_equal(take(b, 1), 10);
	assert_int_equal(take(b, 2), 20);
	assert_int_equal(take(b, 231), 0);
	assert_int_equal(take(b, 232), 232);
	assert_int_equal(take(b, 249), 249);
}

static void
the_old_expire(void **state)
{
	struct boxes *b = *state;

	put_at(b, 1, 1, 1, 10, 100 * NS_PER_S);
	put_at(b, 1, 1, 1, 11, 105 * NS_PER_S);
	boxes_expire(b, 109 * NS_PER_S);
	assert_int_equal(count(b), 2);
	boxes_expire(b, 110 * NS_PER_S);
	assert_int_equal(take(b, 1), 11);
	assert_int_equal(take(b, 1), 0);
}

static void
sources_are_addresses_and_prefixes(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.1", "::ffff:192.0.2.1", true},
	    {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	    {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
	    {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct box_source x, y;
		union addr a, b;

		assert_int_equal(addr_parse(&a, pairs[i].a, 1), 0);
		assert_int_equal(addr_parse(&b, pairs[i].b, 2), 0);
		box_source_of(&x, &a);
		box_source_of(&y, &b);
		assert_int_equal(memcmp(&x, &y, sizeof x) == 0, pairs[i].same);
	}
}

/* Every structure comes and goes with its last message; the sanitizers watch. */
static void
a_long_random_run_keeps_the_bounds(void **state)
{
	struct boxes *b = *state;
	unsigned seed = 1;

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t r[4];

		for (unsigned j = 0; j < 4; j++) {
			seed = seed * 1103515245 + 12345;
			r[j] = (uint8_t)(seed >> 16);
		}
		if (r[0] < 80)
			take(b, r[1] % 8);
		else
			put(b, r[1] % 8, r[2] % 16, r[3] % 4, r[3] | 1);
		assert_true(count(b) <= 20);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(one_sender_s_messages_stay_in_order),
	    TEST(senders_take_turns),
	    TEST(the_newest_replaces_the_oldest),
	    TEST(a_sender_s_boxes_are_bounded),
	    TEST(strangers_from_one_place_displace_only_each_other),
	    TEST(a_party_gets_into_a_box_that_strangers_fill),
	    TEST(a_box_s_bytes_are_bounded),
	    TEST(all_together_are_bounded),
	    TEST(the_old_expire),
	    TEST(sources_are_addresses_and_prefixes),
	    TEST(a_long_random_run_keeps_the_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
