/*
 * mpcproxy: one unprivileged process per party that carries MPyC's connections
 * over authenticated QUIC on paths that ICE negotiated. This file is only the
 * table of verbs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "options.h"
#include "verbs.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
    {"run", cmd_run, "run a program with all parties, or only this party's proxy"},
    {"invite", cmd_invite, "make a session, or add to one, and print how to join it"},
    {"join", cmd_join, "join a session with a ticket, and run its proxy"},
    {"revoke", cmd_revoke, "take a party out of a session that you host"},
    {"leave", cmd_leave, "remove a session's files"},
    {"sessions", cmd_sessions, "list the sessions made by invitation"},
    {"keygen", cmd_keygen, "make this party's identity"},
    {"id", cmd_id, "print an identity's public key"},
    {"check", cmd_check, "say what is wrong with the configuration"},
    {"netcheck", cmd_netcheck, "say what paths this machine's network allows"},
    {"flags", cmd_flags, "print the flags for MPyC's programs"},
    {"wait", cmd_wait, "return when every party is connected"},
    {"status", cmd_status, "show what the proxy is connected to, and how"},
    {"offer", cmd_offer, "print a block for parties that no rendezvous reaches"},
    {"accept", cmd_accept, "take the other parties' blocks"},
    {"ping", cmd_ping, "measure round trips to a party"},
    {"connect", cmd_connect, "join stdin and stdout to what a party exposes"},
    {"forward", cmd_forward, "forward a local port to what a party exposes"},
    {"reload", cmd_reload, "apply changed files to the running proxy"},
    {"rendezvous", cmd_rendezvous, "serve a mailbox where the parties find each other"},
};

#define N_VERBS (sizeof verbs / sizeof *verbs)

static const struct verb *
find(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++) {
		if (strcmp(name, verbs[i].name) == 0)
			return &verbs[i];
	}
	return NULL;
}

static void
print_usage(FILE *out)
{
	fputs("Usage: mpcproxy [VERB] [OPTION]...\n"
	      "Carries MPyC's connections between parties behind NATs, over mutually\n"
	      "authenticated TLS 1.3. Options without a verb mean `run`.\n\n",
	      out);
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(out, "  %-11s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n`mpcproxy VERB --help` shows a verb's options.\n", out);
}

static int
unknown_verb(const char *name)
{
	const char *words[N_VERBS];
	const char *near;
	size_t len = strlen(name);

	if (len > 4 && strcmp(name + len - 4, ".ini") == 0) {
		fprintf(stderr,
			"mpcproxy: `%s` is no verb: did you mean `mpcproxy -c %s`?\n", name,
			name);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < N_VERBS; i++)
		words[i] = verbs[i].name;
	near = nearest(name, words, N_VERBS);
	fprintf(stderr, "mpcproxy: unknown verb `%s`%s%s%s\nTry `mpcproxy --help`.\n",
		name, near != NULL ? ": did you mean `" : "", near != NULL ? near : "",
		near != NULL ? "`?" : "");
	return EXIT_USAGE;
}

/* `help VERB` is `VERB --help`. */
static int
help(int argc, char **argv)
{
	static char option[] = "--help";
	char *arguments[] = {argc > 2 ? argv[2] : NULL, option, NULL};
	const struct verb *verb;

	if (argc == 2) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	verb = find(argv[2]);
	return verb != NULL ? verb->run(2, arguments) : unknown_verb(argv[2]);
}

static int
dispatch(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		options_print_version();
		return EXIT_DONE;
	}
	if (strcmp(argv[1], "help") == 0)
		return help(argc, argv);
	if (argv[1][0] == '-') {
		verb = find("run");
		return verb != NULL ? verb->run(argc, argv) : unknown_verb("run");
	}
	verb = find(argv[1]);
	return verb != NULL ? verb->run(argc - 1, argv + 1) : unknown_verb(argv[1]);
}

/* A standard descriptor that is closed would be the next socket's or file's, which then got
 * what is said to the user. Writing to stdout fails as before. */
static int
fill_standard(void)
{
	static const int mode[] = {
	    [STDIN_FILENO] = O_RDONLY,
	    [STDOUT_FILENO] = O_RDONLY,
	    [STDERR_FILENO] = O_WRONLY,
	};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode[fd]) != fd)
			return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	int rc = fill_standard() == 0 ? dispatch(argc, argv) : EXIT_FAILED;

	/* What was printed has to have arrived: `mpcproxy flags >/dev/full`. */
	if (fclose(stdout) != 0 && rc == EXIT_DONE) {
		perror("mpcproxy: standard output");
		return EXIT_FAILED;
	}
	return rc;
}
