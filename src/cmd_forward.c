#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"

/* What the command line asks for. -1 after a message. */
static int
make_request(struct request *r, bool remove, int n, char **words)
{
	struct err err;

	r->verb = n == 0 ? REQUEST_FORWARDS : remove ? REQUEST_UNFORWARD : REQUEST_FORWARD;
	if (n == 0 && remove)
		return options_bad("forward", "--remove wants the endpoint"), -1;
	if (n == 0)
		return 0;
	if (endpoint_parse(&r->at, words[0], &err) != 0)
		return options_bad("forward", "%s: %s", words[0], err.text), -1;
	if (remove)
		return n == 1 ? 0
			      : (options_bad("forward", "--remove wants the endpoint only"),
				 -1);
	if (n == 1)
		return options_bad("forward", "where to? ENDPOINT PARTY:TARGET, as in 8080 "
					      "bob:8888"),
		       -1;
	if (target_parse_at(r->party, sizeof r->party, &r->target, words[1], &err) != 0)
		return options_bad("forward", "%s: %s", words[1], err.text), -1;
	return 0;
}

int
cmd_forward(int argc, char **argv)
{
	struct setup_options o = {0};
	bool remove = false;
	const struct option_spec options[] = {
	    {'r', "remove", NULL, "end the forward from ENDPOINT", NULL, &remove, false},
	};
	const struct verb_usage usage = {
	    .verb = "forward",
	    .operands = "[ENDPOINT [PARTY:TARGET]]",
	    .max_operands = 2,
	    .help = "Let the running proxy take connections at ENDPOINT (a PORT, "
		    "ADDRESS:PORT or\nunix:/PATH) for what PARTY exposes as TARGET (a "
		    "PORT, HOST:PORT or unix:/PATH),\nuntil it ends or --remove. Without "
		    "operands: list all forwards.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct request r = {0};
	struct setup setup;
	struct err err;
	int n = 0;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	while (argv[1 + n] != NULL)
		n++;
	if (make_request(&r, remove, n, argv + 1) != 0)
		return EXIT_USAGE;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = ask_proxy(&setup, &r);
	setup_free(&setup);
	return rc;
}
