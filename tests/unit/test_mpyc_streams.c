#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy_rig.h"
#include "tunnel/peer.h"

/* MPyC's connections between alice (0) and bob (1), both proxies and all. */

static struct proxy_rig rig;

static int
setup(void **state)
{
	(void)state;
	rig_init(&rig, 2);
	rig_start_all(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_free(&rig);
	return 0;
}

/* As MPyC at party 0 begins: its index, then keys. */
static const uint8_t greeting[] = {0, 0, 'k', 'e', 'y'};

static int
alice_dials(void)
{
	return program_dial(rig_mpyc_port(&rig, 0, 1));
}

static int
bob_listens(void)
{
	uint16_t port = rig_mpyc_port(&rig, 1, 1);

	return program_listen(&port);
}

static void
greet(int fd)
{
	program_send(&rig, fd, greeting, sizeof greeting);
}

static void
expect_greeting(int fd)
{
	program_expect(&rig, fd, greeting, sizeof greeting);
}

static void
test_frames_and_ends_both_ways(void **state)
{
	int lfd = bob_listens(), a = alice_dials(), b;

	(void)state;
	greet(a);
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	for (int i = 0; i < 20; i++) {
		program_send(&rig, a, "ping", 4);
		program_expect(&rig, b, "ping", 4);
		program_send(&rig, b, "pong", 4);
		program_expect(&rig, a, "pong", 4);
	}
	/* FIN stays FIN, behind all data. */
	program_send(&rig, a, "last", 4);
	shutdown(a, SHUT_WR);
	program_expect(&rig, b, "last", 4);
	program_expect_eof(&rig, b);
	program_send(&rig, b, "bye", 3);
	close(b);
	program_expect(&rig, a, "bye", 3);
	program_expect_eof(&rig, a);
	close(a);
	close(lfd);
	RIG_UNTIL(&rig, rig_live(&rig, 0, 1) == 0 && rig_live(&rig, 1, 0) == 0);
}

static void
test_held_until_the_far_program_listens(void **state)
{
	int a = alice_dials(), b, lfd;

	(void)state;
	greet(a);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	lfd = bob_listens();
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0 && rig_live(&rig, 0, 1) == 1);
	close(a);
	close(b);
	close(lfd);
}

static void
test_nothing_is_dialled_before_the_greeting(void **state)
{
	int lfd = bob_listens(), a = alice_dials(), b;

	(void)state;
	program_send(&rig, a, greeting, 1);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 1);
	assert_int_equal(rig_held(&rig, 1, 0), 0);
	program_send(&rig, a, greeting + 1, sizeof greeting - 1);
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	close(a);
	close(b);
	close(lfd);
}

static void
hang_up_by_closing(int fd)
{
	close(fd);
}

static void
hang_up_by_reset(int fd)
{
	program_abort(fd);
}

/* What a killed program leaves behind is never delivered, however it went. */
static void
check_cancel(void (*hang_up)(int fd))
{
	static const uint8_t old[] = {0, 0, 'o', 'l', 'd'};
	int a = alice_dials(), b, lfd;

	program_send(&rig, a, old, sizeof old);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	hang_up(a);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
	a = alice_dials();
	greet(a);
	lfd = bob_listens();
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	assert_true(program_is_alone(lfd));
	close(a);
	close(b);
	close(lfd);
	RIG_UNTIL(&rig, rig_live(&rig, 1, 0) == 0);
}

static void
test_cancel_while_held(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		check_cancel(hang_up_by_closing);
		check_cancel(hang_up_by_reset);
	}
}

/* The keys of a party among twenty: the end behind them has to be found all the same. */
static void
test_cancel_behind_a_long_greeting(void **state)
{
	static uint8_t keys[800 * 1024];
	int a = alice_dials();

	(void)state;
	program_send(&rig, a, keys, sizeof keys);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	close(a);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
}

/* Even when the proxy has stopped reading because it holds all it may. */
static void
test_cancel_when_nothing_more_is_held(void **state)
{
	static uint8_t much[1024 * 1024];
	int a = alice_dials();

	(void)state;
	while (send(a, much, sizeof much, MSG_NOSIGNAL) > 0)
		rig_turn(&rig);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	program_abort(a);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
}

static void
test_the_second_waits_for_the_first(void **state)
{
	static const uint8_t again[] = {0, 0, '2'};
	int lfd = bob_listens(), a = alice_dials(), a2, b, b2;

	(void)state;
	greet(a);
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	a2 = alice_dials();
	program_send(&rig, a2, again, sizeof again);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 1);
	/* What the first still carries proves that the second had its chance. */
	program_send(&rig, a, "more", 4);
	program_expect(&rig, b, "more", 4);
	assert_true(program_is_alone(lfd));
	close(a);
	program_expect_eof(&rig, b);
	assert_true(program_is_alone(lfd));
	close(b);
	b2 = program_accept(&rig, lfd);
	program_expect(&rig, b2, again, sizeof again);
	close(a2);
	close(b2);
	close(lfd);
}

