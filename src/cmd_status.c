#include <stdio.h>

#include "ask.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"

int
cmd_status(int argc, char **argv)
{
	struct setup_options o = {0};
	bool json = false;
	const struct option_spec options[] = {
	    {0, "json", NULL, "for programs; mpcproxy(1) explains it", NULL, &json,
	     false},
	};
	const struct verb_usage usage = {
	    .verb = "status",
	    .operands = "",
	    .help = "Show what the running proxy is connected to, how, and since when.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct request r = {0};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	r.verb = json ? REQUEST_STATUS_JSON : REQUEST_STATUS_TEXT;
	rc = ask_proxy(&setup, &r);
	setup_free(&setup);
	return rc;
}
