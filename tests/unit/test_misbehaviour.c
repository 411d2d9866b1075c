#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "proxy_rig.h"
#include "tunnel/header.h"
#include "tunnel/peer.h"

/*
 * Parties that break the rules, towards bob (1): alice (0), whose streams are the
 * test's, and carol (2), the same.
 */
static struct proxy_rig rig;
static struct raw_party alice, carol;
static int service;
static uint16_t service_port;

static const uint8_t mpyc_header[] = {5, 1, 0, 3, 4, 'm', 'p', 'y', 'c', 0, 0};
static const uint8_t echo_header[] = {5, 1, 0, 3, 4, 'e', 'c', 'h', 'o', 0, 0};

static int
setup(void **state)
{
	char lines[100];

	(void)state;
	rig_init(&rig, 3);
	service_port = 0;
	service = program_listen(&service_port);
	snprintf(lines, sizeof lines, "expose = %u for alice\n", service_port);
	rig_start(&rig, 1, lines);
	raw_start(&alice, &rig, 0, 1);
	raw_start(&carol, &rig, 2, 1);
	RIG_UNTIL(&rig, link_is_up(alice.link) && link_is_up(carol.link));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	raw_stop(&alice);
	raw_stop(&carol);
	close(service);
	rig_free(&rig);
	return 0;
}

static int
bob_listens(void)
{
	uint16_t port = rig_mpyc_port(&rig, 1, 1);

	return program_listen(&port);
}

static void
expect_reply(struct raw_stream *s, int code)
{
	RIG_UNTIL(&rig, s->n_got >= HEADER_REPLY_BYTES);
	assert_int_equal(header_parse_reply(s->got), code);
}

/* Bob has said no and forgotten the stream; ours ends as well. */
static void
expect_refusal(struct raw_party *raw, struct raw_stream *s, int code)
{
	expect_reply(s, code);
	RIG_UNTIL(&rig, s->fin);
	assert_int_equal(s->n_got, HEADER_REPLY_BYTES);
	assert_int_equal(rig_held(&rig, 1, raw->index) + rig_live(&rig, 1, raw->index),
			 0);
	raw_abort(raw, s);
}

static size_t
port_header(uint8_t *out, const char *host, uint16_t port)
{
	struct header_request req = {.port = port};

	snprintf(req.host, sizeof req.host, "%s", host);
	return header_encode_request(&req, out);
}

static void
check_port(struct raw_party *raw, const char *host, uint16_t port, int code)
{
	uint8_t head[HEADER_REQUEST_MAX];
	static struct raw_stream s;

	raw_open(raw, &s);
	raw_send(raw, &s, head, port_header(head, host, port));
	expect_refusal(raw, &s, code);
}

static void
test_ports_that_are_not_exposed(void **state)
{
	(void)state;
	check_port(&alice, "127.0.0.1", (uint16_t)(service_port + 1), REPLY_NOT_ALLOWED);
	check_port(&carol, "127.0.0.1", service_port, REPLY_NOT_ALLOWED);
	check_port(&alice, "127.0.0.2", service_port, REPLY_NOT_ALLOWED);
	check_port(&alice, "localhost", service_port, REPLY_NOT_ALLOWED);
	check_port(&alice, "192.0.2.1", 80, REPLY_NOT_ALLOWED);
	check_port(&alice, "::1", service_port, REPLY_NOT_ALLOWED);
	check_port(&alice, "mpyc", 1, REPLY_NOT_ALLOWED);
	check_port(&alice, "shell", 0, REPLY_NOT_ALLOWED);
	assert_true(program_is_alone(service));
}

static void
check_garbage(const void *bytes, size_t len, int code)
{
	static struct raw_stream s;

	raw_open(&alice, &s);
	raw_send(&alice, &s, bytes, len);
	expect_refusal(&alice, &s, code);
}

static void
test_headers_that_are_garbage(void **state)
{
	(void)state;
	check_garbage("GET / HTTP/1.1", 14, REPLY_FAILURE);
	check_garbage("\x05\x02\x00\x01", 4, REPLY_COMMAND_UNKNOWN);
	check_garbage("\x05\x01\x00\x09\x01\x01", 6, REPLY_ADDRESS_UNKNOWN);
	check_garbage("\x05\x01\x00\x03\x02\n\x1b\x00\x01", 9, REPLY_ADDRESS_UNKNOWN);
	check_garbage("\x05\x01\x00\x03\x00\x00\x01", 7, REPLY_ADDRESS_UNKNOWN);
}

