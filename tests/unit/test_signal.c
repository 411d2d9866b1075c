#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rendezvous/signal.h"

static const char ufrag[] = "8hhY";
static const char pwd[] = "asd88fgpdd777uzjYhagZg";
static const char line[] = "1 1 UDP 2130706431 203.0.113.141 8998 typ host";

static struct signal_candidates m, got;

static int
setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof m);
	m.generation = 0x01020304;
	m.last = true;
	m.facts.told = true;
	m.facts.udp = SIGNAL_UDP_BLOCKED;
	m.facts.mapping = SIGNAL_MAPPING_DEPENDENT;
	m.facts.ipv6 = m.facts.relayed = true;
	m.facts.turn_servers = 200;
	strcpy(m.ufrag, ufrag);
	strcpy(m.pwd, pwd);
	m.n = 2;
	strcpy(m.candidate[0], line);
	strcpy(m.candidate[1], "2 1 UDP 1 2001:db8::1 9 typ relay raddr :: rport 0");
	return 0;
}

/* A body made of hand-written fields. */
struct body {
	uint8_t p[1024];
	size_t len;
};

static void
field(struct body *b, uint8_t type, const void *value, size_t len)
{
	b->p[b->len++] = type;
	b->p[b->len++] = (uint8_t)(len >> 8);
	b->p[b->len++] = (uint8_t)len;
	memcpy(b->p + b->len, value, len);
	b->len += len;
}

static void
required(struct body *b)
{
	b->len = 0;
	field(b, 1, "\0\0\0\1", 4);
	field(b, 2, ufrag, strlen(ufrag));
	field(b, 3, pwd, strlen(pwd));
}

static int
decode(const struct body *b)
{
	return signal_decode_candidates(&got, b->p, b->len);
}

static void
test_round_trip(void **state)
{
	uint8_t out[CONTACT_BODY_MAX];
	int n;

	(void)state;
	n = signal_encode_candidates(&m, out, sizeof out);
	assert_true(n > 0);
	assert_int_equal(signal_decode_candidates(&got, out, (size_t)n), 0);
	assert_memory_equal(&got, &m, sizeof m);
	/* Cut short anywhere it is malformed or lacks its end; never more. */
	for (int i = 0; i < n; i++) {
		if (signal_decode_candidates(&got, out, (size_t)i) == 0)
			assert_false(got.last);
		assert_int_equal(signal_encode_candidates(&m, out, (size_t)i), -1);
	}
}

static void
test_facts(void **state)
{
	struct body b;

	(void)state;
	required(&b);
	assert_int_equal(decode(&b), 0);
	assert_false(got.facts.told);
	/* Of a later version: longer, and with values that are unknown here. */
	field(&b, 6, "\1\4\xf5\7more", 8);
	assert_int_equal(decode(&b), 0);
	assert_true(got.facts.told);
	assert_int_equal(got.facts.udp, SIGNAL_UDP_WORKS);
	assert_int_equal(got.facts.mapping, SIGNAL_MAPPING_UNKNOWN);
	assert_true(got.facts.ipv4);
	assert_false(got.facts.ipv6);
	assert_true(got.facts.reflexive);
	assert_false(got.facts.relayed);
	assert_int_equal(got.facts.turn_servers, 7);
	/* Twice, and too short. */
	field(&b, 6, "\0\0\0\0", 4);
	assert_int_equal(decode(&b), -1);
	required(&b);
	field(&b, 6, "\0\0\0", 3);
	assert_int_equal(decode(&b), -1);
}

static void
test_wire_form(void **state)
{
	static const uint8_t expected[] = {1, 0, 4, 1,   2,   3,   4,
					   2, 0, 4, '8', 'h', 'h', 'Y'};
	uint8_t out[CONTACT_BODY_MAX];

	(void)state;
	assert_true(signal_encode_candidates(&m, out, sizeof out) > 0);
	assert_memory_equal(out, expected, sizeof expected);
}

static void
test_largest(void **state)
{
	uint8_t out[CONTACT_BODY_MAX];
	int n;

	(void)state;
	memset(m.ufrag, 'u', SIGNAL_UFRAG_MAX);
	memset(m.pwd, 'p', SIGNAL_PWD_MAX);
	m.n = SIGNAL_CANDIDATES_MAX;
	for (size_t i = 0; i < m.n; i++)
		memset(m.candidate[i], 'c', SIGNAL_CANDIDATE_MAX);
	n = signal_encode_candidates(&m, out, sizeof out);
	assert_true(n > 0);
	assert_int_equal(signal_decode_candidates(&got, out, (size_t)n), 0);
	assert_memory_equal(&got, &m, sizeof m);
	m.n++;
	assert_int_equal(signal_encode_candidates(&m, out, sizeof out), -1);
}

