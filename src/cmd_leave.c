#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adhoc.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

/* Whether its proxy runs, as far as its file can still be read. */
static bool
is_running(const char *name)
{
	const struct setup_options o = {.session = name};
	struct setup setup;
	bool running = false;
	struct err err;
	int fd;

	if (setup_load(&setup, &o, &err) != 0)
		return false;
	if (client_connect(setup.session, setup.index, &fd, &err) == CLIENT_FOUND) {
		running = true;
		close(fd);
	}
	setup_free(&setup);
	return running;
}

int
cmd_leave(int argc, char **argv)
{
	const struct verb_usage usage = {
	    .verb = "leave",
	    .operands = "SESSION",
	    .min_operands = 1,
	    .max_operands = 1,
	    .help = "Remove the files of a session that was made by invitation. The "
		    "identity stays.",
	};
	char name[SESSION_NAME_MAX + 1];
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (session_name_parse(name, argv[1], &err) != 0)
		return options_bad("leave", "%s", err.text);
	if (is_running(name)) {
		fprintf(stderr,
			"mpcproxy: the proxy of session %s runs: end it first (Ctrl-C, or "
			"SIGTERM)\n",
			name);
		return EXIT_FAILED;
	}
	if (store_remove(name, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
