#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "path/candidate.h"

#define CHARS_32 "abcdefghijklmnopqrstuvwxyz012345"

static void
reads_all_it_needs(void **state)
{
	struct candidate c;
	union addr a;

	(void)state;
	assert_int_equal(
	    candidate_parse(&c,
			    "8+/x 1 udp 1694498815 192.0.2.3 45664 typ srflx "
			    "raddr 203.0.113.141 rport 8998",
			    NULL),
	    1);
	assert_string_equal(c.foundation, "8+/x");
	assert_int_equal(c.priority, 1694498815);
	assert_int_equal(c.type, PATH_SERVER_REFLEXIVE);
	addr_parse(&a, "192.0.2.3", 45664);
	assert_true(addr_equal(&a, &c.addr));
	addr_parse(&a, "203.0.113.141", 8998);
	assert_true(addr_equal(&a, &c.related));

	assert_int_equal(candidate_parse(&c, "1 1 UDP 2147483647 2001:db8::1 1 typ host",
					 NULL),
			 1);
	assert_int_equal(c.type, PATH_HOST);
	assert_int_equal(c.priority, 2147483647);
	assert_int_equal(c.related.sa.sa_family, AF_UNSPEC);
	addr_parse(&a, "2001:db8::1", 1);
	assert_true(addr_equal(&a, &c.addr));
}

static const char *const usable[] = {
    "1 1 UDP 1 192.0.2.1 1 typ host",
    "1 1 Udp 1 192.0.2.1 1 TYP HOST", /* ABNF's strings are case-insensitive */
    "1 001 UDP 0000000001 192.0.2.1 00001 typ host",
    "1 1 UDP 1 127.0.0.1 65535 typ host",
    "1 1 UDP 1 169.254.1.1 1 typ host",
    "1 1 UDP 1 fd00::1 1 typ host",
    "1 1 UDP 1 ::1 1 typ host",
    "1 1 UDP 1 192.0.2.1 1 typ relay raddr :: rport 0",
    "1 1 UDP 1 192.0.2.1 1 typ relay raddr 0.0.0.0 rport 9",
    "1 1 UDP 1 192.0.2.1 1 typ relay raddr 192.0.2.2",
    "1 1 UDP 1 192.0.2.1 1 typ relay rport 9",
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr a.example rport 9",
    "1 1 UDP 1 192.0.2.1 1 typ host generation 0 ufrag abcd network-cost 999",
    "1 1 UDP 1 192.0.2.1 1 typ host x ", /* an extension's value may be empty */
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport 9 ext =\"()?",
    CHARS_32 " 1 UDP 1 192.0.2.1 1 typ host",
};

static const char *const passed_over[] = {
    "1 2 UDP 1 192.0.2.1 1 typ host",
    "1 256 UDP 1 192.0.2.1 1 typ host",
    "1 1 TCP 1 192.0.2.1 9 typ host tcptype active",
    "1 1 TCP 1 192.0.2.1 9 typ host", /* libnice's own parser crashes */
    "1 1 DCCP 1 192.0.2.1 9 typ host",
    "1 1 UDP 1 192.0.2.1 1 typ prflx raddr 192.0.2.2 rport 1",
    "1 1 UDP 1 192.0.2.1 1 typ other",
    "1 1 UDP 1 host.example 1 typ host",
    "1 1 UDP 1 0d9ad7a6-7a0c-4f5b-a1b1-0f0f0f0f0f0f.local 1 typ host",
    "1 1 UDP 1 fe80::1 1 typ host",
    "1 1 UDP 1 ff02::1 1 typ host",
    "1 1 UDP 1 :: 1 typ host",
    "1 1 UDP 1 ::ffff:192.0.2.1 1 typ host",
    "1 1 UDP 1 0.0.0.0 1 typ host",
    "1 1 UDP 1 224.0.0.1 1 typ host",
    "1 1 UDP 1 255.255.255.255 1 typ host",
};

