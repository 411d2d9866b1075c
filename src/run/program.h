#ifndef MPCPROXY_RUN_PROGRAM_H
#define MPCPROXY_RUN_PROGRAM_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct isolate;

/*
 * The program that is run, a child of ours. At a terminal it is in our process group, so
 * that everything the terminal says reaches it as it would without us: keys, Ctrl-C,
 * Ctrl-Z, hanging up. Without one it leads a group of its own, which gets the signals
 * that we are sent.
 */
struct program {
	pid_t pid;  /* 0: none runs */
	bool leads; /* a process group of its own */
	int go;     /* between the two calls that start it */
	int report;
};

/*
 * Start ${argv}, found as the shell does, inside ${iso} when that is not NULL. It ends
 * with us. In two steps, because what the terminal has sent before there was a child is
 * pending here and nowhere else, and cannot be told from what both have got: after the first
 * step the child is there, with all signals blocked; the caller reads what is pending; in
 * the second the child takes those of ${sent} that it has not got. -1 when that cannot be;
 * ${*code} is then what a shell would exit with (126 or 127).
 */
int program_fork(struct program *p, char **argv, const struct isolate *iso, int *code,
		 struct err *err);
int program_go(struct program *p, const char *name, const sigset_t *sent, int *code,
	       struct err *err);

/* Send it ${sig}; nothing when it does not run. */
void program_signal(const struct program *p, int sig);

/* Whether it has ended; its exit code then is in ${*code}, 128 and the signal when one
 * ended it. */
bool program_has_ended(struct program *p, int *code);

/* The signals that we block for ourselves, and those we ignore: back to what they were
 * when we started. For children. */
void program_restore_signals(void);
/* To be called first: block the signals that are to be read from the descriptor it
 * returns (signalfd); -1 when that fails. */
int program_block_signals(void);

#endif
