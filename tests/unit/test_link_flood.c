#include "link_rig.h"

/*
 * A party that has the other one begin attempts at a path, as fast as its messages go. They
 * are begun at a rate that loads neither the machine nor relays, and when it comes to its
 * senses there is a path soon.
 */
#define FLOOD    200
#define EVERY_NS (50 * NS_PER_MS) /* 10 s in all */
/* Begun at once, one a second, and what was there before. */
#define MADE_MAX (8 + 10 + 4)

static void
change_network(int who)
{
	fake_paths.lost_address[0] = fake_paths.lost_address[1] = true;
	link_network_changed(end[who].link);
	fake_paths.lost_address[0] = fake_paths.lost_address[1] = false;
}

static void
check_recovery(void)
{
	UNTIL_WITHIN(60 * NS_PER_S, rig_both_up() &&
					    rig_path_of(&end[0]) == rig_path_of(&end[1]) &&
					    rig_try_round_trip(NS_PER_S));
}

static void
test_new_attempts(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	for (unsigned i = 0; i < FLOOD; i++) {
		change_network(0);
		rig_pass(EVERY_NS);
	}
	assert_in_range(fake_paths.made[0], 10, MADE_MAX);
	check_recovery();
	rig_check_nothing_was_lost();
}

static void
test_searches(void **state)
{
	(void)state;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	for (unsigned i = 0; i < FLOOD; i++) {
		fake_paths.stall[1] = 1;
		link_network_changed(end[1].link);
		rig_pass(EVERY_NS);
	}
	assert_in_range(fake_paths.made[1], 10, MADE_MAX);
	fake_paths.relayed = false;
	fake_paths.stall[1] = 0;
	UNTIL_WITHIN(120 * NS_PER_S, rig_both_relayed(false));
	rig_check_nothing_was_lost();
}

static void
test_new_lives(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FLOOD; i++) {
		rig_stop(&end[1]);
		rig_start(&end[1], 1);
		rig_pass(EVERY_NS);
	}
	assert_in_range(fake_paths.made[1], 10, MADE_MAX);
	check_recovery();
}

/* Nor does it fill the log, or have our roster sent for each of its messages. */
static void
test_rosters(void **state)
{
	struct stderr_capture capture;
	uint8_t digest[32];
	size_t sent;

	(void)state;
	UNTIL(rig_both_up());
	memcpy(digest, rig_roster(), sizeof digest);
	stderr_collect(&capture);
	sent = post.sent;
	for (unsigned i = 0; i < FLOOD; i++) {
		digest[0] ^= 1;
		link_set_roster(end[0].link, digest);
		rig_pass(EVERY_NS);
	}
	/* At both ends. */
	assert_in_range(stderr_lines(&capture, "session.ini"), 10, 2 * (5 + 10 + 1));
	assert_true(post.sent > sent + FLOOD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_new_attempts, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(test_searches, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(test_new_lives, rig_setup, rig_teardown),
	    cmocka_unit_test_setup_teardown(test_rosters, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
