#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/guard.h"
#include "tunnel/header.h"

/* A complete request in every encoding, and what it means. */
static const struct {
	const char *bytes;
	size_t len;
	const char *host;
	uint16_t port;
} requests[] = {
    {"\x05\x01\x00\x01\x7f\x00\x00\x01\x22\xb8", 10, "127.0.0.1", 8888},
    {"\x05\x01\x00\x03\x04mpyc\x00\x00", 11, "mpyc", 0},
    {"\x05\x01\x00\x03\x05"
     "bob-1\x00\x50",
     12, "bob-1", 80},
    {"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff", 22, "::1", 65535},
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void
test_request_is_parsed_at_its_last_byte(void **state)
{
	struct header_request req;

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		const uint8_t *p = (const uint8_t *)requests[i].bytes;

		for (size_t len = 0; len < requests[i].len; len++)
			assert_int_equal(header_parse_request(&req, p, len), 0);
		assert_int_equal(header_parse_request(&req, p, requests[i].len),
				 requests[i].len);
		assert_string_equal(req.host, requests[i].host);
		assert_int_equal(req.port, requests[i].port);
	}
}

static void
test_request_survives_a_round_trip(void **state)
{
	uint8_t out[HEADER_REQUEST_MAX];
	struct header_request req;

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		const uint8_t *p = (const uint8_t *)requests[i].bytes;

		assert_true(header_parse_request(&req, p, requests[i].len) > 0);
		assert_int_equal(header_encode_request(&req, out), requests[i].len);
		assert_memory_equal(out, p, requests[i].len);
	}
}

static void
test_bytes_after_the_request_are_left(void **state)
{
	struct header_request req;

	(void)state;
	assert_int_equal(header_parse_request(&req,
					      (const uint8_t *)"\x05\x01\x00\x03\x04mpyc"
							       "\x00\x00\x07\x00",
					      13),
			 11);
}

static void
test_bad_requests_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int result;
	} bad[] = {
	    {"\x04", 1, -REPLY_FAILURE},
	    {"\x05\x02", 2, -REPLY_COMMAND_UNKNOWN},
	    {"\x05\x04", 2, -REPLY_COMMAND_UNKNOWN},
	    {"\x05\x01\x01", 3, -REPLY_FAILURE},
	    {"\x05\x01\x00\x02", 4, -REPLY_ADDRESS_UNKNOWN},
	    {"\x05\x01\x00\x03\x03"
	     "a\0b\x00\x50",
	     10, -REPLY_ADDRESS_UNKNOWN},
	    {"\x05\x01\x00\x03\x03"
	     "a\nb\x00\x50",
	     10, -REPLY_ADDRESS_UNKNOWN},
	    {"\x05\x01\x00\x03\x00\x00\x50", 7, -REPLY_ADDRESS_UNKNOWN},
	};
	struct header_request req;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(header_parse_request(&req, (const uint8_t *)bad[i].bytes,
						      bad[i].len),
				 bad[i].result);
}

static void
test_the_longest_host_fits(void **state)
{
	uint8_t in[HEADER_REQUEST_MAX] = {5, 1, 0, 3, 255};
	struct header_request req;

	(void)state;
	memset(in + 5, 'a', 255);
	in[261] = 80;
	assert_int_equal(header_parse_request(&req, in, sizeof in), sizeof in);
	assert_int_equal(strlen(req.host), 255);
	assert_int_equal(header_encode_request(&req, in), sizeof in);
}

static void
test_reply(void **state)
{
	uint8_t head[HEADER_REPLY_BYTES];

	(void)state;
	header_encode_reply(REPLY_NOT_ALLOWED, head);
	assert_int_equal(header_parse_reply(head), REPLY_NOT_ALLOWED);
	for (size_t i = 0; i < sizeof head; i++) {
		uint8_t was = head[i];

		if (i == 1)
			continue;
		head[i] ^= 0x40;
		assert_int_equal(header_parse_reply(head), -1);
		head[i] = was;
	}
}

static void
test_guard(void **state)
{
	(void)state;
	assert_int_equal(guard_check(NULL, 0, 0), GUARD_MORE);
	assert_int_equal(guard_check((const uint8_t *)"\x02", 1, 2), GUARD_MORE);
	assert_int_equal(guard_check((const uint8_t *)"\x02\x00", 2, 2), GUARD_PASS);
	assert_int_equal(guard_check((const uint8_t *)"\x02\x01", 2, 258), GUARD_PASS);
	assert_int_equal(guard_check((const uint8_t *)"\x02\x01", 2, 2),
			 GUARD_WRONG_INDEX);
	assert_int_equal(guard_check((const uint8_t *)"\x01\x00", 2, 0),
			 GUARD_WRONG_INDEX);
	assert_int_equal(guard_check((const uint8_t *)"\x16\x03\x01", 3, 0), GUARD_TLS);
	assert_int_equal(guard_index((const uint8_t *)"\x02\x01"), 258);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_is_parsed_at_its_last_byte),
	    cmocka_unit_test(test_request_survives_a_round_trip),
	    cmocka_unit_test(test_bytes_after_the_request_are_left),
	    cmocka_unit_test(test_bad_requests_are_refused),
	    cmocka_unit_test(test_the_longest_host_fits),
	    cmocka_unit_test(test_reply),
	    cmocka_unit_test(test_guard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
