#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "proxy_rig.h"

/*
 * Ports that bob (1) exposes, reached from alice (0) through `forward` and SOCKS5. The
 * service's socket is made first, for its port is part of both configurations.
 */
static struct proxy_rig rig;
static int service;
static uint16_t service_port, closed_port, forward_port, forward_closed_port, socks_port;

static void
start_alice(void)
{
	char lines[300];

	snprintf(lines, sizeof lines,
		 "forward = %u to bob:%u\nforward = %u to bob:%u\n"
		 "socks5 = 127.0.0.1:%u\n",
		 forward_port, service_port, forward_closed_port, closed_port,
		 socks_port);
	rig_start(&rig, 0, lines);
}

static void
start_bob(void)
{
	char lines[200];

	snprintf(lines, sizeof lines, "expose = %u for alice\n", service_port);
	rig_start(&rig, 1, lines);
}

static int
setup(void **state)
{
	(void)state;
	rig_init(&rig, 2);
	service_port = rig_port(&rig, 0);
	service = program_listen(&service_port);
	closed_port = rig_port(&rig, 1);
	forward_port = rig_port(&rig, 2);
	forward_closed_port = rig_port(&rig, 3);
	socks_port = rig_port(&rig, 4);
	start_alice();
	start_bob();
	RIG_UNTIL(&rig, rig_connected(&rig, 0, 1) && rig_connected(&rig, 1, 0));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(service);
	rig_free(&rig);
	return 0;
}

static void
join(int *a, int *b)
{
	*a = program_dial(forward_port);
	*b = program_accept(&rig, service);
}

static void
expect_no_streams(void)
{
	RIG_UNTIL(&rig, rig_live(&rig, 0, 1) + rig_held(&rig, 0, 1) == 0 &&
			    rig_live(&rig, 1, 0) + rig_held(&rig, 1, 0) == 0);
}

static void
test_half_close_both_ways(void **state)
{
	int a, b;

	(void)state;
	join(&a, &b);
	program_send(&rig, a, "request", 7);
	shutdown(a, SHUT_WR);
	program_expect(&rig, b, "request", 7);
	program_expect_eof(&rig, b);
	program_send(&rig, b, "answer", 6);
	program_expect(&rig, a, "answer", 6);
	close(b);
	program_expect_eof(&rig, a);
	close(a);

	join(&a, &b);
	shutdown(b, SHUT_WR);
	program_expect_eof(&rig, a);
	program_send(&rig, a, "still", 5);
	program_expect(&rig, b, "still", 5);
	close(a);
	program_expect_eof(&rig, b);
	close(b);
	expect_no_streams();
}

static void
test_an_early_half_close_is_no_hang_up(void **state)
{
	int a, b;

	(void)state;
	a = program_dial(forward_port);
	program_send(&rig, a, "all of it", 9);
	shutdown(a, SHUT_WR);
	b = program_accept(&rig, service);
	program_expect(&rig, b, "all of it", 9);
	program_expect_eof(&rig, b);
	program_send(&rig, b, "answer", 6);
	close(b);
	program_expect(&rig, a, "answer", 6);
	program_expect_eof(&rig, a);
	close(a);
	expect_no_streams();
}

static void
test_a_reset_stays_a_reset(void **state)
{
	int a, b;

	(void)state;
	join(&a, &b);
	program_abort(a);
	program_expect_reset(&rig, b);
	close(b);
	join(&a, &b);
	program_abort(b);
	program_expect_reset(&rig, a);
	close(a);
	/* After one side's end of file as well. */
	join(&a, &b);
	shutdown(a, SHUT_WR);
	program_expect_eof(&rig, b);
	program_abort(a);
	RIG_UNTIL(&rig, rig_live(&rig, 1, 0) == 0);
	RIG_UNTIL(&rig, send(b, "x", 1, MSG_NOSIGNAL) < 0);
	close(b);
	expect_no_streams();
}

static void
test_a_proxy_that_ends_resets(void **state)
{
	int a, b;

	(void)state;
	join(&a, &b);
	program_send(&rig, a, "x", 1);
	program_expect(&rig, b, "x", 1);
	rig_stop(&rig, 1);
	program_expect_reset(&rig, a);
	program_expect_reset(&rig, b);
	close(a);
	close(b);
}

