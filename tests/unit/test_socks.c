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
	enum header_reply answer;
	char host[256];
	uint16_t port;
	bool udp;
	struct local local;
};

static enum header_reply
on_request(void *arg, int fd, const struct header_request *req)
{
	struct rig *r = arg;

	strcpy(r->host, req->host);
	r->port = req->port;
	r->udp = req->udp;
	if (r->answer == REPLY_SUCCEEDED)
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
	r.socks = socks_new(r.base, &r.local, &callbacks, &r);
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

	r->answer = REPLY_NOT_ALLOWED;
	say(r, "\x05\x01\x00\x05\x01\x00\x03\x03xyz\x00\x50", 13);
	hear(r, "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", 12);
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
test_no_method_at_all(void **state)
{
	struct rig *r = *state;

	say(r, "\x05\x00", 2);
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

/* With a password, byte by byte; then a wrong one, of each length. */
static void
test_password(void **state)
{
	static const char right[] = "\x05\x02\x00\x02\x01\x02me\x06secret"
				    "\x05\x01\x00\x03\x03"
				    "bob\x22\xb8";
	struct rig *r = *state;

	r->local.socks5_user = "me";
	r->local.socks5_password = "secret";
	for (size_t i = 0; i < sizeof right - 1; i++) {
		assert_int_equal(r->port, 0);
		say(r, right + i, 1);
	}
	hear(r, "\x05\x02\x01\x00", 4);
	assert_string_equal(r->host, "bob");
}

static void
expect_rejected(struct rig *r, const char *bytes, size_t len)
{
	r->local.socks5_user = "me";
	r->local.socks5_password = "secret";
	say(r, bytes, len);
	hear(r, "\x05\x02\x01\x01", 4);
	hear(r, "", 0);
	assert_int_equal(r->fd, -1);
}

static void
test_wrong_password(void **state)
{
	expect_rejected(*state, "\x05\x01\x02\x01\x02me\x06secreT", 14);
}

static void
test_empty_password(void **state)
{
	expect_rejected(*state, "\x05\x01\x02\x01\x02me\x00", 8);
}

static void
test_longer_user(void **state)
{
	expect_rejected(*state, "\x05\x01\x02\x01\x03me\x00\x06secret", 15);
}

/* Who has a password must not be let in without. */
static void
test_password_not_offered(void **state)
{
	struct rig *r = *state;

	r->local.socks5_user = "me";
	r->local.socks5_password = "secret";
	say(r, "\x05\x01\x00", 3);
	hear(r, "\x05\xff", 2);
	hear(r, "", 0);
}

static void
test_wrong_version_of_password(void **state)
{
	struct rig *r = *state;

	r->local.socks5_user = "me";
	r->local.socks5_password = "secret";
	say(r, "\x05\x01\x02\x05\x02me\x06secret", 14);
	hear(r, "\x05\x02", 2);
	hear(r, "", 0);
}

/* Addresses are understood; what becomes of them is the ruleset's business. */
static void
test_addresses(void **state)
{
	struct rig *r = *state;

	r->answer = REPLY_NOT_ALLOWED;
	say(r,
	    "\x05\x01\x00\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50",
	    25);
	hear(r, "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00", 12);
	hear(r, "", 0);
	assert_string_equal(r->host, "2001:db8::1");
}

static void
test_udp_associate(void **state)
{
	struct rig *r = *state;

	say(r, "\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 13);
	hear(r, "\x05\x00", 2);
	assert_true(r->udp && r->fd >= 0);
}

/* Everything else that can be wrong with a request (RFC 1928, 4): what is answered, if
 * anything, before the connection is closed. */
static void
test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int reply; /* -1: nothing after the choice of a method */
	} cases[] = {
	    {"\x04\x01\x00\x01\x7f\0\0\x01\x00\x50", 10, REPLY_FAILURE}, /* version */
	    {"\x05\x00\x00\x01\x7f\0\0\x01\x00\x50", 10, REPLY_COMMAND_UNKNOWN},
	    {"\x05\x04\x00\x01\x7f\0\0\x01\x00\x50", 10, REPLY_COMMAND_UNKNOWN},
	    {"\x05\x01\x01\x01\x7f\0\0\x01\x00\x50", 10, REPLY_FAILURE}, /* reserved */
	    {"\x05\x01\x00\x02\x7f\0\0\x01\x00\x50", 10, REPLY_ADDRESS_UNKNOWN},
	    {"\x05\x01\x00\x03\x00\x00\x50", 7, REPLY_ADDRESS_UNKNOWN}, /* no name */
	    {"\x05\x01\x00\x03\x03"
	     "b\0b\x00\x50",
	     10, REPLY_ADDRESS_UNKNOWN}, /* NUL */
	    {"\x05\x01\x00\x03\x03"
	     "b b\x00\x50",
	     10, REPLY_ADDRESS_UNKNOWN},
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint8_t expected[HEADER_REPLY_BYTES];
		int sv[2];

		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		close(r->client);
		event_base_loop(r->base, EVLOOP_NONBLOCK);
		r->client = sv[0];
		socks_accept(r->socks, sv[1]);
		say(r, "\x05\x01\x00", 3);
		hear(r, "\x05\x00", 2);
		say(r, cases[i].bytes, cases[i].len);
		header_encode_reply((enum header_reply)cases[i].reply, expected);
		hear(r, (char *)expected, sizeof expected);
		hear(r, "", 0);
		assert_int_equal(r->fd, -1);
	}
}

/* The longest name, and a request cut off after each of its bytes by the client's end:
 * closed, and no request. */
static void
test_cut_off_anywhere(void **state)
{
	char bytes[3 + 5 + 255 + 2] = "\x05\x01\x00\x05\x01\x00\x03\xff";
	struct rig *r = *state;

	memset(bytes + 8, 'a', 255);
	bytes[sizeof bytes - 1] = 80;
	r->answer = REPLY_NOT_ALLOWED;
	for (size_t len = 0; len <= sizeof bytes; len++) {
		char got[64];
		ssize_t n, total = 0;
		int sv[2];

		r->port = 0;
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		close(r->client);
		event_base_loop(r->base, EVLOOP_NONBLOCK);
		r->client = sv[0];
		socks_accept(r->socks, sv[1]);
		if (len > 0)
			say(r, bytes, len);
		shutdown(r->client, SHUT_WR);
		for (int i = 0; i < 3; i++)
			event_base_loop(r->base, EVLOOP_NONBLOCK);
		while ((n = recv(r->client, got, sizeof got, 0)) > 0)
			total += n;
		assert_int_equal(n, 0);
		assert_int_equal(total, len < 3 ? 0 : len < sizeof bytes ? 2 : 12);
		assert_int_equal(r->port, len == sizeof bytes ? 80 : 0);
	}
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
	    TEST(test_a_client_that_leaves),   TEST(test_password),
	    TEST(test_wrong_password),	       TEST(test_empty_password),
	    TEST(test_longer_user),	       TEST(test_password_not_offered),
	    TEST(test_wrong_version_of_password), TEST(test_addresses),
	    TEST(test_udp_associate),	       TEST(test_malformed),
	    TEST(test_cut_off_anywhere),       TEST(test_no_method_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