static void
test_missing_and_repeated(void **state)
{
	struct body b = {.len = 0};

	(void)state;
	assert_int_equal(decode(&b), -1);
	required(&b);
	assert_int_equal(decode(&b), 0);
	assert_int_equal(got.n, 0);
	assert_false(got.last);
	/* Without the first field; with it twice. */
	assert_int_equal(signal_decode_candidates(&got, b.p + 7, b.len - 7), -1);
	field(&b, 1, "\0\0\0\1", 4);
	assert_int_equal(decode(&b), -1);
	required(&b);
	field(&b, 2, ufrag, strlen(ufrag));
	assert_int_equal(decode(&b), -1);
	b.len = 0;
	field(&b, 1, "\0\0\0\1", 4);
	field(&b, 2, ufrag, strlen(ufrag));
	assert_int_equal(decode(&b), -1);
	required(&b);
	assert_int_equal(decode(&b), 0);
	assert_false(got.direct);
	field(&b, 7, "", 0);
	assert_int_equal(decode(&b), 0);
	assert_true(got.direct);
	field(&b, 7, "", 0);
	assert_int_equal(decode(&b), -1);
	required(&b);
	field(&b, 5, "", 0);
	assert_int_equal(decode(&b), 0);
	field(&b, 5, "", 0);
	assert_int_equal(decode(&b), -1);
}

static void
test_unknown_field_is_passed_over(void **state)
{
	struct body b;

	(void)state;
	required(&b);
	field(&b, 0, "x", 1);
	field(&b, 200, "anything", 8);
	field(&b, 200, "", 0);
	field(&b, 4, line, strlen(line));
	assert_int_equal(decode(&b), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.candidate[0], line);
	b.p[b.len++] = 200;
	b.p[b.len++] = 0;
	b.p[b.len++] = 1; /* a byte that is not there */
	assert_int_equal(decode(&b), -1);
}

static void
test_too_many_candidates(void **state)
{
	struct body b;

	(void)state;
	required(&b);
	for (size_t i = 0; i < SIGNAL_CANDIDATES_MAX; i++)
		field(&b, 4, "c", 1);
	assert_int_equal(decode(&b), 0);
	field(&b, 4, "c", 1);
	assert_int_equal(decode(&b), -1);
}

static int
decode_value(uint8_t type, const char *value, size_t len)
{
	struct body b = {.len = 0};

	field(&b, 1, "\0\0\0\1", 4);
	if (type != 2)
		field(&b, 2, ufrag, strlen(ufrag));
	if (type != 3)
		field(&b, 3, pwd, strlen(pwd));
	field(&b, type, value, len);
	return decode(&b);
}

static void
test_bad_values(void **state)
{
	static const char *const candidate[] = {
	    "",      " 1",   "1 ",          "1  1", "1\t1",
	    "1\r\n", "1\n1", "caf\xc3\xa9", "\x7f", "\x01",
	};
	char text[300];

	(void)state;
	for (size_t i = 0; i < sizeof candidate / sizeof candidate[0]; i++)
		assert_int_equal(decode_value(4, candidate[i], strlen(candidate[i])), -1);
	assert_int_equal(decode_value(4, "1\0002", 3), -1);
	memset(text, 'a', sizeof text);
	assert_int_equal(decode_value(4, text, SIGNAL_CANDIDATE_MAX), 0);
	assert_int_equal(decode_value(4, text, SIGNAL_CANDIDATE_MAX + 1), -1);
	assert_int_equal(decode_value(2, text, 3), -1);
	assert_int_equal(decode_value(2, text, 4), 0);
	assert_int_equal(decode_value(2, text, SIGNAL_UFRAG_MAX), 0);
	assert_int_equal(decode_value(2, text, SIGNAL_UFRAG_MAX + 1), -1);
	assert_int_equal(decode_value(2, "abc-", 4), -1);
	assert_int_equal(decode_value(2, "ab\0c", 4), -1);
	assert_int_equal(decode_value(3, text, 21), -1);
	assert_int_equal(decode_value(3, text, 22), 0);
	assert_int_equal(decode_value(3, text, SIGNAL_PWD_MAX + 1), -1);
	assert_int_equal(decode_value(3, "asd88fgpdd777uzjYhag g", 22), -1);
	assert_int_equal(decode_value(5, "x", 1), -1);
	assert_int_equal(decode_value(7, "x", 1), -1);
	assert_int_equal(decode_value(1, "\0\0\0\1", 4), -1); /* a second one */
}

static void
test_restart(void **state)
{
	uint8_t out[16];
	uint32_t generation = 0;
	int n;

	(void)state;
	n = signal_encode_generation(0xdeadbeef, out, sizeof out);
	assert_int_equal(n, 7);
	assert_int_equal(signal_decode_generation(&generation, out, 7), 0);
	assert_int_equal(generation, 0xdeadbeef);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(signal_decode_generation(&generation, out, i), -1);
		assert_int_equal(signal_encode_generation(1, out, i), -1);
	}
	assert_int_equal(signal_decode_generation(&generation,
						  (const uint8_t *)"\1\0\5\0\0\0\0\1", 8),
			 -1);
	assert_int_equal(signal_decode_generation(&generation,
						  (const uint8_t *)"\1\0\3\0\0\1", 6),
			 -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_round_trip, setup),
	    cmocka_unit_test_setup(test_facts, setup),
	    cmocka_unit_test_setup(test_wire_form, setup),
	    cmocka_unit_test_setup(test_largest, setup),
	    cmocka_unit_test(test_missing_and_repeated),
	    cmocka_unit_test(test_unknown_field_is_passed_over),
	    cmocka_unit_test(test_too_many_candidates),
	    cmocka_unit_test(test_bad_values),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
