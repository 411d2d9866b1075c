#define _GNU_SOURCE /* accept4() */
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "check.h"
#include "tunnel/joint.h"

/*
 * A local TCP connection at one end of a joint; at the other a stream that takes as much
 * as the test allows. Whatever the program does, and wherever it meets a stream that
 * takes nothing, a reset is noticed.
 */
#define HANG_NS (30 * NS_PER_S)

static struct event_base *base;
static struct joint *joint;
static int program; /* its end of the connection */
static enum joint_state state_now;
static uint8_t taken[4096];
static size_t room, written;
static bool finished;

/* In place of quic/stream.c. */
int
quic_stream_reserve(struct quic_stream *s, size_t want,
		    struct iovec iov[QUIC_STREAM_AREAS])
{
	(void)s;
	iov[0].iov_base = taken;
	iov[0].iov_len = want < room ? want : room;
	return room > 0;
}

void
quic_stream_commit(struct quic_stream *s, size_t len)
{
	(void)s;
	room -= len;
	written += len;
}

void
quic_stream_consumed(struct quic_stream *s, size_t len)
{
	(void)s;
	(void)len;
}

void
quic_stream_finish(struct quic_stream *s)
{
	(void)s;
	finished = true;
}

static void
on_active(void *arg)
{
	(void)arg;
	state_now = joint_move(joint);
}

static int
setup(void **state)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof sin), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	program = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(program, (struct sockaddr *)&sin, sizeof sin), 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	close(listener);

	base = event_base_new();
	room = written = 0;
	finished = false;
	state_now = JOINT_GOES_ON;
	joint = joint_new(base, on_active, NULL);
	assert_int_equal(joint_set_fd(joint, fd), 0);
	joint_set_stream(joint, (struct quic_stream *)&room);
	joint_open(joint);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	joint_free(joint);
	event_base_free(base);
	if (program >= 0)
		close(program);
	return 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
turn(void)
{
	static const struct timeval tick = {.tv_usec = 10000};

	event_base_once(base, -1, EV_TIMEOUT, on_tick, NULL, &tick);
	event_base_loop(base, EVLOOP_ONCE);
}

#define UNTIL(condition)                                                                 \
	do {                                                                             \
		uint64_t hang_ns_ = clock_now_ns() + HANG_NS;                            \
		while (!(condition)) {                                                   \
			if (clock_now_ns() > hang_ns_)                                   \
				fail_msg("it never came to: %s", #condition);            \
			turn();                                                          \
		}                                                                        \
	} while (0)

static void
put(size_t len)
{
	static const uint8_t data[4096];

	assert_int_equal(send(program, data, len, MSG_NOSIGNAL), len);
}

static void
dies(void)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(program, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(program);
	program = -1;
}

static void
check_broken(int error)
{
	UNTIL(state_now == JOINT_BROKEN);
	assert_string_equal(joint_error(joint), strerror(error));
	/* Whoever asks again hears the same. */
	assert_int_equal(joint_move(joint), JOINT_BROKEN);
}

static void
test_a_reset(void **state)
{
	(void)state;
	room = 1000;
	put(100);
	UNTIL(written == 100);
	dies();
	check_broken(ECONNRESET);
}

/* It has sent more than the stream takes. */
static void
test_a_reset_behind_unread_bytes(void **state)
{
	(void)state;
	room = 100;
	put(1000);
	UNTIL(written == 100);
	dies();
	check_broken(ECONNRESET);
}

/* All it has sent is taken, and then there is no room, as when other streams have come to
 * fill what the connection may hold. */
static void
test_a_reset_where_nothing_would_be_read(void **state)
{
	(void)state;
	room = 1000;
	put(100);
	UNTIL(written == 100);
	room = 0;
	dies();
	check_broken(ECONNRESET);
}

static void
test_a_reset_after_the_end(void **state)
{
	(void)state;
	room = 1000;
	put(100);
	shutdown(program, SHUT_WR);
	UNTIL(finished);
	assert_int_equal(state_now, JOINT_GOES_ON);
	dies();
	/* So Linux calls it then. */
	check_broken(EPIPE);
}

/* No room is no failure. */
static void
test_no_room(void **state)
{
	(void)state;
	room = 100;
	put(100);
	UNTIL(written == 100);
	put(50);
	for (int i = 0; i < 5; i++)
		turn();
	assert_int_equal(written, 100);
	assert_int_equal(state_now, JOINT_GOES_ON);
	room = 1000;
	state_now = joint_move(joint);
	assert_int_equal(written, 150);
	assert_int_equal(state_now, JOINT_GOES_ON);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_reset),
	    TEST(test_a_reset_behind_unread_bytes),
	    TEST(test_a_reset_where_nothing_would_be_read),
	    TEST(test_a_reset_after_the_end),
	    TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
