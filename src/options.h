#ifndef MPCPROXY_OPTIONS_H
#define MPCPROXY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The command line of one verb. Options are written -x VALUE, -xVALUE, --name VALUE or
 * --name=VALUE, in any order and also after operands; flags can be bundled (-vx); "--"
 * ends the options. The last one wins when one is given twice.
 */
struct option_spec {
	char letter;       /* '\0': none */
	const char *name;  /* without "--" */
	const char *arg;   /* what --help calls its argument; NULL: it is a flag */
	const char *help;  /* a few words */
	const char **text; /* with an argument: where it goes (points into argv) */
	bool *flag;        /* without: set to true */
	bool required;
};

/* The options of every verb that works on a session. */
struct setup_options {
	const char *session;   /* -c */
	const char *local;     /* --local; NULL: the default file */
	const char *identity;  /* -i; NULL: local.ini's, else the default file */
	const char *base_port; /* -b; NULL: local.ini's, else the default */
	bool verbose;          /* -v */
	bool no_fast_path;     /* of those that run a proxy, like the next */
	const char *socks5;    /* NULL: local.ini's, if any */
};

struct verb_usage {
	const char *verb;     /* "ping" */
	const char *operands; /* "PARTY", "[FILE]"; "" for none */
	size_t min_operands;
	size_t max_operands;
	const char *help;                  /* one sentence */
	struct setup_options *setup;       /* NULL: the verb does not take them */
	const struct option_spec *options; /* the verb's own */
	size_t n_options;
};

/* To go on, as against the exit code that options_parse() gives otherwise. */
#define OPTIONS_GO_ON (-1)

/*
 * Fill in what ${usage} names from ${argv} (argv[0] is the verb). Operands are moved
 * to argv[1] and on, NULL after the last. Returns OPTIONS_GO_ON, or the code to exit
 * with: EXIT_DONE after --help or --version, EXIT_USAGE after a message with a hint.
 */
int options_parse(const struct verb_usage *usage, int argc, char **argv);

/* Say on stderr what is wrong with the command line of ${verb} and how to get help;
 * returns EXIT_USAGE. For what options_parse() cannot know, such as a number's range. */
int options_bad(const char *verb, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void options_print_version(void);

#endif
