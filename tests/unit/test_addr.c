#include "check.h"

#include "base/addr.h"

static union addr
parsed(const char *host, uint16_t port)
{
	union addr a;

	assert_int_equal(addr_parse(&a, host, port), 0);
	return a;
}

static void
formats_what_it_parses(void **state)
{
	union addr v4 = parsed("192.0.2.1", 80);
	union addr v6 = parsed("2001:db8::1", 65535);
	union addr none = {0};
	char text[ADDR_TEXT_BYTES];

	(void)state;
	assert_string_equal(addr_format(&v4, text), "192.0.2.1:80");
	assert_string_equal(addr_format(&v6, text), "[2001:db8::1]:65535");
	assert_string_equal(addr_format(&none, text), "none");
	assert_int_equal(addr_port(&v4), 80);
	assert_int_equal(addr_len(&v4), sizeof(struct sockaddr_in));
	assert_int_equal(addr_len(&v6), sizeof(struct sockaddr_in6));
	assert_int_equal(addr_len(&none), 0);
	addr_set_port(&v6, 1);
	assert_int_equal(addr_port(&v6), 1);
}

static void
refuses_names_and_brackets(void **state)
{
	static const char *const bad[] = {"",          "localhost", "[::1]",   "1.2.3",
					  "1.2.3.256", "::1%lo",    " 1.2.3.4"};
	union addr a;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(addr_parse(&a, bad[i], 1), -1);
}

static void
compares_family_address_and_port(void **state)
{
	union addr a = parsed("127.0.0.1", 1), b = parsed("127.0.0.1", 1);
	union addr port = parsed("127.0.0.1", 2), host = parsed("127.0.0.2", 1);
	union addr v6 = parsed("::1", 1), v6_other = parsed("::2", 1);

	(void)state;
	assert_true(addr_equal(&a, &b));
	assert_false(addr_equal(&a, &port));
	assert_false(addr_equal(&a, &host));
	assert_false(addr_equal(&a, &v6));
	assert_false(addr_equal(&v6, &v6_other));
	v6_other = v6;
	v6_other.in6.sin6_scope_id = 3;
	assert_false(addr_equal(&v6, &v6_other));
}

static void
knows_loopback(void **state)
{
	union addr a;

	(void)state;
	a = parsed("127.255.0.1", 1);
	assert_true(addr_is_loopback(&a));
	a = parsed("::1", 1);
	assert_true(addr_is_loopback(&a));
	a = parsed("128.0.0.1", 1);
	assert_false(addr_is_loopback(&a));
	a = parsed("::", 1);
	assert_false(addr_is_loopback(&a));
}

static void
takes_sockaddrs_of_full_length(void **state)
{
	union addr v6 = parsed("::1", 9), out;

	(void)state;
	assert_int_equal(addr_from_sockaddr(&out, &v6.sa, sizeof v6.in6), 0);
	assert_true(addr_equal(&v6, &out));
	assert_int_equal(addr_from_sockaddr(&out, &v6.sa, sizeof v6.in), -1);
	v6.sa.sa_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr(&out, &v6.sa, sizeof v6), -1);
}

static void
parses_plain_numbers_only(void **state)
{
	static const char *const bad[] = {"",      "0",
					  "65536", "-1",
					  "+1",    "1 ",
					  " 1",    "0x10",
					  "1e3",   "99999999999999999999"};
	uint16_t port;
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(port_parse(&port, bad[i]), -1);
	assert_int_equal(port_parse(&port, "65535"), 0);
	assert_int_equal(port, 65535);
	assert_int_equal(number_parse(&n, "0", 0, 0), 0);
	assert_int_equal(number_parse(&n, "7", 8, 9), -1);
}

static void
knows_public_addresses(void **state)
{
	static const char *const public[] = {
	    "1.1.1.1",        "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
	    "100.128.0.0",    "126.255.255.255", "128.0.0.0",       "172.15.255.255",
	    "172.32.0.0",     "192.0.1.0",       "192.167.255.255", "192.169.0.0",
	    "198.17.255.255", "198.20.0.0",      "203.0.113.1",     "223.255.255.255",
	    "2001:db8::1",    "3fff::1",
	};
	static const char *const others[] = {
	    "0.0.0.0",
	    "0.255.255.255",
	    "10.0.0.0",
	    "10.255.255.255",
	    "100.64.0.0",
	    "100.127.255.255",
	    "127.0.0.1",
	    "127.255.255.255",
	    "169.254.0.1",
	    "172.16.0.0",
	    "172.31.255.255",
	    "192.0.0.1",
	    "192.168.0.0",
	    "192.168.255.255",
	    "198.18.0.0",
	    "198.19.255.255",
	    "224.0.0.1",
	    "239.255.255.250",
	    "240.0.0.1",
	    "255.255.255.255",
	    "::",
	    "::1",
	    "::ffff:1.1.1.1",
	    "fe80::1",
	    "fd00::1",
	    "ff02::1",
	    "64:ff9b::1.1.1.1",
	};
	union addr a;

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof *public; i++) {
		assert_int_equal(addr_parse(&a, public[i], 1), 0);
		assert_true(addr_is_public(&a));
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_int_equal(addr_parse(&a, others[i], 1), 0);
		assert_false(addr_is_public(&a));
	}
	memset(&a, 0, sizeof a);
	assert_false(addr_is_public(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats_what_it_parses),
	    cmocka_unit_test(refuses_names_and_brackets),
	    cmocka_unit_test(compares_family_address_and_port),
	    cmocka_unit_test(knows_loopback),
	    cmocka_unit_test(knows_public_addresses),
	    cmocka_unit_test(takes_sockaddrs_of_full_length),
	    cmocka_unit_test(parses_plain_numbers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
