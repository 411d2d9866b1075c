#include <stdlib.h>

#include "link_rig.h"

/*
 * Messages of signalling that are lost, doubled, reordered and late, up to a minute,
 * while paths fail, die silently, and addresses change, at one end or at both in one
 * moment. No connection ends of that, and when the faults are over there is a path soon.
 */
#define FAULTS 8

static uint64_t seeds = 5; /* LINK_SEEDS for more */

static void
bad_post(void)
{
	post.loss_percent = 30;
	post.twice_percent = 30;
	post.late_percent = 20;
	post.delay_ns = 2 * NS_PER_S;
	post.late_ns = 60 * NS_PER_S;
}

static void
good_post(void)
{
	post.loss_percent = post.twice_percent = post.late_percent = 0;
	post.delay_ns = 20 * NS_PER_MS;
}

/* The newest path of ${role}, unless there is none. */
static void
harm(void (*how)(struct path *p), int role)
{
	if (fake_paths.newest[role] != NULL)
		how(fake_paths.newest[role]);
}

static void
change_network(int which)
{
	fake_paths.lost_address[0] = fake_paths.lost_address[1] = rig_below(2);
	for (int i = 0; i < 2; i++)
		if ((which & 1 << i) != 0)
			link_network_changed(end[i].link);
	fake_paths.lost_address[0] = fake_paths.lost_address[1] = false;
}

static void
one_fault(void)
{
	switch (rig_below(5)) {
	case 0:
		harm(fake_path_fail, (int)rig_below(2));
		break;
	case 1:
		harm(fake_path_cut, (int)rig_below(2));
		break;
	case 2:
		change_network((int)rig_below(3) + 1);
		break;
	case 3:
		fake_paths.fail[rig_below(2)] = (unsigned)rig_below(3);
		break;
	default:
		fake_paths.hollow[1] = (unsigned)rig_below(3);
		break;
	}
}

static bool
is_settled(void)
{
	return rig_both_up() && rig_path_of(&end[0]) == rig_path_of(&end[1]) &&
	       rig_try_round_trip(NS_PER_S);
}

/* Stays as it is. */
static void
check_peace(void)
{
	unsigned made = fake_paths.made[1];

	rig_pass(120 * NS_PER_S);
	assert_true(is_settled());
	assert_int_equal(fake_paths.made[1], made);
}

static void
check_seed(uint64_t seed, bool relayed)
{
	void *state = NULL;

	rig_setup(&state);
	post.random = seed;
	fake_paths.relayed = relayed;
	bad_post();
	/* Half of all hellos and answers arrive, some late. */
	UNTIL_WITHIN(20 * 60 * NS_PER_S, rig_both_up());
	for (int i = 0; i < FAULTS; i++) {
		rig_pass(rig_below(20 * NS_PER_S));
		one_fault();
	}
	assert_int_equal(end[0].downs + end[1].downs, 0);
	good_post();
	memset(fake_paths.fail, 0, sizeof fake_paths.fail);
	memset(fake_paths.hollow, 0, sizeof fake_paths.hollow);
	UNTIL_WITHIN(60 * NS_PER_S, is_settled());
	/* What was late arrives. */
	rig_pass(60 * NS_PER_S);
	fake_paths.relayed = false;
	UNTIL_WITHIN(60 * NS_PER_S, is_settled());
	if (!relayed)
		check_peace();
	rig_check_nothing_was_lost();
	rig_teardown(&state);
}

static void
check_seeds(bool relayed)
{
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		check_seed(seed, relayed);
	}
}

static void
test_moving(void **state)
{
	(void)state;
	check_seeds(false);
}

static void
test_moving_from_relays(void **state)
{
	(void)state;
	check_seeds(true);
}

/* A party that is started again while what its former life said is still under way. */
static void
test_new_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		rig_setup(state);
		post.random = seed;
		bad_post();
		for (int i = 0; i < 4; i++) {
			int who = (int)rig_below(2);

			rig_pass(rig_below(60 * NS_PER_S));
			/* Half of them die without a word. */
			fake_paths.swallow = rig_below(2);
			rig_stop(&end[who]);
			fake_paths.swallow = false;
			rig_start(&end[who], who);
		}
		good_post();
		UNTIL_WITHIN(60 * NS_PER_S, is_settled());
		check_peace();
		rig_teardown(state);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moving),
	    cmocka_unit_test(test_moving_from_relays),
	    cmocka_unit_test(test_new_lives),
	};
	const char *wanted = getenv("LINK_SEEDS");

	if (wanted != NULL)
		seeds = strtoull(wanted, NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
