#include <stdio.h>

#include "ask.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"
#include "watch/flags.h"

/* The running proxy's may have another base port than the configuration now says. */
static int
print_flags(const struct setup *setup)
{
	static const struct request r = {.verb = REQUEST_FLAGS};
	struct err err;
	int fd;

	switch (client_connect(setup->session, setup->index, &fd, &err)) {
	case CLIENT_FOUND:
		return ask_connected(fd, &r);
	case CLIENT_ABSENT:
		flags_write(stdout, setup->local->base_port, setup->session->n_parties,
			    setup->index);
		return EXIT_DONE;
	default:
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
}

int
cmd_flags(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct verb_usage usage = {
	    .verb = "flags",
	    .operands = "",
	    .help =
		"Print the flags with which MPyC's programs use the proxy, on one line:\n"
		"  python3 program.py $(mpcproxy flags -c session.ini)",
	    .setup = &o,
	};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = print_flags(&setup);
	setup_free(&setup);
	return rc;
}
