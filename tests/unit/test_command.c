/* The command line of a program: what is run, what others are told, where flags go. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "run/command.h"
#include "run/compare.h"
#include "run/probe.h"

static char dir[64], prog[96], script[96], data[96], package[96];
static struct err err;

static void
put(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mpcproxy-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(prog, sizeof prog, "%s/prog.py", dir);
	snprintf(script, sizeof script, "%s/script", dir);
	snprintf(data, sizeof data, "%s/data", dir);
	snprintf(package, sizeof package, "%s/package", dir);
	put(prog, "print()\n", 0644);
	put(script, "#!/usr/bin/env -S python3 -I\nprint()\n", 0755);
	put(data, "secret\n", 0644);
	mkdir(package, 0755);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(prog);
	unlink(script);
	unlink(data);
	rmdir(package);
	return rmdir(dir);
}

#define READ(c, ...) command_read(c, (char *[]){__VA_ARGS__, NULL}, &err)

static void
assert_words(char **words, const char *expected)
{
	char text[512] = "";

	for (size_t i = 0; words[i] != NULL; i++) {
		strcat(text, i > 0 ? "|" : "");
		strcat(text, words[i]);
	}
	assert_string_equal(text, expected);
}

static void
test_where_python_s_program_is(void **state)
{
	struct command c;

	(void)state;
	assert_int_equal(READ(&c, "python3", prog, "8"), 0);
	assert_int_equal(c.kind, COMMAND_FILE);
	assert_int_equal(c.program, 1);
	assert_words(c.python, "python3");
	command_free(&c);
	assert_int_equal(READ(&c, "env", "A=1", "python3", "-uX", "dev", "-W", "error",
			      prog, "-m", "x"),
			 0);
	assert_int_equal(c.program, 7);
	assert_words(c.python, "env|A=1|python3|-uX|dev|-W|error");
	command_free(&c);
	assert_int_equal(READ(&c, "python3", "-I", "-mpkg.mod", "--x"), 0);
	assert_int_equal(c.kind, COMMAND_MODULE);
	command_free(&c);
	assert_int_equal(READ(&c, "python3", "-m", "pkg.mod", "--x"), 0);
	assert_int_equal(c.kind, COMMAND_MODULE);
	assert_string_equal(c.words[c.program], "pkg.mod");
	command_free(&c);
	assert_int_equal(READ(&c, "python3", "-c", "print()", "8"), 0);
	assert_int_equal(c.kind, COMMAND_CODE);
	assert_int_equal(c.program, 2);
	command_free(&c);
	assert_int_equal(READ(&c, "python3", package), 0);
	assert_contains(c.file, "/package/__main__.py");
	command_free(&c);
	assert_int_equal(READ(&c, "python3"), -1);
	assert_int_equal(READ(&c, "python3", "/nonexistent.py"), -1);
	assert_contains(err.text, "/nonexistent.py");
}

static void
test_where_another_program_is(void **state)
{
	struct command c;

	(void)state;
	assert_int_equal(READ(&c, script, "8"), 0);
	assert_string_equal(c.file, script);
	assert_words(c.python, "/usr/bin/env|python3|-I");
	command_free(&c);
	assert_int_equal(READ(&c, "sh", script), 0);
	assert_string_equal(c.file, script);
	command_free(&c);
	/* What is no program is not hashed: it may be somebody's secret. */
	assert_int_equal(READ(&c, "sh", data), 0);
	assert_contains(c.file, "/sh");
	assert_int_equal(c.program, 0);
	assert_int_equal(c.n_python, 0);
	command_free(&c);
	assert_int_equal(READ(&c, "echo", "python"), 0);
	assert_contains(c.file, "/echo");
	command_free(&c);
	assert_int_equal(READ(&c, "/nonexistent/prog", "8"), COMMAND_NOT_FOUND);
	assert_contains(err.text, "/nonexistent/prog");
	assert_int_equal(READ(&c, "{private}", "prog"), -1);
}

static void
test_where_the_flags_go(void **state)
{
	static char *const flags[] = {(char *)"-I", (char *)"1", NULL};
	struct command c;
	char **argv;

	(void)state;
	assert_int_equal(READ(&c, "python3", prog, "8"), 0);
	argv = command_argv(&c, flags);
	assert_string_equal(argv[2], "8");
	assert_string_equal(argv[3], "-I");
	assert_string_equal(argv[4], "1");
	assert_null(argv[5]);
	command_argv_free(argv);
	command_free(&c);
	assert_int_equal(READ(&c, "python3", prog, "{mpyc}", "8", "{private}", "9"), 0);
	argv = command_argv(&c, flags);
	assert_words(argv + 2, "-I|1|8|9");
	command_argv_free(argv);
	command_free(&c);
	assert_int_equal(READ(&c, "sh", "-c", "x {mpyc} y {mpyc}"), 0);
	argv = command_argv(&c, flags);
	assert_words(argv, "sh|-c|x -I 1 y -I 1");
	command_argv_free(argv);
	command_free(&c);
}

static void
assert_told(const struct run_offer *o, const char *expected)
{
	char text[2048] = "";

	for (size_t i = 0; i < o->n_words; i++) {
		strcat(text, i > 0 ? "|" : "");
		strcat(text, o->word[i].kind == RUN_WORD_HIDDEN ? "*" : o->word[i].text);
	}
	assert_string_equal(text, expected);
}

static struct run_offer
told(struct command *c, bool show)
{
	struct run_offer o = {.n_words = 0};

	command_offer(c, show, &o);
	command_free(c);
	return o;
}

