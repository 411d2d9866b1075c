#ifndef MPCPROXY_RUN_PROGRESS_H
#define MPCPROXY_RUN_PROGRESS_H

#include "session/session.h"
#include "tunnel/run.h"

/*
 * Who is still missing, on stderr: at a terminal as one line that changes, elsewhere as a
 * line for each party that comes or goes.
 */
struct progress;

/* NULL when memory is short; then all calls do nothing. ${s} must outlive it. */
struct progress *progress_new(const struct session *s, size_t own);
void progress_free(struct progress *p);

/* A party's state, and what it waits for when it is not connected. */
void progress_party(struct progress *p, size_t index, enum run_party_state state,
		    const char *text);
/* Time has passed: once a second, or whenever something may be shown anew. */
void progress_show(struct progress *p);
/* A line for each party that is not there, and why. */
void progress_missing(struct progress *p);
/* Before anything else is printed on stderr: leave no half line behind. */
void progress_clear(struct progress *p);

#endif
