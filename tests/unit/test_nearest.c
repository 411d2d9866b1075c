#include "check.h"

#include "base/nearest.h"

static const char *const words[] = {"keygen", "id", "check", "status", "stun", "turn"};

static const char *
near_to(const char *word)
{
	return nearest(word, words, sizeof words / sizeof *words);
}

static void
finds_what_was_meant(void **state)
{
	(void)state;
	assert_string_equal(near_to("chekc"), "check");
	assert_string_equal(near_to("statsu"), "status");
	assert_string_equal(near_to("key-gen"), "keygen");
	assert_string_equal(near_to("stat"), "status");
	assert_string_equal(near_to("stunn"), "stun");
}

static void
finds_nothing_far_away(void **state)
{
	(void)state;
	assert_null(near_to(""));
	assert_null(near_to("x"));
	assert_null(near_to("xy"));
	assert_null(near_to("rendezvous"));
	assert_null(near_to("a word that is far longer than any of the words there are"));
	assert_null(nearest("check", words, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_what_was_meant),
	    cmocka_unit_test(finds_nothing_far_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
