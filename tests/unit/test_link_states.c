#include "link_rig.h"
#include "sim_clock.h"

/*
 * The rows of the table in doc/design.md ("Time and loss") that are about time: pauses,
 * limits, what is overdue.
 */
#define HOUR_NS (3600 * NS_PER_S)

/* Timers are as exact as the loop's milliseconds; letters and datagrams take some. */
#define SLACK_NS (100 * NS_PER_MS)

#define assert_about(ns, expected_ns)                                                    \
	assert_in_range(ns, expected_ns, (expected_ns) + SLACK_NS)

/* How long it takes from now until ${role} has begun ${n} paths. */
static uint64_t
until_made(int role, unsigned n)
{
	uint64_t began_ns = clock_now_ns();

	UNTIL_WITHIN(HOUR_NS, fake_paths.made[role] >= n);
	return clock_now_ns() - began_ns;
}

static uint64_t
until_on(uint32_t number)
{
	uint64_t began_ns = clock_now_ns();

	UNTIL_WITHIN(HOUR_NS, rig_both_on(number));
	return clock_now_ns() - began_ns;
}

static void
set_rendezvous(bool online)
{
	for (int i = 0; i < 2; i++)
		link_rendezvous(end[i].link, online);
}

/* --- no current --- */

static void
test_pauses_between_failures(void **state)
{
	static const unsigned ms[] = {500, 1000, 2000, 4000, 8000, 15000, 15000};

	(void)state;
	fake_paths.fail[1] = 7;
	until_made(1, 1);
	for (unsigned i = 0; i < 7; i++)
		assert_about(until_made(1, 2 + i), ms[i] * NS_PER_MS);
	UNTIL(rig_both_up());
	assert_true(rig_both_on(8));
	/* A path that works ends the long pauses. */
	rig_pass(NS_PER_S);
	fake_paths.fail[1] = 1;
	fake_path_fail(fake_paths.newest[1]);
	until_made(1, 9);
	assert_about(until_made(1, 10), NS_PER_S);
}

static void
test_an_attempt_that_gets_nowhere(void **state)
{
	(void)state;
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	until_made(1, 1);
	assert_about(until_made(1, 2), 60 * NS_PER_S + 500 * NS_PER_MS);
	UNTIL(rig_both_up());
}

/* The client's packets get through or not; the server's do not. */
static void
check_no_answer(bool heard)
{
	uint64_t took_ns;

	fake_paths.mute[0] = true;
	fake_paths.mute[1] = !heard;
	until_made(1, 1);
	took_ns = until_made(1, 2);
	assert_about(took_ns, 15 * NS_PER_S + 500 * NS_PER_MS);
	assert_string_equal(rig_error(&end[0]),
			    "the peer did not complete the handshake in time");
	fake_paths.mute[0] = fake_paths.mute[1] = false;
	UNTIL(rig_both_up());
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[1].ups, 1);
	rig_check_round_trip();
	assert_string_equal(rig_error(&end[0]), "");
}

static void
test_a_handshake_without_an_answer(void **state)
{
	(void)state;
	check_no_answer(true);
}

static void
test_a_handshake_that_nobody_hears(void **state)
{
	(void)state;
	check_no_answer(false);
}

/* Both ends say no, and ask again with longer and longer pauses. */
static void
test_a_handshake_that_ends(void **state)
{
	(void)state;
	rig_stop(&end[1]);
	rig_start_as(&end[1], 1, "mpcproxy/9");
	until_made(1, 1);
	assert_about(until_made(1, 2), 500 * NS_PER_MS);
	assert_string_not_equal(rig_error(&end[0]), "");
	assert_about(until_made(1, 3), NS_PER_S);
	assert_about(until_made(1, 4), 2 * NS_PER_S);
	assert_int_equal(end[0].ups + end[1].ups, 0);
	assert_int_equal(end[0].downs + end[1].downs, 0);
	rig_stop(&end[1]);
	rig_start(&end[1], 1);
	UNTIL(rig_both_up());
	rig_check_round_trip();
}

static void
test_addresses_change_before_there_is_a_path(void **state)
{
	(void)state;
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	until_made(1, 1);
	rig_pass(NS_PER_S);
	link_network_changed(end[0].link);
	assert_int_equal(fake_paths.made[1], 2);
	UNTIL(rig_both_up());
}

/* --- current is silent --- */

