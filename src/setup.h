#ifndef MPCPROXY_SETUP_H
#define MPCPROXY_SETUP_H

#include <stddef.h>

#include "base/err.h"
#include "options.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"

/* All configuration of one party, read and checked as a run needs it. */
struct setup {
	struct session *session;
	struct local *local;
	struct identity *identity;
	size_t index; /* our own in session->parties */
	struct setup_options options; /* what it was loaded with, to load it again */
};

/*
 * Read session.ini, local.ini and the identity that ${o} names, let the command line
 * override local.ini, find our own index and check that no two local ports are the
 * same. What ${o} points to must outlive ${setup}. On failure -1, nothing to free, and a message with file, line and remedy.
 * Also sets the log level for -v.
 */
int setup_load(struct setup *setup, const struct setup_options *o, struct err *err);
void setup_free(struct setup *setup);

/* Where the identity is: ${given}, or the default file when that is NULL. malloc'ed. */
char *setup_identity_path(const char *given, struct err *err);

#endif
