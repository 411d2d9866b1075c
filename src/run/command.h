#ifndef MPCPROXY_RUN_COMMAND_H
#define MPCPROXY_RUN_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tunnel/run_offer.h"

/*
 * The command line of a program that is to be run with all parties: where in it the
 * program is, what of it the others are told, and where MPyC's flags go.
 *
 * The program is, with a word python or pypy (and a version), the script, module or code
 * that this is to run; without, the first word that names an executable file or one that
 * begins with "#!"; or else the first word as the shell finds it.
 */
enum command_kind {
	COMMAND_FILE,
	COMMAND_MODULE, /* of Python, -m */
	COMMAND_CODE,   /* of Python, -c */
};

struct command {
	char **words; /* without {private}; NULL behind the last; they point into argv */
	size_t n_words;
	size_t n_public;  /* of them, what stands before {private} */
	bool has_private; /* {private} was there */
	size_t program;   /* index of the word that is or names the program */
	enum command_kind kind;
	char *file; /* COMMAND_FILE: path of the program; malloc'ed */
	/* How to ask the interpreter: the words before "-c CODE"; no words: it is not
	 * Python. NULL behind the last. */
	char **python;
	size_t n_python;
	char *shebang; /* what ${python} may point into */
};

/* The command's first word is no program that could be started. */
#define COMMAND_NOT_FOUND (-2)

/* Read the command line ${words}, NULL behind the last. -1 or COMMAND_NOT_FOUND when there
 * is nothing that can be run in it. */
int command_read(struct command *c, char **words, struct err *err);
void command_free(struct command *c);

/* The arguments for execvp(), with ${flags} (NULL behind the last) where {mpyc} stands,
 * or at the end: malloc'ed, to be freed with command_argv_free(). NULL: out of memory. */
char **command_argv(const struct command *c, char *const *flags);
void command_argv_free(char **argv);

/* Fill in of ${o} what the command line says: the program's name, and the words behind
 * it, shown when ${show} or {private} was given, and MPyC's parameters always. */
void command_offer(const struct command *c, bool show, struct run_offer *o);

/* SHA-256 of the file at ${path}. */
int command_digest_file(const char *path, uint8_t digest[RUN_DIGEST_BYTES],
			struct err *err);

#endif