static void
test_how_long_silence_takes(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	rig_pass(20 * NS_PER_S);
	fake_path_cut(fake_paths.newest[0]);
	/* The last keep-alive is up to 4 s ago; 5 s, then ten questions. */
	assert_in_range(until_on(2), 3 * NS_PER_S, 8 * NS_PER_S);
	/* Under suspicion, five questions are enough. */
	rig_pass(20 * NS_PER_S);
	fake_path_cut(fake_paths.newest[0]);
	link_network_changed(end[0].link);
	assert_about(until_on(3), 5 * 250 * NS_PER_MS);
	/* What is missed tells it sooner than keep-alives do. */
	rig_pass(20 * NS_PER_S);
	fake_path_cut(fake_paths.newest[0]);
	assert_int_equal(rig_try_round_trip(10 * NS_PER_S), true);
	rig_check_nothing_was_lost();
	assert_true(rig_both_on(4));
}

/* Both are stopped, as in one simulated process they are, and when they go on the path is
 * no more: that is found out at once. A path that is as before stays. */
static void
test_the_path_dies_during_a_stop(void **state)
{
	static const unsigned s[] = {10, 120, 1200};

	(void)state;
	UNTIL(rig_both_up());
	for (unsigned i = 0; i < 3; i++) {
		rig_check_round_trip();
		rig_pass(20 * NS_PER_S);
		sim_clock_stop(s[i] * NS_PER_S);
		assert_true(rig_try_round_trip(NS_PER_S));
		rig_pass(20 * NS_PER_S);
		assert_true(rig_both_on(1 + i));
		sim_clock_stop(s[i] * NS_PER_S);
		fake_path_cut(fake_paths.newest[0]);
		assert_true(until_on(2 + i) <= 2 * NS_PER_S);
	}
	rig_check_nothing_was_lost();
}

/* Small datagrams pass, and those of QUIC do not. */
static void
test_forty_answers(void **state)
{
	uint64_t took_ns;

	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	fake_paths.probes_only = true;
	fake_paths.probes[1] = 0;
	took_ns = until_made(1, 2);
	assert_in_range(took_ns, 40 * 250 * NS_PER_MS, 16 * NS_PER_S);
	assert_in_range(fake_paths.probes[1], 40, 41);
	fake_paths.probes_only = false;
	UNTIL(rig_both_on(2));
	rig_check_nothing_was_lost();
}

/* A path that comes back while another is looked for stays. */
static void
test_the_path_returns_during_a_search(void **state)
{
	struct path *p;

	(void)state;
	UNTIL(rig_both_up());
	p = fake_paths.newest[0];
	/* What a server has asked for is gone through with: this one is not heard. */
	end[0].deaf = true;
	fake_path_cut(p);
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	until_made(1, 2);
	assert_string_equal(rig_state(&end[0]), "connected, but silent");
	fake_path_mend(p);
	UNTIL(fake_paths.newest[1] == NULL);
	assert_string_equal(rig_state(&end[0]), "connected");
	rig_check_nothing_was_lost();
	assert_true(rig_both_on(1));
	assert_int_equal(fake_paths.made[1], 2);
	end[0].deaf = false;
}

/* Nobody can be told anything: the same path is all there is. */
static void
check_outage(uint64_t lasts_ns, uint64_t limit_ns)
{
	set_rendezvous(false);
	fake_paths.swallow = true;
	rig_pass(lasts_ns);
	fake_paths.swallow = false;
	assert_true(rig_try_round_trip(limit_ns));
	/* What was to be said of it needs no saying. */
	rig_pass(NS_PER_S);
	set_rendezvous(true);
	rig_pass(10 * NS_PER_S);
	rig_check_nothing_was_lost();
	assert_true(rig_both_on(1));
}

static void
test_the_same_path_returns(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	check_outage(NS_PER_S, NS_PER_S);
	check_outage(10 * NS_PER_S, NS_PER_S);
	check_outage(60 * NS_PER_S, NS_PER_S + SLACK_NS);
	check_outage(300 * NS_PER_S, NS_PER_S + SLACK_NS);
	check_outage(1700 * NS_PER_S, NS_PER_S + SLACK_NS);
	assert_int_equal(fake_paths.made[1], 1);
}

/* The path in use dies while there is no rendezvous: another is looked for as soon as
 * there is one. */
static void
test_no_rendezvous(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	set_rendezvous(false);
	fake_path_cut(fake_paths.newest[0]);
	rig_pass(100 * NS_PER_S);
	assert_int_equal(fake_paths.made[1], 1);
	set_rendezvous(true);
	assert_int_equal(fake_paths.made[1], 2);
	assert_true(until_on(2) <= NS_PER_S);
	rig_check_nothing_was_lost();
}

/* It dies in the middle of a negotiation, and what was said is lost. */
static void
test_the_rendezvous_dies_during_a_restart(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	end[0].deaf = end[1].deaf = true;
	fake_path_fail(fake_paths.newest[1]);
	until_made(1, 2);
	set_rendezvous(false);
	rig_pass(10 * NS_PER_S);
	end[0].deaf = end[1].deaf = false;
	set_rendezvous(true);
	assert_true(until_on(2) <= NS_PER_S);
	rig_check_nothing_was_lost();
}

