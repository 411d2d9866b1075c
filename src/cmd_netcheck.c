#include <stdio.h>

#include "base/log.h"
#include "netcheck.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"

static int
check(const struct setup *setup, bool json)
{
	static struct netcheck_report report;
	struct err err;

	if (netcheck_run(setup, &report, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (json)
		netcheck_json(stdout, &report);
	else
		netcheck_text(stdout, &report);
	return netcheck_is_well(&report) ? EXIT_DONE : EXIT_FAILED;
}

int
cmd_netcheck(int argc, char **argv)
{
	struct setup_options o = {0};
	bool json = false;
	const struct option_spec options[] = {
	    {0, "json", NULL, "for programs; mpcproxy(1) explains it", NULL, &json,
	     false},
	};
	const struct verb_usage usage = {
	    .verb = "netcheck",
	    .operands = "",
	    .help =
		"Say what paths this machine's network allows, and which servers work.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	/* The report says it all. */
	log_set_level(LOG_LEVEL_ERROR);
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = check(&setup, json);
	setup_free(&setup);
	return rc;
}
