#include <stdio.h>

#include "ask.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"

int
cmd_offer(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct verb_usage usage = {
	    .verb = "offer",
	    .operands = "",
	    .help = "Print a block of text that the other parties need to reach this one, "
		    "where no\nrendezvous carries messages between them. The proxy must "
		    "run.",
	    .setup = &o,
	};
	const struct request r = {.verb = REQUEST_OFFER};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = ask_proxy(&setup, &r);
	setup_free(&setup);
	return rc;
}
