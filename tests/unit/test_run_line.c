#include <stdio.h>

#include "check.h"
#include "watch/run_line.h"

static struct run_line l;

#define PARSE(text) run_line_parse(&l, text, sizeof text - 1)

static void
test_there_and_back(void **state)
{
	static const char *const lines[] = {
	    "ok 11365",
	    "party 2 0 checking pairs",
	    "theirs 255 00ff",
	    "complete 4294967295",
	    "go",
	    "ended 1 3 255",
	    "lost 1 it is gone",
	    "no why",
	    "done",
	    "gate",
	    "offer 0102",
	    "agree 7",
	    "end 0 130",
	};
	char out[RUN_LINE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		assert_int_equal(run_line_parse(&l, lines[i], strlen(lines[i])), 0);
		assert_int_equal(l.type, i);
		assert_int_equal(run_line_format(&l, out), strlen(lines[i]));
		assert_string_equal(out, lines[i]);
	}
}

static void
test_what_is_none(void **state)
{
	static const char *const lines[] = {
	    "",
	    "goo",
	    "go ",
	    " go",
	    "ok",
	    "ok x",
	    "ok 1 2",
	    "party 1 0",
	    "party 1 0 ",
	    "party 1 9 x",
	    "lost 256 x",
	    "lost 1 a\tb",
	    "ended 1 4 0",
	    "ended 1 0 256",
	    "end 0",
	    "offer",
	    "offer ",
	    "offer 0",
	    "offer 0G",
	    "offer 0A",
	    "agree -1",
	    "agree  1",
	    "agree 4294967296",
	    "theirs 1",
	    "no ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (run_line_parse(&l, lines[i], strlen(lines[i])) == 0)
			fail_msg("`%s` was taken for a line", lines[i]);
	assert_int_equal(PARSE("go\0"), -1);
}

static void
test_the_longest_offer(void **state)
{
	static struct run_line longest = {.type = RUN_LINE_THEIRS, .index = 255};
	char out[RUN_LINE_MAX + 1];
	size_t len;

	(void)state;
	memset(longest.offer, 0xa5, sizeof longest.offer);
	longest.offer_len = sizeof longest.offer;
	len = run_line_format(&longest, out);
	assert_true(len <= RUN_LINE_MAX);
	assert_int_equal(run_line_parse(&l, out, len), 0);
	assert_memory_equal(l.offer, longest.offer, sizeof l.offer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_what_is_none),
	    cmocka_unit_test(test_the_longest_offer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
