#include "link_rig.h"

/*
 * Which path is negotiated when, and which connection lives on it.
 */

static void
test_the_first_path(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	assert_int_equal(rig_path_of(&end[0]), 1);
	assert_int_equal(rig_path_of(&end[1]), 1);
	rig_check_round_trip();
}

/* The server does not wait for the client's candidates to gather its own. */
static void
test_the_server_begins_when_it_meets_the_client(void **state)
{
	uint64_t made_ns;

	(void)state;
	UNTIL(fake_paths.made[0] + fake_paths.made[1] > 0);
	made_ns = clock_now_ns();
	UNTIL(fake_paths.made[0] == 1 && fake_paths.made[1] == 1);
	assert_true(clock_now_ns() - made_ns < RIG_TRIP_NS);
	UNTIL(rig_both_up());
	assert_int_equal(rig_path_of(&end[1]), 1);
	assert_int_equal(fake_paths.made[0], 1);
}

static void
test_a_failure_at_the_client(void **state)
{
	(void)state;
	fake_paths.fail[1] = 2;
	UNTIL(rig_both_up());
	assert_int_equal(rig_path_of(&end[0]), 3);
	rig_check_round_trip();
}

/* The client believes in its path, and would for a minute. */
static void
test_a_failure_at_the_server(void **state)
{
	(void)state;
	fake_paths.fail[0] = 1;
	fake_paths.stall[1] = 1;
	UNTIL(rig_both_up());
	assert_int_equal(rig_path_of(&end[0]), 2);
	rig_check_round_trip();
}