static void
test_runs_that_follow_at_once(void **state)
{
	int lfd = bob_listens(), a, b;

	(void)state;
	for (int i = 0; i < 20; i++) {
		uint8_t run[] = {0, 0, (uint8_t)i};

		a = alice_dials();
		program_send(&rig, a, run, sizeof run);
		b = program_accept(&rig, lfd);
		program_expect(&rig, b, run, sizeof run);
		close(a);
		program_expect_eof(&rig, b);
		close(b);
	}
	close(lfd);
}

static void
check_refused_here(const void *bytes, size_t len)
{
	int lfd = bob_listens(), a = alice_dials();

	program_send(&rig, a, bytes, len);
	program_expect_eof(&rig, a);
	close(a);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0);
	assert_true(program_is_alone(lfd));
	close(lfd);
}

static void
test_another_index_is_refused(void **state)
{
	(void)state;
	check_refused_here("\x01\x00key", 5);
	check_refused_here("GET / HTTP/1.0\r\n", 16);
}

static void
test_tls_is_refused(void **state)
{
	(void)state;
	check_refused_here("\x16\x03\x01\x02\x00\x01", 6);
}

static void
test_without_the_guard_everything_passes(void **state)
{
	int lfd, a, b;

	(void)state;
	rig_stop(&rig, 0);
	rig_stop(&rig, 1);
	rig_start(&rig, 0, "mpyc-guard = no\n");
	rig_start(&rig, 1, "mpyc-guard = no\n");
	RIG_UNTIL(&rig, rig_connected(&rig, 0, 1) && rig_connected(&rig, 1, 0));
	lfd = bob_listens();
	a = alice_dials();
	b = program_accept(&rig, lfd);
	program_send(&rig, b, "I speak first", 13);
	program_expect(&rig, a, "I speak first", 13);
	close(a);
	close(b);
	close(lfd);
}

/* MPyC sees an end of file, on which it stops; a reset would leave it waiting. */
static void
test_a_killed_program_ends_the_far_one(void **state)
{
	int lfd = bob_listens(), a = alice_dials(), b;

	(void)state;
	greet(a);
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	program_abort(a);
	program_expect_eof(&rig, b);
	close(b);
	close(lfd);
	RIG_UNTIL(&rig, rig_live(&rig, 0, 1) == 0 && rig_live(&rig, 1, 0) == 0);
}

static void
test_a_proxy_that_ends_ends_the_programs(void **state)
{
	int lfd = bob_listens(), a = alice_dials(), b;

	(void)state;
	greet(a);
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	rig_stop(&rig, 0);
	program_expect_eof(&rig, a);
	program_expect_eof(&rig, b);
	close(a);
	close(b);
	close(lfd);
}

/* The far proxy restarts: what has reached no program yet is asked for again. */
static void
test_held_across_a_restart_of_the_far_proxy(void **state)
{
	int a = alice_dials(), b, lfd;

	(void)state;
	greet(a);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	rig_stop(&rig, 1);
	RIG_UNTIL(&rig, !rig_connected(&rig, 0, 1));
	assert_int_equal(rig_held(&rig, 0, 1), 1);
	rig_start(&rig, 1, "");
	lfd = bob_listens();
	b = program_accept(&rig, lfd);
	expect_greeting(b);
	program_send(&rig, a, "go", 2);
	program_expect(&rig, b, "go", 2);
	close(a);
	close(b);
	close(lfd);
}

static void
test_more_than_may_be_held(void **state)
{
	int fd[PEER_MPYC_HELD_MAX + 2], lfd, b;
	size_t n = sizeof fd / sizeof *fd;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint8_t run[] = {0, 0, (uint8_t)i};

		fd[i] = alice_dials();
		program_send(&rig, fd[i], run, sizeof run);
		if (i + 1 < n)
			RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == i + 1);
	}
	program_expect_eof(&rig, fd[n - 1]);
	close(fd[n - 1]);
	assert_int_equal(rig_held(&rig, 0, 1), n - 1);
	/* The others come one after the other, in their order. */
	lfd = bob_listens();
	for (size_t i = 0; i + 1 < n; i++) {
		uint8_t run[] = {0, 0, (uint8_t)i};

		b = program_accept(&rig, lfd);
		program_expect(&rig, b, run, sizeof run);
		close(fd[i]);
		program_expect_eof(&rig, b);
		close(b);
	}
	close(lfd);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_frames_and_ends_both_ways),
	    TEST(test_held_until_the_far_program_listens),
	    TEST(test_nothing_is_dialled_before_the_greeting),
	    TEST(test_cancel_while_held),
	    TEST(test_cancel_behind_a_long_greeting),
	    TEST(test_cancel_when_nothing_more_is_held),
	    TEST(test_the_second_waits_for_the_first),
	    TEST(test_runs_that_follow_at_once),
	    TEST(test_another_index_is_refused),
	    TEST(test_tls_is_refused),
	    TEST(test_without_the_guard_everything_passes),
	    TEST(test_a_killed_program_ends_the_far_one),
	    TEST(test_a_proxy_that_ends_ends_the_programs),
	    TEST(test_held_across_a_restart_of_the_far_proxy),
	    TEST(test_more_than_may_be_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
