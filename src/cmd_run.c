#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/clock.h"
#include "options.h"
#include "run/together.h"
#include "serve.h"
#include "setup.h"
#include "verbs.h"

/* A year: more is a slip of the hand. */
#define TIMEOUT_MAX_S (366 * 86400)

/* The command line of a program stands behind "--". Its index in ${argv}, or ${argc}. */
static int
find_program(int argc, char **argv)
{
	int i = 1;

	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	return i;
}

static int
run(const struct setup_options *o, const struct together_options *t, char **program)
{
	struct setup setup;
	struct err err;
	int rc;

	/* Before the identity's key is in memory. */
	serve_set_limits();
	if (setup_load(&setup, o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = program != NULL ? together(&setup, t, program) : serve(&setup, NULL, NULL);
	setup_free(&setup);
	return rc;
}

int
cmd_run(int argc, char **argv)
{
	struct setup_options o = {0};
	struct together_options t = {.timeout_ns = CLOCK_NEVER};
	const char *timeout_text = NULL;
	const struct option_spec options[] = {
	    {'\0', "no-fast-path", NULL, "carry everything through the ICE library", NULL,
	     &o.no_fast_path, false},
	    {'\0', "socks5", "ADDRESS", "serve SOCKS5 at HOST:PORT or unix:PATH",
	     &o.socks5, NULL, false},
	    {'\0', "isolate", NULL, "the program reaches nothing but the session", NULL,
	     &t.isolate, false},
	    {'\0', "allow-different", NULL, "run it even if parties differ", NULL,
	     &t.allow_different, false},
	    {'\0', "show-args", NULL, "compare its arguments with others', in clear",
	     NULL, &t.show_args, false},
	    {'t', "timeout", "S", "give up when not all are ready after S seconds",
	     &timeout_text, NULL, false},
	};
	const struct verb_usage usage = {
	    .verb = "run",
	    .operands = "[-- PROGRAM [ARGUMENT]...]",
	    .max_operands = SIZE_MAX, /* they get a message of their own */
	    .help =
		"Run this party's proxy in the foreground until SIGINT or SIGTERM;\n"
		"SIGHUP, or the verb reload, applies changed files to it.\n"
		"Or run a program together with all parties, when all are ready, with\n"
		"MPyC's flags at the end or where {mpyc} stands, and return its exit\n"
		"code. What stands behind {private} is not compared with the others'.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	int n = find_program(argc, argv);
	char **program = n < argc ? argv + n + 1 : NULL;
	uint64_t timeout_s;
	int rc;

	if (n < argc)
		argv[n] = NULL;
	rc = options_parse(&usage, n, argv);
	if (rc != OPTIONS_GO_ON)
		return rc;
	if (n > 1 && argv[1] != NULL)
		return options_bad("run", "`%s`: a program stands behind `--`, as in "
				   "mpcproxy run -c FILE -- python3 program.py", argv[1]);
	if (program != NULL && program[0] == NULL)
		return options_bad("run", "a program is missing behind `--`");
	if (program == NULL &&
	    (t.isolate || t.allow_different || t.show_args || timeout_text != NULL))
		return options_bad("run", "there is no program: it stands behind `--`");
	if (timeout_text != NULL) {
		if (number_parse(&timeout_s, timeout_text, 0, TIMEOUT_MAX_S) != 0)
			return options_bad("run",
					   "--timeout wants whole seconds, at most "
					   "a year of them");
		t.timeout_ns = timeout_s * NS_PER_S;
	}
	return run(&o, &t, program);
}