static const char *const LIMIT_PASSED =
    "nothing was heard from it for 1800 s (outage-limit)";

static void
check_outage_limit(bool online)
{
	uint64_t began_ns;

	UNTIL(rig_both_up());
	rig_check_round_trip();
	if (!online)
		set_rendezvous(false);
	began_ns = clock_now_ns();
	fake_paths.swallow = true;
	rig_pass(1780 * NS_PER_S);
	assert_int_equal(end[0].downs + end[1].downs, 0);
	for (int i = 0; i < 2; i++)
		assert_string_equal(rig_state(&end[i]), "connected, but silent");
	UNTIL(end[0].downs == 1 && end[1].downs == 1);
	assert_about(clock_now_ns() - began_ns, 1800 * NS_PER_S);
	for (int i = 0; i < 2; i++)
		assert_string_equal(rig_error(&end[i]), LIMIT_PASSED);
	assert_false(link_is_up(end[0].link) || link_is_up(end[1].link));
	rig_pass(100 * NS_PER_S);
	fake_paths.swallow = false;
	set_rendezvous(true);
	UNTIL(rig_both_up());
	rig_check_round_trip();
	assert_int_equal(end[0].ups, 2);
	assert_int_equal(end[1].ups, 2);
}

static void
test_outage_limit(void **state)
{
	(void)state;
	check_outage_limit(false);
}

/* The same while path after path is negotiated, and none carries anything. */
static void
test_outage_limit_and_hollow_paths(void **state)
{
	(void)state;
	check_outage_limit(true);
}

/* --- who asks whom --- */

/* The server needs a path, and the client, which would have one, does not hear of it for
 * a minute. */
static void
test_the_client_is_deaf(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	end[0].deaf = true;
	fake_path_fail(fake_paths.newest[0]);
	rig_pass(60 * NS_PER_S);
	assert_true(rig_both_on(1));
	end[0].deaf = false;
	/* What it has not acknowledged is sent again every 10 s at the latest. */
	UNTIL_WITHIN(11 * NS_PER_S, rig_path_of(&end[0]) > 1 &&
					rig_path_of(&end[0]) == rig_path_of(&end[1]));
	rig_check_nothing_was_lost();
}

/* The client negotiates what leads nowhere, and the server can tell. */
static void
test_the_server_gives_up_first(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	fake_paths.fail[0] = 3;
	fake_paths.stall[1] = 3;
	fake_path_fail(fake_paths.newest[0]);
	UNTIL(rig_both_on(5));
	rig_check_nothing_was_lost();
}

static void
test_a_client_that_is_asked_twice(void **state)
{
	(void)state;
	UNTIL(rig_both_up());
	rig_check_round_trip();
	fake_paths.probes[1] = 0;
	fake_path_ask(fake_paths.newest[1]);
	rig_pass(2 * NS_PER_S + SLACK_NS);
	fake_path_ask(fake_paths.newest[1]);
	rig_pass(SLACK_NS);
	assert_int_equal(fake_paths.probes[1], 0);
	fake_path_ask(fake_paths.newest[1]);
	rig_pass(SLACK_NS);
	assert_int_equal(fake_paths.probes[1], 1);
	/* The server does not mind. */
	fake_paths.probes[0] = 0;
	for (int i = 0; i < 2; i++) {
		fake_path_ask(fake_paths.newest[0]);
		rig_pass(SLACK_NS);
	}
	assert_int_equal(fake_paths.probes[0], 0);
	rig_check_nothing_was_lost();
	assert_int_equal(fake_paths.made[1], 1);
}

/* Both ends get other addresses in the same moment, or nearly, while what they say takes
 * 10 ms: they agree on one path, and soon. */
static void
test_both_restart_at_once(void **state)
{
	const int64_t step_ns = NS_PER_MS;
	uint32_t number = 1;

	(void)state;
	post.delay_ns = 10 * NS_PER_MS;
	UNTIL(rig_both_up());
	for (int64_t i = -40; i <= 40; i++) {
		int first = i < 0;
		uint64_t apart_ns = (uint64_t)((i < 0 ? -i : i) * step_ns);

		rig_pass(5 * NS_PER_S);
		fake_path_cut(fake_paths.newest[0]);
		fake_paths.lost_address[0] = fake_paths.lost_address[1] = true;
		link_network_changed(end[first].link);
		if (apart_ns > 0)
			rig_pass(apart_ns);
		link_network_changed(end[!first].link);
		fake_paths.lost_address[0] = fake_paths.lost_address[1] = false;
		UNTIL_WITHIN(2 * NS_PER_S,
			     rig_path_of(&end[0]) > number &&
				 rig_path_of(&end[0]) == rig_path_of(&end[1]));
		assert_in_range(rig_path_of(&end[0]), number + 1, number + 3);
		number = rig_path_of(&end[0]);
		rig_check_nothing_was_lost();
	}
}

