#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "options.h"
#include "verbs.h"

#define ARGS_MAX 12

/* The command line of a made-up verb. */
struct line {
	char text[256];
	char *argv[ARGS_MAX + 1];
	int argc;
	struct setup_options setup;
	const char *count;
	bool json;
	int rc;
};

/* Split ${text} at spaces and parse it. */
static struct line *
parse(struct line *l, const char *text)
{
	const struct option_spec options[] = {
	    {'n', "count", "N", "how often", &l->count, NULL, false},
	    {'j', "json", NULL, "as JSON", NULL, &l->json, false},
	};
	const struct verb_usage usage = {
	    .verb = "ping",
	    .operands = "PARTY [PORT]",
	    .min_operands = 1,
	    .max_operands = 2,
	    .help = "Help.",
	    .setup = &l->setup,
	    .options = options,
	    .n_options = 2,
	};
	char *save;

	memset(l, 0, sizeof *l);
	snprintf(l->text, sizeof l->text, "ping %s", text);
	for (char *p = strtok_r(l->text, " ", &save); p != NULL;
	     p = strtok_r(NULL, " ", &save))
		l->argv[l->argc++] = p;
	l->rc = options_parse(&usage, l->argc, l->argv);
	return l;
}

static void
takes_every_way_to_write_them(void **state)
{
	struct line l;

	(void)state;
	parse(&l, "-c s.ini bob -vj --count=3 -bPORT --local l.ini 80");
	assert_int_equal(l.rc, OPTIONS_GO_ON);
	assert_string_equal(l.setup.session, "s.ini");
	assert_string_equal(l.setup.local, "l.ini");
	assert_string_equal(l.setup.base_port, "PORT");
	assert_null(l.setup.identity);
	assert_true(l.setup.verbose);
	assert_true(l.json);
	assert_string_equal(l.count, "3");
	assert_string_equal(l.argv[1], "bob");
	assert_string_equal(l.argv[2], "80");
	assert_null(l.argv[3]);

	parse(&l, "-jn 3 --config= -- --json -");
	assert_int_equal(l.rc, OPTIONS_GO_ON);
	assert_string_equal(l.count, "3");
	assert_string_equal(l.setup.session, "");
	assert_string_equal(l.argv[1], "--json");
	assert_string_equal(l.argv[2], "-");

	/* The last one wins. */
	parse(&l, "bob -c a -c b");
	assert_string_equal(l.setup.session, "b");
}

/* What ${text} gets on stderr. */
static const char *
complaint(const char *text)
{
	static char out[1024];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	struct line l;
	size_t n;

	assert_non_null(file);
	fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	parse(&l, text);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	n = fread(out, 1, sizeof out - 1, file);
	out[n] = '\0';
	fclose(file);
	assert_int_equal(l.rc, EXIT_USAGE);
	assert_contains(out, "Try `mpcproxy ping --help`.");
	return out;
}

static void
refuses_with_a_hint(void **state)
{
	(void)state;
	assert_contains(complaint("-c x bob --cuont 3"), "did you mean --count?");
	assert_contains(complaint("-c x bob --banana"), "unknown option --banana");
	assert_contains(complaint("-c x bob -vz"), "unknown option -z");
	assert_contains(complaint("-c x bob --json=yes"), "takes no value");
	assert_contains(complaint("-c x bob -n"), "--count wants a value: N");
	assert_contains(complaint("-c x"), "missing: PARTY");
	assert_contains(complaint("-c x a b c"), "`c` is one argument too many");
	assert_contains(complaint("bob"), "-c FILE is missing: session.ini");
}

static void
help_and_version_come_first(void **state)
{
	int saved = dup(STDOUT_FILENO);
	int null = open("/dev/null", O_WRONLY);
	struct line help, version, late;

	(void)state;
	fflush(stdout);
	assert_true(dup2(null, STDOUT_FILENO) >= 0);
	parse(&help, "--help");
	parse(&version, "--version");
	parse(&late, "a b c -h");
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	close(null);
	assert_int_equal(help.rc, EXIT_DONE);
	assert_int_equal(version.rc, EXIT_DONE);
	assert_int_equal(late.rc, EXIT_DONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_every_way_to_write_them),
	    cmocka_unit_test(refuses_with_a_hint),
	    cmocka_unit_test(help_and_version_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
