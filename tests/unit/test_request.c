/* The requests of the control socket: what is one, and what only resembles one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "watch/request.h"

#define NAME_32 "abcdefghijklmnopqrstuvwxyz-01234"

static void
test_good(void **state)
{
	static const struct {
		const char *line;
		struct request request;
	} cases[] = {
	    {"status text", {.verb = REQUEST_STATUS_TEXT}},
	    {"status json", {.verb = REQUEST_STATUS_JSON}},
	    {"flags", {.verb = REQUEST_FLAGS}},
	    {"wait", {.verb = REQUEST_WAIT}},
	    {"missing", {.verb = REQUEST_MISSING}},
	    {"reload", {.verb = REQUEST_RELOAD}},
	    {"ping a 1", {.verb = REQUEST_PING, .party = "a", .count = 1}},
	    {"ping " NAME_32 " 1000",
	     {.verb = REQUEST_PING, .party = NAME_32, .count = 1000}},
	    {"offer", {.verb = REQUEST_OFFER}},
	    {"accept AQID", {.verb = REQUEST_ACCEPT, .sealed = {1, 2, 3}, .sealed_len = 3}},
	    {"forwards", {.verb = REQUEST_FORWARDS}},
	    {"connect bob 22", {.verb = REQUEST_CONNECT, .party = "bob"}},
	    {"connect bob unix:/run/x", {.verb = REQUEST_CONNECT, .party = "bob"}},
	    {"forward bob [2001:db8::1]:80 127.0.0.1:8080",
	     {.verb = REQUEST_FORWARD, .party = "bob"}},
	    {"forward bob 80 0.0.0.0:8080 for everyone",
	     {.verb = REQUEST_FORWARD, .party = "bob"}},
	    {"unforward unix:/run/x", {.verb = REQUEST_UNFORWARD}},
	};
	char line[REQUEST_LINE_MAX];
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct request *want = &cases[i].request;

		assert_int_equal(request_parse(&r, cases[i].line, strlen(cases[i].line)),
				 0);
		assert_int_equal(r.verb, want->verb);
		assert_string_equal(r.party, want->party);
		assert_int_equal(r.count, want->count);
		assert_string_equal(request_format(&r, line), cases[i].line);
	}
}

static void
test_bad(void **state)
{
	static const char *const cases[] = {
	    "",
	    "status",
	    "status  text",
	    "status text ",
	    " status text",
	    "Status text",
	    "flags\r",
	    "ping",
	    "ping ",
	    "ping alice",
	    "ping alice ",
	    "ping alice 0",
	    "connect",
	    "connect bob",
	    "connect bob 0",
	    "connect bob 22 ",
	    "connect BOB 22",
	    "forward bob 80",
	    "forward bob 80 0.0.0.0:8080",
	    "forward bob 80 8080 8081",
	    "unforward",
	    "unforward unix:x",
	    "ping alice 1001",
	    "ping alice -1",
	    "ping alice +1",
	    "ping alice 1 ",
	    "ping alice 99999999999999999999999",
	    "ping  1",
	    "ping Alice 1",
	    "ping ../x 1",
	    "ping x" NAME_32 " 1",
	    "ping alice\t1",
	    "accept",
	    "accept ",
	    "accept A",
	    "accept AQI=",
	    "accept AQID ",
	    "offer ",
	};
	char longest[REQUEST_LINE_MAX + 1];
	struct request r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(request_parse(&r, cases[i], strlen(cases[i])), -1);
	assert_int_equal(request_parse(&r, "flags", 6), -1); /* its NUL too */
	assert_int_equal(request_parse(&r, "flags", 4), -1);
	memset(longest, 'a', sizeof longest);
	assert_int_equal(request_parse(&r, longest, sizeof longest), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