static void
test_nothing_listens(void **state)
{
	int a;

	(void)state;
	rig_stop(&rig, 1);
	closed_port = service_port;
	close(service);
	start_bob();
	a = program_dial(forward_port);
	program_expect_reset(&rig, a);
	close(a);
	service = program_listen(&service_port);
}

static void
test_not_exposed(void **state)
{
	int a = program_dial(forward_closed_port);

	(void)state;
	program_expect_reset(&rig, a);
	close(a);
	expect_no_streams();
}

/* Both ends: Nagle's algorithm would hold small writes back until an acknowledgement. */
static void
test_small_writes_are_not_delayed(void **state)
{
	static const char byte = 'x';
	int a, b;

	(void)state;
	join(&a, &b);
	for (int i = 0; i < 3; i++) {
		program_send(&rig, a, &byte, 1);
		program_expect(&rig, b, &byte, 1);
	}
	/* The proxy's own sockets, found by their ends. */
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_in peer;
		socklen_t len = sizeof peer;
		int on = 0;

		if (fd == a || fd == b || getpeername(fd, (void *)&peer, &len) != 0 ||
		    peer.sin_family != AF_INET)
			continue;
		len = sizeof on;
		if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0)
			assert_int_not_equal(on, 0);
	}
	close(a);
	close(b);
	expect_no_streams();
}

static uint8_t
pattern(size_t offset)
{
	return (uint8_t)(offset * 2654435761U >> 24);
}

/* Write until the whole way to ${to}, who reads nothing, is full. Returns the bytes. */
static size_t
fill(int from)
{
	static uint8_t chunk[64 * 1024];
	uint64_t quiet_ns = clock_now_ns();
	size_t sent = 0;

	/* Full is what stays full for as long as the loop needs to move anything. */
	while (clock_now_ns() - quiet_ns < 300 * NS_PER_MS) {
		for (size_t i = 0; i < sizeof chunk; i++)
			chunk[i] = pattern(sent + i);
		ssize_t n = send(from, chunk, sizeof chunk, MSG_NOSIGNAL);

		if (n > 0) {
			sent += (size_t)n;
			quiet_ns = clock_now_ns();
		}
		rig_turn(&rig);
	}
	return sent;
}

static void
drain(int fd, size_t from, size_t to)
{
	static uint8_t got[64 * 1024];

	while (from < to) {
		size_t want = to - from < sizeof got ? to - from : sizeof got;
		ssize_t n;

		RIG_UNTIL(&rig, (n = recv(fd, got, want, 0)) >= 0 || errno != EAGAIN);
		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(got[i], pattern(from + (size_t)i));
		from += (size_t)n;
	}
}

/* Windows and buffers on the way, with the sockets' own. */
#define HELD_ON_THE_WAY (48 * 1024 * 1024)

static void
check_back_pressure(int from, int to)
{
	size_t sent = fill(from);

	assert_true(sent < HELD_ON_THE_WAY);
	drain(to, 0, sent);
	program_send(&rig, from, "end", 3);
	shutdown(from, SHUT_WR);
	program_expect(&rig, to, "end", 3);
	program_expect_eof(&rig, to);
}

static void
test_a_stalled_reader_stops_the_writer(void **state)
{
	int a, b;

	(void)state;
	join(&a, &b);
	check_back_pressure(a, b);
	check_back_pressure(b, a);
	close(a);
	close(b);
	expect_no_streams();
}

/* Neither the writer's death nor the reader's waits for the other to move on. */
static void
test_resets_behind_back_pressure(void **state)
{
	int a, b;

	(void)state;
	join(&a, &b);
	fill(a);
	program_abort(a);
	expect_no_streams();
	close(b);
	join(&a, &b);
	fill(a);
	program_abort(b);
	program_expect_reset(&rig, a);
	close(a);
	expect_no_streams();
}

static void
test_held_while_the_peer_is_away(void **state)
{
	int a, gone, b;

	(void)state;
	rig_stop(&rig, 1);
	RIG_UNTIL(&rig, !rig_connected(&rig, 0, 1));
	a = program_dial(forward_port);
	gone = program_dial(forward_port);
	program_send(&rig, a, "early", 5);
	program_send(&rig, gone, "never", 5);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 2);
	/* One that is gone gives its place up. */
	program_abort(gone);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 1);
	start_bob();
	b = program_accept(&rig, service);
	program_expect(&rig, b, "early", 5);
	program_send(&rig, b, "late", 4);
	program_expect(&rig, a, "late", 4);
	assert_true(program_is_alone(service));
	close(a);
	close(b);
	expect_no_streams();
}

