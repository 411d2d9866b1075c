#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>

#include "path/gateway.h"

#define HEADER                                                                           \
	"Iface\tDestination\tGateway "                                                   \
	"\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"                        \
	"                                                       \n"

/* The kernel's notation of an address, on this machine. */
static const char *
number(const char *host)
{
	static char text[16][9];
	static unsigned next;
	char *out = text[next++ % 16];

	snprintf(out, sizeof text[0], "%08X", inet_addr(host));
	return out;
}

static void
assert_gateway(const char *text, const char *expected)
{
	char found[ADDR_TEXT_BYTES];
	union addr a;

	if (expected == NULL) {
		assert_int_equal(gateway_parse(&a, text), -1);
		return;
	}
	assert_int_equal(gateway_parse(&a, text), 0);
	assert_string_equal(addr_format(&a, found), expected);
}

static void
takes_the_default_route(void **state)
{
	char text[2048];

	(void)state;
	snprintf(text, sizeof text,
		 HEADER "lan\t%s\t%s\t0001\t0\t0\t0\t%s\t0\t0\t0    \n"
			"lan\t%s\t%s\t0003\t0\t0\t100\t%s\t0\t0\t0    \n"
			"wlan\t%s\t%s\t0003\t0\t0\t50\t%s\t0\t0\t0    \n"
			"vpn\t%s\t%s\t0003\t0\t0\t70\t%s\t0\t0\t0    \n",
		 number("192.168.1.0"), number("0.0.0.0"), number("255.255.255.0"),
		 number("0.0.0.0"), number("192.168.1.1"), number("0.0.0.0"),
		 number("0.0.0.0"), number("192.168.2.1"), number("0.0.0.0"),
		 number("0.0.0.0"), number("10.0.0.1"), number("0.0.0.0"));
	assert_gateway(text, "192.168.2.1:0");
}

static void
finds_none_where_there_is_none(void **state)
{
	char text[2048];

	(void)state;
	assert_gateway("", NULL);
	assert_gateway(HEADER, NULL);
	assert_gateway("\n\n\n", NULL);
	/* Not up; no gateway; half of the internet, as a VPN does it; cut off. */
	snprintf(text, sizeof text,
		 HEADER "lan\t%s\t%s\t0002\t0\t0\t0\t%s\t0\t0\t0\n"
			"ppp\t%s\t%s\t0001\t0\t0\t0\t%s\t0\t0\t0\n"
			"vpn\t%s\t%s\t0003\t0\t0\t0\t%s\t0\t0\t0\n"
			"lan\t00000000\t0101A8C0\t0003",
		 number("0.0.0.0"), number("192.168.1.1"), number("0.0.0.0"),
		 number("0.0.0.0"), number("0.0.0.0"), number("0.0.0.0"),
		 number("0.0.0.0"), number("10.0.0.1"), number("128.0.0.0"));
	assert_gateway(text, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_the_default_route),
	    cmocka_unit_test(finds_none_where_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
