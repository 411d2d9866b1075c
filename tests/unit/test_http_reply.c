#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/http_reply.h"

/* Take ${text} in pieces of ${piece} bytes; returns how much of it was taken. */
static size_t
take(struct http_reply *r, const char *text, size_t piece)
{
	size_t len = strlen(text), at = 0, n, taken;

	http_reply_init(r);
	while (at < len && r->state == HTTP_REPLY_MORE) {
		n = len - at < piece ? len - at : piece;
		taken = http_reply_take(r, (const uint8_t *)text + at, n);
		assert_true(taken == n || r->state != HTTP_REPLY_MORE);
		at += taken;
	}
	return at;
}

static void
understands_replies(void **state)
{
	static const struct {
		const char *text;
		unsigned status;
		const char *reason;
	} good[] = {
	    {"HTTP/1.1 200 OK\r\n\r\n", 200, "OK"},
	    {"HTTP/1.0 200 Connection established\r\n\r\n", 200,
	     "Connection established"},
	    {"HTTP/1.1 204 \r\n\r\n", 204, ""},
	    {"HTTP/1.1 200\r\n\r\n", 200, ""},
	    {"HTTP/1.1 403 Forbidden\nServer: x\n\n", 403, "Forbidden"},
	    {"HTTP/1.1 407 \033[1mNo\r\nA: \r\nb-C:d\te \xff\r\n\r\n", 0, NULL},
	    {"HTTP/1.1 407 N\xc3\xb6\r\nA: \r\nb-C:d\te \xff\r\n\r\n", 407, "N  "},
	    {"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 200, "OK"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		for (size_t piece = 1; piece < 60; piece++) {
			struct http_reply r;
			char text[256];
			size_t n;

			/* What comes after the head is left alone. */
			snprintf(text, sizeof text, "%sabc", good[i].text);
			n = take(&r, text, piece);
			if (good[i].reason == NULL) {
				assert_int_equal(r.state, HTTP_REPLY_BAD);
				continue;
			}
			assert_int_equal(r.state, HTTP_REPLY_DONE);
			assert_int_equal(n, strlen(good[i].text));
			assert_int_equal(r.status, good[i].status);
			assert_string_equal(r.reason, good[i].reason);
		}
}

static void
refuses_the_rest(void **state)
{
	static const char *const bad[] = {
	    "\r\n",
	    "http/1.1 200 OK\r\n\r\n",
	    "HTTP/2 200\r\n\r\n",
	    "HTTP/1.2 200 OK\r\n\r\n",
	    "HTTP/1.1  200 OK\r\n\r\n",
	    "HTTP/1.1 20 OK\r\n\r\n",
	    "HTTP/1.1 2000 OK\r\n\r\n",
	    "HTTP/1.1 099 OK\r\n\r\n",
	    "HTTP/1.1 600 OK\r\n\r\n",
	    "HTTP/1.1 +20 OK\r\n\r\n",
	    "HTTP/1.1 200 O\001K\r\n\r\n",
	    "HTTP/1.1 200 OK\rX\n\r\n",
	    "HTTP/1.1 200 OK\r\n X: folded\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	    "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nname\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nname: a\x7f\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nname: a\r\n\rX",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct http_reply r;

		take(&r, bad[i], 7);
		if (r.state != HTTP_REPLY_BAD)
			fail_msg("`%s` was not refused", bad[i]);
	}
}

static void
is_bounded(void **state)
{
	struct http_reply r;
	const char line[] = "name: value\r\n";
	size_t n = 0;

	(void)state;
	take(&r, "HTTP/1.1 200 OK\r\n", 100);
	for (n = 0; n < HTTP_REPLY_MAX && r.state == HTTP_REPLY_MORE;)
		n += http_reply_take(&r, (const uint8_t *)line, sizeof line - 1);
	assert_int_equal(r.state, HTTP_REPLY_BAD);

	/* Informational ones for ever. */
	http_reply_init(&r);
	for (n = 0; n < 2 * HTTP_REPLY_MAX && r.state == HTTP_REPLY_MORE;)
		n +=
		    http_reply_take(&r, (const uint8_t *)"HTTP/1.1 102 Wait\r\n\r\n", 21);
	assert_int_equal(r.state, HTTP_REPLY_BAD);

	/* A reason longer than there is room for. */
	http_reply_init(&r);
	take(&r,
	     "HTTP/1.1 500 123456789012345678901234567890123456789012345678901234567"
	     "8901234567890123456789012345678901234567890\r\n\r\n",
	     1000);
	assert_int_equal(r.state, HTTP_REPLY_DONE);
	assert_int_equal(strlen(r.reason), HTTP_REPLY_REASON - 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(understands_replies),
	    cmocka_unit_test(refuses_the_rest),
	    cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