static void
test_a_header_byte_by_byte(void **state)
{
	static struct raw_stream s;

	(void)state;
	raw_open(&alice, &s);
	for (size_t i = 0; i < sizeof echo_header; i++) {
		raw_send(&alice, &s, echo_header + i, 1);
		rig_turn(&rig);
	}
	raw_send(&alice, &s, "back", 4);
	RIG_UNTIL(&rig, s.n_got >= HEADER_REPLY_BYTES + 4);
	assert_memory_equal(s.got + HEADER_REPLY_BYTES, "back", 4);
	raw_finish(&alice, &s);
	RIG_UNTIL(&rig, s.closed && !s.lost);
}

static void
test_headers_that_are_cut(void **state)
{
	static struct raw_stream s;

	(void)state;
	for (size_t i = 0; i < sizeof mpyc_header; i++) {
		raw_open(&alice, &s);
		if (i > 0)
			raw_send(&alice, &s, mpyc_header, i);
		raw_finish(&alice, &s);
		RIG_UNTIL(&rig, s.closed);
		assert_true(s.reset);
		assert_int_equal(s.n_got, 0);
	}
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
}

static void
test_an_index_that_lies(void **state)
{
	int lfd = bob_listens();
	static struct raw_stream s;

	(void)state;
	raw_open(&alice, &s);
	raw_send(&alice, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s, "\x02", 1);
	raw_send(&alice, &s, "\x00key", 4);
	expect_refusal(&alice, &s, REPLY_NOT_ALLOWED);
	/* Nor TLS. */
	raw_open(&alice, &s);
	raw_send(&alice, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s, "\x16\x03\x01", 3);
	expect_refusal(&alice, &s, REPLY_NOT_ALLOWED);
	assert_true(program_is_alone(lfd));
	close(lfd);
}

/* MPyC at a party dials larger indices only, and bob's listens for alice alone: carol
 * speaks the truth, but has no business there. */
static void
test_mpyc_from_a_larger_index(void **state)
{
	int lfd = bob_listens();
	static struct raw_stream s;

	(void)state;
	raw_open(&carol, &s);
	raw_send(&carol, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&carol, &s, "\x02\x00key", 5);
	expect_refusal(&carol, &s, REPLY_NOT_ALLOWED);
	assert_true(program_is_alone(lfd));
	close(lfd);
}

/* A greeting whose sender has already ended is a killed program's, reset or not. */
static void
test_an_end_behind_the_greeting(void **state)
{
	static struct raw_stream s;
	int lfd;

	(void)state;
	raw_open(&alice, &s);
	raw_send(&alice, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s, "\x00\x00old", 5);
	raw_finish(&alice, &s);
	RIG_UNTIL(&rig, s.closed);
	lfd = bob_listens();
	raw_open(&alice, &s);
	raw_send(&alice, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s, "\x00\x00new", 5);
	int b = program_accept(&rig, lfd);

	program_expect(&rig, b, "\x00\x00new", 5);
	assert_true(program_is_alone(lfd));
	/* And one that ends later is held until then. */
	raw_abort(&alice, &s);
	program_expect_eof(&rig, b);
	close(b);
	close(lfd);
}

static void
test_an_end_while_dialling(void **state)
{
	static struct raw_stream s;

	(void)state;
	raw_open(&alice, &s);
	raw_send(&alice, &s, mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s, "\x00\x00old", 5);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 1);
	raw_finish(&alice, &s);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
	RIG_UNTIL(&rig, s.closed);
}

static void
test_too_many_mpyc_streams(void **state)
{
	static struct raw_stream s[PEER_MPYC_HELD_MAX + 2];
	size_t n = sizeof s / sizeof *s;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		raw_open(&alice, &s[i]);
		raw_send(&alice, &s[i], mpyc_header, sizeof mpyc_header);
	}
	expect_reply(&s[n - 1], REPLY_FAILURE);
	assert_int_equal(rig_held(&rig, 1, 0), n - 1);
	for (size_t i = 0; i < n; i++)
		raw_abort(&alice, &s[i]);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
}

static void
test_more_echo_than_allowed(void **state)
{
	static const uint8_t much[2000];
	static struct raw_stream s;

	(void)state;
	raw_open(&alice, &s);
	raw_send(&alice, &s, echo_header, sizeof echo_header);
	raw_send(&alice, &s, much, sizeof much);
	RIG_UNTIL(&rig, s.reset && s.code == QUIC_CODE_LIMIT);
	raw_abort(&alice, &s);
	RIG_UNTIL(&rig, rig_live(&rig, 1, 0) == 0);
}

