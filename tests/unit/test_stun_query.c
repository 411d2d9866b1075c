#include "check.h"

#include "path/stun_query.h"

static const uint8_t id[STUN_QUERY_ID] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
					  0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

#define HEAD "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"

static void
writes_requests(void **state)
{
	uint8_t out[STUN_QUERY_MAX];

	(void)state;
	assert_int_equal(stun_query(out, id, STUN_CHANGE_NOTHING), 20);
	assert_memory_equal(out, "\x00\x01\x00\x00" HEAD, 20);
	assert_int_equal(stun_query(out, id, STUN_CHANGE_IP_AND_PORT), 28);
	assert_memory_equal(out,
			    "\x00\x01\x00\x08" HEAD "\x00\x03\x00\x04\x00\x00\x00\x06",
			    28);
}

#define PARSE(r, bytes) stun_reply_parse((r), (const uint8_t *)(bytes), sizeof(bytes) - 1)

/* RFC 5769, 2.2 and 2.3: 192.0.2.1:32853 and [2001:db8:1234:5678:11:2233:4455:6677]. */
#define XOR_IPV4 "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
#define XOR_IPV6                                                                         \
	"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4"   \
	"\xb5"                                                                           \
	"\xbe\xd2\xb9\xd9"
#define SOFTWARE "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"

static void
reads_answers(void **state)
{
	char text[ADDR_TEXT_BYTES];
	struct stun_reply r;

	(void)state;
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x1c" HEAD SOFTWARE XOR_IPV4), 0);
	assert_true(r.success);
	assert_memory_equal(r.id, id, sizeof id);
	assert_string_equal(addr_format(&r.mapped, text), "192.0.2.1:32853");
	assert_int_equal(r.other.sa.sa_family, AF_UNSPEC);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x28" HEAD SOFTWARE XOR_IPV6), 0);
	assert_string_equal(addr_format(&r.mapped, text),
			    "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
	/* RFC 3489's attribute, by itself and beside the other; OTHER-ADDRESS. */
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x0c" HEAD
				   "\x00\x01\x00\x08\x00\x01\x00\x50\x0a\x00\x00\x01"),
			 0);
	assert_string_equal(addr_format(&r.mapped, text), "10.0.0.1:80");
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x24" HEAD XOR_IPV4
				   "\x00\x01\x00\x08\x00\x01\x00\x50\x0a\x00\x00\x01"
				   "\x80\x2c\x00\x08\x00\x01\x00\x51\x0a\x00\x00\x02"),
			 0);
	assert_string_equal(addr_format(&r.mapped, text), "192.0.2.1:32853");
	assert_string_equal(addr_format(&r.other, text), "10.0.0.2:81");
	assert_int_equal(PARSE(&r, "\x01\x11\x00\x0c" HEAD
				   "\x00\x09\x00\x06\x00\x00\x04\x14no\x00\x00"),
			 0);
	assert_false(r.success);
	assert_int_equal(r.error, 420);
}

static void
refuses_the_rest(void **state)
{
	struct stun_reply r;

	(void)state;
	assert_int_equal(PARSE(&r, ""), -1);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x00" HEAD), -1); /* empty */
	assert_int_equal(PARSE(&r, "\x01\x11\x00\x00" HEAD), -1);
	assert_int_equal(PARSE(&r, "\x00\x01\x00\x0c" HEAD XOR_IPV4), -1); /* request */
	assert_int_equal(PARSE(&r, "\x01\x13\x00\x0c" HEAD XOR_IPV4), -1); /* method */
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x0c\x21\x12\xa4\x43\xb7\xe7\xa7\x01\xbc"
				   "\x34\xd6\x86\xfa\x87\xdf\xae" XOR_IPV4),
			 -1); /* cookie */
	/* Lengths: of the message, and of attributes. */
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x08" HEAD XOR_IPV4), -1);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x10" HEAD XOR_IPV4), -1);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x0e" HEAD XOR_IPV4 "\x80\x22"), -1);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x10" HEAD XOR_IPV4 "\x80\x22\x00\x01"),
			 -1);
	assert_int_equal(PARSE(&r,
			       "\x01\x01\x00\x10" HEAD "\x00\x20\x00\x09\x00\x01\xa1\x47"
						       "\xe1\x12\xa6\x43\0\0\0\0"),
			 -1);
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x0c" HEAD
				   "\x00\x20\x00\x08\x00\x03\xa1\x47\xe1\x12\xa6\x43"),
			 -1); /* family */
	assert_int_equal(PARSE(&r, "\x01\x01\x00\x0c" HEAD
				   "\x00\x20\x00\x08\x00\x02\xa1\x47\xe1\x12\xa6\x43"),
			 -1);
	assert_int_equal(PARSE(&r, "\x01\x11\x00\x08" HEAD
				   "\x00\x09\x00\x04\x00\x00\x07\x00"),
			 -1); /* class */
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_requests),
	    cmocka_unit_test(reads_answers),
	    cmocka_unit_test(refuses_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
