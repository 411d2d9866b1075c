#ifndef MPCPROXY_TESTS_UNIT_CHECK_H
#define MPCPROXY_TESTS_UNIT_CHECK_H

/* What cmocka wants before it, and a check that its failures show both sides of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define assert_contains(haystack, needle)                                                \
	do {                                                                             \
		if (strstr((haystack), (needle)) == NULL)                                \
			fail_msg("`%s` is not in `%s`", (needle), (haystack));           \
	} while (0)

#endif