static const char *const malformed[] = {
    "",
    " ",
    "1",
    "candidate:1 1 UDP 1 192.0.2.1 1 typ host",
    "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host",
    " 1 1 UDP 1 192.0.2.1 1 typ host",
    "1  1 UDP 1 192.0.2.1 1 typ host",
    "1 1 UDP 1 192.0.2.1 1 typ host ",
    "1 1 UDP 1 192.0.2.1 1 typ host\n",
    "1 1 UDP 1 192.0.2.1 1 typ host\r\n",
    "1\t1 UDP 1 192.0.2.1 1 typ host",
    "1 1 UDP 1 192.0.2.1 1 typ",
    "1 1 UDP 1 192.0.2.1 1",
    "1 1 UDP 1 192.0.2.1 1 type host",
    "1 1 UDP 1 192.0.2.1 typ host",
    "1:2 1 UDP 1 192.0.2.1 1 typ host",
    CHARS_32 "6 1 UDP 1 192.0.2.1 1 typ host",
    "1 0 UDP 1 192.0.2.1 1 typ host",
    "1 257 UDP 1 192.0.2.1 1 typ host",
    "1 0001 UDP 1 192.0.2.1 1 typ host",
    "1 -1 UDP 1 192.0.2.1 1 typ host",
    "1 +1 UDP 1 192.0.2.1 1 typ host",
    "1 1 U(DP 1 192.0.2.1 1 typ host",
    "1 1 UDP 0 192.0.2.1 1 typ host",
    "1 1 UDP 2147483648 192.0.2.1 1 typ host",
    "1 1 UDP 4294967297 192.0.2.1 1 typ host",
    "1 1 UDP 18446744073709551617 192.0.2.1 1 typ host",
    "1 1 UDP 1.5 192.0.2.1 1 typ host",
    "1 1 UDP 0x1 192.0.2.1 1 typ host",
    "1 1 TCP 0 192.0.2.1 1 typ host", /* checked although of no use */
    "1 1 UDP 1 192.0.2.256 1 typ host",
    "1 1 UDP 1 192.0.2 1 typ host",
    "1 1 UDP 1 [::1] 1 typ host",
    "1 1 UDP 1 fe80::1%eth0 1 typ host",
    "1 1 UDP 1 ::g 1 typ host",
    "1 1 UDP 1 192.0.2.1 0 typ host",
    "1 1 UDP 1 192.0.2.1 65536 typ host",
    "1 1 UDP 1 192.0.2.1 000001 typ host",
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr",
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr 192.0.2.300 rport 1",
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport",
    "1 1 UDP 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport 65536",
    "1 1 UDP 1 192.0.2.1 1 typ host ext",
    "1 1 UDP 1 192.0.2.1 1 typ host e(t 1",
    "1 1 UDP 1 192.0.2.1 1 typ host ext \x01",
    "1 1 UDP 1 192.0.2.1 1 typ host ext \xc3\xa9",
    "1 1 UDP 1 192.0.2.1 1 typ host  x",
};

static void
expect(const char *const *line, size_t n, int result)
{
	struct candidate c;
	struct err err;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		strcpy(err.text, "");
		r = candidate_parse(&c, line[i], &err);
		if (r != result)
			fail_msg("\"%s\": %d", line[i], r);
		assert_int_equal(r < 0, err.text[0] != '\0');
	}
}

#define EXPECT(list, result) expect(list, sizeof list / sizeof *list, result)

static void
keeps_to_the_grammar(void **state)
{
	(void)state;
	EXPECT(usable, 1);
	EXPECT(passed_over, 0);
	EXPECT(malformed, -1);
}

static void
refuses_long_lines(void **state)
{
	char line[PATH_CANDIDATE_MAX + 1] = "1 1 UDP 1 192.0.2.1 1 typ host x ";
	size_t n = strlen(line);
	struct candidate c;
	struct err err;

	(void)state;
	memset(line + n, 'y', sizeof line - n);
	line[PATH_CANDIDATE_MAX - 1] = '\0';
	assert_int_equal(candidate_parse(&c, line, &err), 1);
	line[PATH_CANDIDATE_MAX - 1] = 'y';
	line[PATH_CANDIDATE_MAX] = '\0';
	assert_int_equal(candidate_parse(&c, line, &err), -1);
}

static void
shows_no_control_characters(void **state)
{
	struct candidate c;
	struct err err;

	(void)state;
	assert_int_equal(candidate_parse(&c, "\x1b[31mred", &err), -1);
	assert_null(strchr(err.text, '\x1b'));
}

static void
writes_what_it_reads(void **state)
{
	struct candidate c, again;
	char line[PATH_CANDIDATE_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof usable / sizeof *usable; i++) {
		assert_int_equal(candidate_parse(&c, usable[i], NULL), 1);
		candidate_format(&c, line);
		assert_int_equal(candidate_parse(&again, line, NULL), 1);
		assert_true(candidate_equal(&c, &again));
	}
	candidate_parse(&c,
			"1 1 udp 7 2001:db8:0::1 9 typ relay raddr 192.0.2.1 rport 8 x y",
			NULL);
	assert_string_equal(candidate_format(&c, line),
			    "1 1 UDP 7 2001:db8::1 9 typ relay raddr 192.0.2.1 rport 8");
}

/* The longest that can be written. */
static void
has_room(void **state)
{
	struct candidate c = {.foundation = CHARS_32,
			      .priority = CANDIDATE_PRIORITY_MAX,
			      .type = PATH_SERVER_REFLEXIVE};
	char line[PATH_CANDIDATE_MAX];

	(void)state;
	addr_parse(&c.addr, "1111:1111:1111:1111:1111:1111:1111:1111", 65535);
	c.related = c.addr;
	candidate_format(&c, line);
	assert_non_null(strstr(line, "rport 65535"));
}

static void
knows_ice_chars(void **state)
{
	char text[258];

	(void)state;
	assert_true(candidate_ice_chars("aZ0+", 4));
	assert_false(candidate_ice_chars("aZ0", 4));
	assert_false(candidate_ice_chars("aZ0-", 4));
	assert_false(candidate_ice_chars("", 4));
	memset(text, 'a', sizeof text);
	text[256] = '\0';
	assert_true(candidate_ice_chars(text, 22));
	text[256] = 'a';
	text[257] = '\0';
	assert_false(candidate_ice_chars(text, 22));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_all_it_needs),
	    cmocka_unit_test(keeps_to_the_grammar),
	    cmocka_unit_test(refuses_long_lines),
	    cmocka_unit_test(shows_no_control_characters),
	    cmocka_unit_test(writes_what_it_reads),
	    cmocka_unit_test(has_room),
	    cmocka_unit_test(knows_ice_chars),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
