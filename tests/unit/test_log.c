#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

#define SECOND_NS 1000000000LL

/* Run ${fn} and return what it wrote to stderr. */
static const char *
stderr_of(void (*fn)(void))
{
	static char text[4096];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	assert_true(saved >= 0);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof text - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void
log_one_of_each(void)
{
	log_error("e");
	log_warn("w");
	log_info("peer=%s", "bob");
	log_debug("d");
}

static void
log_far_too_much(void)
{
	log_info("%05000d", 7);
}

static void
writes_lines_up_to_the_level(void **state)
{
	const char *text;

	(void)state;
	assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
	text = stderr_of(log_one_of_each);
	assert_contains(text, "Z error e\n");
	assert_contains(text, "Z warn  w\n");
	assert_contains(text, "Z info  peer=bob\n");
	assert_null(strstr(text, "debug"));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_contains(stderr_of(log_one_of_each), "Z debug d\n");
	log_set_level(LOG_LEVEL_INFO);
}

static void
cuts_long_lines(void **state)
{
	const char *text = stderr_of(log_far_too_much);

	(void)state;
	assert_true(strlen(text) < 1025);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
gate_holds_back_and_counts(void **state)
{
	struct log_gate gate = {0};
	unsigned held = 99;

	(void)state;
	for (int i = 0; i < LOG_GATE_BURST; i++) {
		assert_true(log_gate_pass(&gate, 100 * SECOND_NS, &held));
		assert_int_equal(held, 0);
	}
	assert_false(log_gate_pass(&gate, 100 * SECOND_NS, &held));
	assert_false(log_gate_pass(&gate, 100 * SECOND_NS + 1, &held));
	/* One more each second, and the next one tells what was missed. */
	assert_true(log_gate_pass(&gate, 101 * SECOND_NS, &held));
	assert_int_equal(held, 2);
	assert_false(log_gate_pass(&gate, 101 * SECOND_NS, &held));
	/* Never more than a burst, however long it was quiet. */
	for (int i = 0; i < LOG_GATE_BURST; i++)
		assert_true(log_gate_pass(&gate, 9000 * SECOND_NS, NULL));
	assert_false(log_gate_pass(&gate, 9000 * SECOND_NS, NULL));
}

static void
clean_leaves_printable_ascii(void **state)
{
	char out[8];

	(void)state;
	assert_string_equal(log_clean(out, sizeof out, "a\n\x1b[\xff~", 6), "a??[?~");
	assert_string_equal(log_clean(out, sizeof out, "0123456789", 10), "0123456");
	assert_string_equal(log_clean(out, 1, "abc", 3), "");
}

static void
errors_say_why(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, "port %d", 80), -1);
	assert_string_equal(err.text, "port 80");
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "%s", "x"), -1);
	assert_string_equal(err.text, "x: No such file or directory");
	assert_int_equal(err_set(NULL, "nobody listens"), -1);
	err_set(&err, "%0600d", 1);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
	errno = ENOENT;
	err_sys(&err, "%0600d", 1);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_lines_up_to_the_level),
	    cmocka_unit_test(cuts_long_lines),
	    cmocka_unit_test(gate_holds_back_and_counts),
	    cmocka_unit_test(clean_leaves_printable_ascii),
	    cmocka_unit_test(errors_say_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