static void
test_many_at_once(void **state)
{
	enum { N = 200 };
	static int a[N], b[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		a[i] = program_dial(forward_port);
		program_send(&rig, a[i], &i, sizeof i);
	}
	for (int i = 0; i < N; i++) {
		int who;

		b[i] = program_accept(&rig, service);
		RIG_UNTIL(&rig, recv(b[i], &who, sizeof who, MSG_PEEK) == sizeof who);
		program_expect(&rig, b[i], &who, sizeof who);
		program_send(&rig, b[i], &who, sizeof who);
		close(b[i]);
	}
	for (int i = 0; i < N; i++) {
		program_expect(&rig, a[i], &i, sizeof i);
		program_expect_eof(&rig, a[i]);
		close(a[i]);
	}
	expect_no_streams();
}

/* --- SOCKS5 --- */

static int
socks_request(const char *host, uint16_t port)
{
	uint8_t bytes[64] = {5, 1, 0};
	size_t n = strlen(host);
	int fd = program_dial(socks_port);

	program_send(&rig, fd, bytes, 3);
	program_expect(&rig, fd, "\x05\x00", 2);
	memcpy(bytes, "\x05\x01\x00\x03", 4);
	bytes[4] = (uint8_t)n;
	memcpy(bytes + 5, host, n);
	bytes[5 + n] = (uint8_t)(port >> 8);
	bytes[6 + n] = (uint8_t)port;
	program_send(&rig, fd, bytes, 7 + n);
	return fd;
}

static void
expect_socks_reply(int fd, uint8_t code)
{
	const uint8_t reply[10] = {5, code, 0, 1};

	program_expect(&rig, fd, reply, sizeof reply);
}

static void
test_socks_to_an_exposed_port(void **state)
{
	int a = socks_request("bob", service_port), b = program_accept(&rig, service);

	(void)state;
	expect_socks_reply(a, 0);
	program_send(&rig, a, "hello", 5);
	program_expect(&rig, b, "hello", 5);
	program_send(&rig, b, "world", 5);
	program_expect(&rig, a, "world", 5);
	close(a);
	program_expect_eof(&rig, b);
	close(b);
	expect_no_streams();
}

/* The reply, and then an end of file: a reset could overtake it. */
static void
test_socks_failures(void **state)
{
	int a = socks_request("nobody", service_port);

	(void)state;
	expect_socks_reply(a, 2);
	program_expect_eof(&rig, a);
	close(a);
	a = socks_request("bob", closed_port);
	expect_socks_reply(a, 2);
	program_expect_eof(&rig, a);
	close(a);
	expect_no_streams();
}

/* A SOCKS5 client has nothing to say before the reply: one that ends is gone. */
static void
test_a_socks_client_that_leaves(void **state)
{
	int a;

	(void)state;
	rig_stop(&rig, 1);
	RIG_UNTIL(&rig, !rig_connected(&rig, 0, 1));
	a = socks_request("bob", service_port);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 1);
	close(a);
	RIG_UNTIL(&rig, rig_held(&rig, 0, 1) == 0);
	start_bob();
	RIG_UNTIL(&rig, rig_connected(&rig, 0, 1));
	assert_true(program_is_alone(service));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_half_close_both_ways),
	    TEST(test_an_early_half_close_is_no_hang_up),
	    TEST(test_a_reset_stays_a_reset),
	    TEST(test_a_proxy_that_ends_resets),
	    TEST(test_nothing_listens),
	    TEST(test_not_exposed),
	    TEST(test_small_writes_are_not_delayed),
	    TEST(test_a_stalled_reader_stops_the_writer),
	    TEST(test_resets_behind_back_pressure),
	    TEST(test_held_while_the_peer_is_away),
	    TEST(test_many_at_once),
	    TEST(test_socks_to_an_exposed_port),
	    TEST(test_socks_failures),
	    TEST(test_a_socks_client_that_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
