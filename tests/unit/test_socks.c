#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "tunnel/socks.h"

/* One client on a socket pair, and what became of its request. */
struct rig {
	struct event_base *base;
	struct socks *socks;
	int client;
	int fd; /* handed over, -1 for none */
	int answer;
	char host[256];
	uint16_t port;
};

static int
on_request(void *arg, int fd, const char *host, uint16_t port)
{
	struct rig *r = arg;

	strcpy(r->host, host);
	r->port = port;
	if (r->answer == 0)
		r->fd = fd;
	return r->answer;
}

static const struct socks_callbacks callbacks = {.request = on_request};

static int
setup(void **state)
{
	static struct rig r;
	int sv[2];

	memset(&r, 0, sizeof r);
	r.fd = -1;
	r.base = event_base_new();
	r.socks = socks_new(r.base, &callbacks, &r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	r.client = sv[0];
	socks_accept(r.socks, sv[1]);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	socks_free(r->socks);
	event_base_free(r->base);
	if (r->fd >= 0)
		close(r->fd);
	close(r->client);
	return 0;
}

static void
say(struct rig *r, const char *bytes, size_t len)
{
	assert_int_equal(send(r->client, bytes, len, MSG_NOSIGNAL), len);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
}

/* What the client has been told so far is exactly this. */
static void
hear(struct rig *r, const char *bytes, size_t len)
{
	char got[64];

	assert_int_equal(recv(r->client, got, sizeof got, 0), len);
	assert_memory_equal(got, bytes, len);
}

static void
test_a_request_byte_by_byte(void **state)
{
	static const char bytes[] = "\x05\x02\x00\x02\x05\x01\x00\x03\x03"
				    "bob\x22\xb8";
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof bytes - 1; i++) {
		assert_int_equal(r->port, 0);
		say(r, bytes + i, 1);
	}
	hear(r, "\x05\x00", 2);
	assert_string_equal(r->host, "bob");
	assert_int_equal(r->port, 8888);
	assert_true(r->fd >= 0);
}

static void
test_an_unknown_party(void **state)
{
	struct rig *r = *state;

	r->answer = -1;
	say(r, "\x05\x01\x00\x05\x01\x00\x03\x03xyz\x00\x50", 13);
	hear(r, "\x05\x00\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	hear(r, "", 0);
}

static void
test_no_common_method(void **state)
{
	struct rig *r = *state;

	say(r, "\x05\x01\x02", 3);
	hear(r, "\x05\xff", 2);
	hear(r, "", 0);
}

static void
test_another_version(void **state)
{
	struct rig *r = *state;

	say(r, "\x04\x01\x00\x50", 4);
	hear(r, "", 0);
	assert_int_equal(r->fd, -1);
}

static void
test_bind_is_refused(void **state)
{
	struct rig *r = *state;

	say(r,
	    "\x05\x01\x00\x05\x02\x00\x03\x03"
	    "bob\x00\x50",
	    13);
	hear(r, "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	hear(r, "", 0);
	assert_int_equal(r->fd, -1);
}

static void
test_a_client_that_speaks_too_early(void **state)
{
	struct rig *r = *state;

	say(r,
	    "\x05\x01\x00\x05\x01\x00\x03\x03"
	    "bob\x00\x50GET",
	    16);
	hear(r, "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	hear(r, "", 0);
	assert_int_equal(r->fd, -1);
}

static void
test_a_client_that_leaves(void **state)
{
	struct rig *r = *state;

	say(r, "\x05\x01\x00\x05", 4);
	shutdown(r->client, SHUT_WR);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	hear(r, "\x05\x00", 2);
	hear(r, "", 0);
	assert_int_equal(r->fd, -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_request_byte_by_byte), TEST(test_an_unknown_party),
	    TEST(test_no_common_method),       TEST(test_another_version),
	    TEST(test_bind_is_refused),        TEST(test_a_client_that_speaks_too_early),
	    TEST(test_a_client_that_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
