#ifndef MPCPROXY_SETUP_H
#define MPCPROXY_SETUP_H

#include <stddef.h>

#include "base/err.h"
#include "options.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"
#include "session/store.h"

/* All configuration of one party, read and checked as a run needs it. */
struct setup {
	struct session *session;
	struct local *local;
	struct identity *identity;
	size_t index; /* our own in session->parties */
	struct store_state state; /* of a session that was made by invitation */
	char *path;               /* of its file */
	struct setup_options options; /* what it was loaded with, to load it again */
};

/*
 * Read session.ini, local.ini and the identity that ${o} names, let the command line
 * override local.ini, find our own index and check that no two local ports are the
 * same. What ${o} points to must outlive ${setup}. On failure -1, nothing to free, and a message with file, line and remedy.
 * Also sets the log level for -v.
 */
/* Whether it names a session, rather than a file, and there is none. */
bool setup_is_absent(const struct setup_options *o);

int setup_load(struct setup *setup, const struct setup_options *o, struct err *err);
void setup_free(struct setup *setup);

/* The same with ${s}, which is taken over whatever becomes of it, in place of what the
 * session's file says. */
int setup_load_with(struct setup *setup, const struct setup_options *o, struct session *s,
		    struct err *err);

/* Where the identity is: ${given}, or the default file when that is NULL. malloc'ed. */
char *setup_identity_path(const char *given, struct err *err);

#endif
