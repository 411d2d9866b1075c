#include <stdio.h>
#include <string.h>

#include "ask.h"
#include "base/addr.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"

#define DEFAULT_COUNT 5

/* Whom to ask about; the message names what was typed. */
static int
set_party(struct request *r, const struct setup *setup, const char *name, struct err *err)
{
	const struct session *s = setup->session;
	int index = session_look_up(s, name, err);

	if (index < 0)
		return -1;
	if ((size_t)index == setup->index)
		return err_set(err, "%s is you: name another party", name);
	strcpy(r->party, s->parties[index].name);
	return 0;
}

int
cmd_ping(int argc, char **argv)
{
	struct setup_options o = {0};
	const char *count_text = NULL;
	const struct option_spec options[] = {
	    {'n', "count", "N", "round trips to measure (else 5)", &count_text, NULL,
	     false},
	};
	const struct verb_usage usage = {
	    .verb = "ping",
	    .operands = "PARTY",
	    .min_operands = 1,
	    .max_operands = 1,
	    .help = "Measure round trips to PARTY inside the tunnel.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct request r = {.verb = REQUEST_PING, .count = DEFAULT_COUNT};
	struct setup setup;
	struct err err;
	uint64_t count;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (count_text != NULL) {
		if (number_parse(&count, count_text, 1, REQUEST_PING_MAX) != 0)
			return options_bad("ping", "-n wants a number from 1 to %d",
					   REQUEST_PING_MAX);
		r.count = (unsigned)count;
	}
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	if (set_party(&r, &setup, argv[1], &err) == 0) {
		rc = ask_proxy(&setup, &r);
	} else {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		rc = EXIT_FAILED;
	}
	setup_free(&setup);
	return rc;
}