/* --- relayed --- */

static void
test_pauses_between_searches(void **state)
{
	static const unsigned s[] = {6, 12, 24, 48, 96, 192, 384, 600, 600};

	(void)state;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	fake_paths.fail[1] = 10;
	assert_about(until_made(1, 2), 3 * NS_PER_S);
	for (unsigned i = 0; i < 9; i++)
		assert_about(until_made(1, 3 + i), s[i] * NS_PER_S);
	until_made(1, 12);
	UNTIL(rig_both_relayed(false));
	rig_check_nothing_was_lost();
}

static void
test_no_rendezvous_for_a_search(void **state)
{
	(void)state;
	end[0].no_inband = end[1].no_inband = true;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	set_rendezvous(false);
	rig_pass(HOUR_NS);
	assert_int_equal(fake_paths.made[1], 1);
	set_rendezvous(true);
	assert_in_range(until_made(1, 2), 0, 3 * NS_PER_S);
	UNTIL(rig_both_relayed(false));
	rig_check_nothing_was_lost();
}

/* It goes while one is under way: nothing is missed, and the next one is not far. */
static void
test_the_rendezvous_dies_during_a_search(void **state)
{
	(void)state;
	end[0].no_inband = end[1].no_inband = true;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	end[0].deaf = end[1].deaf = true;
	until_made(1, 2);
	set_rendezvous(false);
	rig_pass(100 * NS_PER_S);
	rig_check_nothing_was_lost();
	assert_true(rig_both_relayed(true));
	assert_int_equal(fake_paths.made[1], 2);
	end[0].deaf = end[1].deaf = false;
	set_rendezvous(true);
	UNTIL(rig_both_relayed(false));
	rig_check_nothing_was_lost();
}

/* What ICE finds carries no full datagrams: QUIC stays where it is. */
static void
test_a_direct_path_that_carries_nothing(void **state)
{
	(void)state;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	fake_paths.hollow[1] = 1;
	assert_about(until_made(1, 2), 3 * NS_PER_S);
	rig_check_nothing_was_lost();
	UNTIL(fake_paths.newest[1] == NULL);
	rig_check_nothing_was_lost();
	assert_true(rig_both_relayed(true));
	UNTIL(rig_both_relayed(false));
	assert_int_equal(fake_paths.made[1], 3);
	rig_check_nothing_was_lost();
}

/* Somebody who saw the addresses begins a handshake with the server while a direct path
 * is looked for: that does the search no harm. */
static void
test_a_forged_handshake_during_a_search(void **state)
{
	uint8_t initial[1200] = {0xc0, 0, 0, 0, 1, 8};

	(void)state;
	initial[14] = 8;
	fake_paths.relayed = true;
	UNTIL(rig_both_up());
	fake_paths.stall[1] = 1;
	until_made(0, 2);
	UNTIL(fake_path_is_ready(fake_paths.newest[0]));
	fake_path_inject(fake_paths.newest[0], initial, sizeof initial);
	rig_pass(20 * NS_PER_S);
	rig_check_nothing_was_lost();
	assert_int_equal(fake_paths.made[1], 2);
	fake_path_go_on(fake_paths.newest[1]);
	UNTIL(rig_both_relayed(false));
	assert_true(rig_both_on(2));
	rig_check_nothing_was_lost();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_pauses_between_failures),
	    TEST(test_an_attempt_that_gets_nowhere),
	    TEST(test_a_handshake_without_an_answer),
	    TEST(test_a_handshake_that_nobody_hears),
	    TEST(test_a_handshake_that_ends),
	    TEST(test_addresses_change_before_there_is_a_path),
	    TEST(test_how_long_silence_takes),
	    TEST(test_the_path_dies_during_a_stop),
	    TEST(test_forty_answers),
	    TEST(test_the_path_returns_during_a_search),
	    TEST(test_the_same_path_returns),
	    TEST(test_no_rendezvous),
	    TEST(test_the_rendezvous_dies_during_a_restart),
	    TEST(test_outage_limit),
	    TEST(test_outage_limit_and_hollow_paths),
	    TEST(test_the_client_is_deaf),
	    TEST(test_the_server_gives_up_first),
	    TEST(test_a_client_that_is_asked_twice),
	    TEST(test_both_restart_at_once),
	    TEST(test_pauses_between_searches),
	    TEST(test_no_rendezvous_for_a_search),
	    TEST(test_the_rendezvous_dies_during_a_search),
	    TEST(test_a_direct_path_that_carries_nothing),
	    TEST(test_a_forged_handshake_during_a_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
