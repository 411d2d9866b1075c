#ifndef MPCPROXY_RUN_PROBE_H
#define MPCPROXY_RUN_PROBE_H

#include "base/err.h"
#include "run/command.h"

/* How long Python may take to say what it is. */
#define PROBE_LIMIT_S 20
/* And how much, what it prints while it starts included. */
#define PROBE_OUTPUT_MAX 16384

/*
 * Complete the offer of ${c}: the program's digest, and the versions of Python and MPyC,
 * as the interpreter of the command says in this environment. -1 when the program cannot
 * be read, or Python cannot be asked.
 */
int probe(const struct command *c, struct run_offer *o, struct err *err);

/* What the interpreter printed: its last lines are a mark, the version of Python, that of
 * MPyC or "-", and the path of the module or "-", a line each. -1 when they are not. */
int probe_parse(const char *text, struct run_offer *o, char *module, size_t size);

#endif