static void
test_what_others_are_told(void **state)
{
	struct command c;
	struct run_offer o;

	(void)state;
	READ(&c, "python3", prog, "--n=8", "-T1", "-L", "16", "-s", "52", "-52");
	o = told(&c, false);
	assert_string_equal(o.program, "prog.py");
	assert_told(&o, "--n=|-T1|-L|16|-s|*|*");
	assert_false(o.open_end);
	READ(&c, "python3", prog, "{mpyc}", "-L", "x", "-L", "16");
	o = told(&c, false);
	assert_told(&o, "-L|*|-L|16");
	READ(&c, "python3", prog, "--n=8", "52");
	o = told(&c, true);
	assert_told(&o, "--n=8|52");
	READ(&c, "python3", prog, "--n=8", "{private}", "52", "53");
	o = told(&c, false);
	assert_told(&o, "--n=8");
	assert_true(o.open_end);
	/* They are MPyC's only in a program that may be MPyC's. */
	READ(&c, "sh", script, "-L16");
	o = told(&c, false);
	READ(&c, "cat", "-L16");
	o = told(&c, false);
	assert_told(&o, "-L");
}

static void
test_a_long_command_line(void **state)
{
	char *words[60] = {(char *)"cat"};
	struct run_offer a, b;
	struct command c;

	(void)state;
	for (size_t i = 1; i < 59; i++)
		words[i] = (char *)"x";
	assert_int_equal(command_read(&c, words, &err), 0);
	a = told(&c, true);
	assert_int_equal(a.n_words, RUN_WORDS_MAX);
	words[58] = (char *)"y";
	assert_int_equal(command_read(&c, words, &err), 0);
	b = told(&c, true);
	assert_false(run_words_agree(&a, &b));
	assert_int_equal(command_read(&c, words, &err), 0);
	b = told(&c, false);
	assert_int_equal(b.word[RUN_WORDS_MAX - 1].kind, RUN_WORD_HIDDEN);
}

static void
test_what_python_says(void **state)
{
	struct run_offer o = {.n_words = 0};
	char module[64];

	(void)state;
	assert_int_equal(probe_parse("hello\n\nmpcproxy-probe-1\n3.11.2\n0.11.2\n-\n", &o,
				     module, 64),
			 0);
	assert_string_equal(o.python, "3.11.2");
	assert_string_equal(o.mpyc, "0.11.2");
	assert_int_equal(probe_parse("\nmpcproxy-probe-1\n3.11.2\n-\n/a/b.py\n", &o,
				     module, 64),
			 0);
	assert_string_equal(o.mpyc, "");
	assert_string_equal(module, "/a/b.py");
	assert_int_equal(probe_parse("\nmpcproxy-probe-1\n3\n-\n", &o, module, 64), -1);
	assert_int_equal(probe_parse("\nmpcproxy-probe-1\n3\n-\n-\nx\n", &o, module, 64),
			 -1);
	assert_int_equal(probe_parse("\nmpcproxy-probe-1\n\033\n-\n-\n", &o, module, 64),
			 -1);
	assert_int_equal(probe_parse("", &o, module, 64), -1);
}

static void
test_the_probe_asks_python(void **state)
{
	struct run_offer o = {.n_words = 0}, code = {.n_words = 0};
	struct command c;

	(void)state;
	assert_int_equal(READ(&c, "/usr/bin/python3", prog), 0);
	assert_int_equal(probe(&c, &o, &err), 0);
	command_free(&c);
	assert_true(o.python[0] == '3');
	/* The same text, as a file and as code. */
	assert_int_equal(READ(&c, "/usr/bin/python3", "-c", "print()\n"), 0);
	assert_int_equal(probe(&c, &code, &err), 0);
	command_free(&c);
	assert_memory_equal(o.digest, code.digest, sizeof o.digest);
	assert_int_equal(READ(&c, "/usr/bin/python3", "-m", "json.tool"), 0);
	assert_int_equal(probe(&c, &o, &err), 0);
	command_free(&c);
	assert_int_equal(READ(&c, "/usr/bin/python3", "-m", "no.such.module"), 0);
	assert_int_equal(probe(&c, &o, &err), -1);
	assert_contains(err.text, "no.such.module");
	command_free(&c);
}

static void
test_differences_side_by_side(void **state)
{
	static struct party parties[3] = {{.name = "alice"},
					  {.name = "bob"},
					  {.name = "carol"}};
	const struct session s = {.parties = parties, .n_parties = 3};
	struct run_offer o[3];
	char *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	memset(o, 0, sizeof o);
	for (size_t i = 0; i < 3; i++) {
		strcpy(o[i].program, "p.py");
		strcpy(o[i].python, "3.11.2");
		run_word_set(&o[i].word[o[i].n_words++], "8", true);
	}
	f = open_memstream(&text, &len);
	assert_true(compare_offers(f, &s, o));
	fclose(f);
	assert_int_equal(len, 0);
	free(text);

	o[1].digest[0] = 0xab;
	run_word_set(&o[2].word[0], "9 x", true);
	f = open_memstream(&text, &len);
	assert_false(compare_offers(f, &s, o));
	fclose(f);
	assert_string_equal(text, "  program     alice, carol  p.py 0000000000000000\n"
				  "              bob           p.py ab00000000000000\n"
				  "  arguments   alice, bob  8\n"
				  "              carol       '9 x'\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_where_python_s_program_is),
	    cmocka_unit_test(test_where_another_program_is),
	    cmocka_unit_test(test_where_the_flags_go),
	    cmocka_unit_test(test_what_others_are_told),
	    cmocka_unit_test(test_a_long_command_line),
	    cmocka_unit_test(test_what_python_says),
	    cmocka_unit_test(test_the_probe_asks_python),
	    cmocka_unit_test(test_differences_side_by_side),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