/* Each is worth a line; a hundred are not. */
static void
test_connections_that_break(void **state)
{
	static struct raw_stream s;
	uint8_t head[HEADER_REQUEST_MAX];
	size_t len = port_header(head, "127.0.0.1", service_port);
	struct stderr_capture capture;
	unsigned n;
	int fd;

	(void)state;
	stderr_collect(&capture);
	for (unsigned i = 0; i < 100; i++) {
		raw_open(&alice, &s);
		raw_send(&alice, &s, head, len);
		fd = program_accept(&rig, service);
		expect_reply(&s, REPLY_SUCCEEDED);
		program_abort(fd);
		RIG_UNTIL(&rig, s.reset);
		raw_abort(&alice, &s);
	}
	n = stderr_lines(&capture, "a local connection broke");
	assert_in_range(n, 1, 30);
}

/* As many streams as QUIC allows, all unfinished: one more cannot even be opened, the
 * others are served, and all go at once. */
static void
test_thousands_of_streams(void **state)
{
	struct raw_stream *s = calloc(QUIC_STREAMS_MAX, sizeof *s);
	static struct raw_stream extra, other;
	size_t n = QUIC_STREAMS_MAX - 1; /* the link has one for signals */

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < n; i++) {
		raw_open(&alice, &s[i]);
		raw_send(&alice, &s[i], mpyc_header, 3);
	}
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == n);
	extra.owner.ops = s[0].owner.ops;
	assert_null(link_open_stream(alice.link, &extra.owner));
	raw_open(&carol, &other);
	raw_send(&carol, &other, echo_header, sizeof echo_header);
	raw_send(&carol, &other, "x", 1);
	expect_reply(&other, REPLY_SUCCEEDED);
	raw_abort(&carol, &other);
	for (size_t i = 0; i < n; i++)
		raw_abort(&alice, &s[i]);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 0);
	free(s);
}

/* A peer that gives no credit stops the program here, and one that ends frees it. */
static void
test_a_peer_that_never_reads(void **state)
{
	static uint8_t much[256 * 1024];
	uint8_t head[HEADER_REQUEST_MAX];
	static struct raw_stream s;
	size_t sent = 0;
	int b;

	(void)state;
	raw_open(&alice, &s);
	s.stall = true;
	raw_send(&alice, &s, head, port_header(head, "127.0.0.1", service_port));
	b = program_accept(&rig, service);
	for (uint64_t quiet_ns = clock_now_ns();
	     clock_now_ns() - quiet_ns < 300 * NS_PER_MS; rig_turn(&rig)) {
		ssize_t n = send(b, much, sizeof much, MSG_NOSIGNAL);

		if (n <= 0)
			continue;
		sent += (size_t)n;
		quiet_ns = clock_now_ns();
	}
	assert_true(sent < 2 * (QUIC_SEND_BUFFER_MAX + QUIC_STREAM_WINDOW_MAX));
	raw_abort(&alice, &s);
	program_expect_reset(&rig, b);
	close(b);
	RIG_UNTIL(&rig, rig_live(&rig, 1, 0) == 0);
}

/* The peer's proxy dies without a word while its streams are in every state. */
static void
test_a_peer_that_vanishes(void **state)
{
	uint8_t head[HEADER_REQUEST_MAX];
	static struct raw_stream s[4];
	int b;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		raw_open(&alice, &s[i]);
	raw_send(&alice, &s[0], mpyc_header, 4);
	raw_send(&alice, &s[1], mpyc_header, sizeof mpyc_header);
	raw_send(&alice, &s[1], "\x00\x00key", 5);
	raw_send(&alice, &s[2], echo_header, sizeof echo_header);
	raw_send(&alice, &s[3], head, port_header(head, "127.0.0.1", service_port));
	raw_send(&alice, &s[3], "data", 4);
	b = program_accept(&rig, service);
	program_expect(&rig, b, "data", 4);
	RIG_UNTIL(&rig, rig_held(&rig, 1, 0) == 2 && rig_live(&rig, 1, 0) == 1);
	raw_stop(&alice);
	program_expect_reset(&rig, b);
	close(b);
	RIG_UNTIL(&rig, !rig_connected(&rig, 1, 0));
	assert_int_equal(rig_held(&rig, 1, 0) + rig_live(&rig, 1, 0), 0);
	raw_start(&alice, &rig, 0, 1);
	RIG_UNTIL(&rig, link_is_up(alice.link));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_ports_that_are_not_exposed), TEST(test_headers_that_are_garbage),
	    TEST(test_a_header_byte_by_byte),      TEST(test_headers_that_are_cut),
	    TEST(test_an_index_that_lies),         TEST(test_mpyc_from_a_larger_index),
	    TEST(test_an_end_behind_the_greeting), TEST(test_an_end_while_dialling),
	    TEST(test_too_many_mpyc_streams),      TEST(test_more_echo_than_allowed),
	    TEST(test_connections_that_break),
	    TEST(test_thousands_of_streams),       TEST(test_a_peer_that_never_reads),
	    TEST(test_a_peer_that_vanishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
