#ifndef MPCPROXY_RUN_TOGETHER_H
#define MPCPROXY_RUN_TOGETHER_H

#include <stdbool.h>
#include <stdint.h>

#include "setup.h"

struct together_options {
	bool allow_different;
	bool show_args;
	bool isolate;
	uint64_t timeout_ns; /* for all parties to be ready; CLOCK_NEVER: none */
};

/*
 * Run the program of the command line ${words} (NULL behind the last) together with all
 * parties of ${setup}: with the proxy that runs, or one of its own, whose ports then may
 * be others than ${setup}'s. Returns the exit code: the program's, or one of verbs.h.
 */
int together(struct setup *setup, const struct together_options *o, char **words);

#endif