static void
check_replacement(int role)
{
	UNTIL(rig_both_up());
	fake_path_fail(fake_paths.newest[role]);
	UNTIL(rig_both_on(2));
	rig_check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

static void
test_the_client_replaces_a_path_that_fails(void **state)
{
	(void)state;
	check_replacement(1);
}

static void
test_the_server_has_one_replaced(void **state)
{
	(void)state;
	check_replacement(0);
}

/* The server's addresses change twice: what is negotiated after the first change is of no
 * use after the second, and it does not wait until the server asks once more. */
static void
test_the_servers_addresses_change_twice(void **state)
{
	uint64_t began_ns;

	(void)state;
	UNTIL(rig_both_up());
	fake_paths.lost_address[0] = true;
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	link_network_changed(end[1].link);
	UNTIL(fake_paths.made[0] == 2 && fake_paths.made[1] == 2);
	began_ns = clock_now_ns();
	link_network_changed(end[1].link);
	UNTIL(rig_both_on(3));
	assert_true(clock_now_ns() - began_ns < 6 * NS_PER_S);
	rig_check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* A change that leaves our address alone may still have cut the path: that is found out
 * at once, and not when keep-alives stay away. When it has not, nothing moves. */
static void
test_a_change_of_routes(void **state)
{
	uint64_t began_ns;

	(void)state;
	for (int who = 0; who < 2; who++) {
		UNTIL(rig_both_up());
		link_network_changed(end[who].link);
		rig_check_round_trip();
		assert_int_equal(rig_path_of(&end[0]), 1 + who);
		fake_path_cut(fake_paths.newest[0]);
		began_ns = clock_now_ns();
		link_network_changed(end[who].link);
		UNTIL(rig_path_of(&end[0]) == 2U + who &&
		      rig_path_of(&end[1]) == 2U + who);
		assert_true(clock_now_ns() - began_ns < 5 * NS_PER_S);
		rig_check_round_trip();
	}
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* Failures on the way to the new path do not end the connection on the old. */
static void
test_replacements_that_fail(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	fake_paths.fail[1] = 1;
	fake_path_fail(fake_paths.newest[0]);
	UNTIL(rig_path_of(&end[0]) >= 3 && rig_path_of(&end[0]) == rig_path_of(&end[1]));
	rig_check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* The path in use is dead, and so are twenty that ICE finds, one after the other: none
 * costs anything that the twenty-first needs. */
static void
test_twenty_paths_that_carry_nothing(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	fake_path_cut(fake_paths.newest[0]);
	fake_paths.hollow[1] = 20;
	fake_path_fail(fake_paths.newest[1]);
	for (unsigned i = 1; i <= 20; i++) {
		UNTIL(fake_paths.asked[1] >= i && fake_paths.made[1] == i + 1);
		fake_paths.asked[1] = i;
		/* The other side does not follow as often as one likes. */
		rig_pass(NS_PER_S);
		link_network_changed(end[0].link);
	}
	UNTIL(rig_both_on(22));
	rig_check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* One that carries nothing is given up by itself. */
static void
test_a_path_that_carries_nothing(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	fake_paths.hollow[1] = 1;
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(rig_both_on(3));
	assert_in_range(fake_paths.asked[1], 13, 14);
	rig_check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* Libnice selects again when a better pair answers: that is no other path. */
static void
test_a_pair_that_is_selected_again(void **state)
{
	struct path *next;

	(void)state;
	UNTIL(rig_both_up());
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(fake_paths.made[1] == 2);
	next = fake_paths.newest[1];
	UNTIL(fake_path_is_ready(next));
	if (fake_paths.newest[1] == next)
		fake_path_select_again(next);
	UNTIL(rig_both_on(2));
	fake_path_select_again(next);
	rig_check_round_trip();
	assert_int_equal(fake_paths.made[1], 2);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* A change of the network, at the client or at the server, has a relayed pair look for a
 * direct path, and it moves there. */
static void
check_search(int who)
{
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	assert_true(rig_both_relayed(true));
	link_network_changed(end[who].link);
	UNTIL(rig_both_relayed(false) && rig_both_on(2));
	rig_check_nothing_was_lost();
	/* Now there is nothing to look for. */
	link_network_changed(end[0].link);
	link_network_changed(end[1].link);
	rig_check_nothing_was_lost();
	assert_int_equal(fake_paths.made[1], 2);
}

static void
test_the_client_moves_to_a_direct_path(void **state)
{
	(void)state;
	check_search(0);
}

static void
test_the_server_has_a_direct_path_looked_for(void **state)
{
	(void)state;
	check_search(1);
}

/* Whichever end's attempt fails, the relay goes on, and nobody is told of an error. */
static void
test_a_search_in_vain(void **state)
{
	struct link_info info;

	(void)state;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	for (unsigned who = 0; who < 2; who++) {
		fake_paths.fail[!who] = 1;
		link_network_changed(end[0].link);
		UNTIL(fake_paths.made[0] == 2 + who && fake_paths.made[1] == 2 + who);
		UNTIL(fake_paths.fail[!who] == 0);
		rig_check_nothing_was_lost();
		link_get_info(end[who].link, &info);
		assert_string_equal(info.last_error, "");
	}
	assert_true(rig_both_relayed(true));
	/* The one that succeeds. */
	link_network_changed(end[0].link);
	UNTIL(rig_both_relayed(false));
	assert_int_equal(fake_paths.made[1], 4);
	rig_check_nothing_was_lost();
}

/* The relay fails while a direct path is looked for, which gets nowhere: any path will
 * do, and it is not kept waiting. */
static void
check_failure_during_a_search(int who)
{
	struct path *relay;

	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	relay = fake_paths.newest[!who];
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	link_network_changed(end[0].link);
	UNTIL(fake_paths.made[0] == 2 && fake_paths.made[1] == 2);
	fake_path_fail(relay);
	UNTIL(rig_path_of(&end[0]) >= 3 && rig_path_of(&end[0]) == rig_path_of(&end[1]));
	UNTIL(rig_both_relayed(true));
	rig_check_nothing_was_lost();
}

static void
test_the_clients_relay_fails_during_a_search(void **state)
{
	(void)state;
	check_failure_during_a_search(0);
}

static void
test_the_servers_relay_fails_during_a_search(void **state)
{
	(void)state;
	check_failure_during_a_search(1);
}

static void
inject_initial(uint8_t version)
{
	uint8_t packet[1200];

	memset(packet, 0, sizeof packet);
	packet[0] = 0xc0;
	packet[4] = version;
	packet[5] = 8;
	packet[14] = 8;
	fake_path_inject(fake_paths.newest[0], packet, sizeof packet);
}

/* Somebody else's Initial packet arrives while the client is about to migrate. */
static void
test_a_forged_initial_packet(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(fake_paths.made[0] == 2);
	inject_initial(1);
	UNTIL(rig_both_on(2));
	rig_check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

static void
test_another_version(void **state)
{
	(void)state;
	/* The client's own packets would do. */
	fake_paths.stall[1] = 1;
	UNTIL(fake_paths.made[0] == 1 && fake_path_is_ready(fake_paths.newest[0]));
	rig_pass(NS_PER_S);
	inject_initial(2);
	UNTIL(fake_paths.negotiations == 1);
}

static void
test_a_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		UNTIL(rig_both_up());
		rig_stop(&end[i]);
		UNTIL(end[!i].downs == 1);
		rig_start(&end[i], i);
		UNTIL(rig_both_up());
		rig_check_round_trip();
		end[0].downs = end[1].downs = 0;
	}
}

/* It dies without a word: the newcomer takes its place once the old life is silent. */
static void
test_a_restart_after_a_crash(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	fake_paths.swallow = true;
	rig_stop(&end[0]);
	fake_paths.swallow = false;
	rig_start(&end[0], 0);
	UNTIL(rig_both_up() && end[1].downs == 1);
	rig_check_round_trip();
}

/* The old life hears no challenge, for the rendezvous keeps it back; but its path
 * answers. */
static void
test_a_second_copy(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	end[0].deaf = true;
	rig_start(&copy, 0);
	UNTIL(copy.refused);
	assert_true(rig_both_up());
	assert_int_equal(end[1].downs, 0);
	rig_check_round_trip();
}

static void
test_freed_in_every_state(void **state)
{
	(void)state;
	for (int turns = 0; turns < 40; turns += 3) {
		for (int i = 0; i < turns; i++)
			rig_turn();
		rig_stop(&end[turns % 2]);
		rig_start(&end[turns % 2], turns % 2);
	}
	UNTIL(rig_both_up());
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_first_path),
	    TEST(test_the_server_begins_when_it_meets_the_client),
	    TEST(test_a_failure_at_the_client),
	    TEST(test_a_failure_at_the_server),
	    TEST(test_the_client_replaces_a_path_that_fails),
	    TEST(test_the_server_has_one_replaced),
	    TEST(test_the_servers_addresses_change_twice),
	    TEST(test_a_change_of_routes),
	    TEST(test_replacements_that_fail),
	    TEST(test_twenty_paths_that_carry_nothing),
	    TEST(test_a_path_that_carries_nothing),
	    TEST(test_a_pair_that_is_selected_again),
	    TEST(test_the_client_moves_to_a_direct_path),
	    TEST(test_the_server_has_a_direct_path_looked_for),
	    TEST(test_a_search_in_vain),
	    TEST(test_the_clients_relay_fails_during_a_search),
	    TEST(test_the_servers_relay_fails_during_a_search),
	    TEST(test_a_forged_initial_packet),
	    TEST(test_another_version),
	    TEST(test_a_restart),
	    TEST(test_a_restart_after_a_crash),
	    TEST(test_a_second_copy),
	    TEST(test_freed_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
