#include <stdbool.h>
#include <stdio.h>

#include "options.h"
#include "serve.h"
#include "setup.h"
#include "verbs.h"

int
cmd_run(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct option_spec options[] = {
	    {'\0', "no-fast-path", NULL, "carry everything through the ICE library", NULL,
	     &o.no_fast_path, false},
	};
	const struct verb_usage usage = {
	    .verb = "run",
	    .operands = "",
	    .help = "Run this party's proxy in the foreground until SIGINT or SIGTERM.\n"
		    "SIGHUP, or the verb reload, applies changed files to it.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	/* Before the identity's key is in memory. */
	serve_set_limits();
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = serve(&setup, NULL, NULL);
	setup_free(&setup);
	return rc;
}
