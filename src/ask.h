#ifndef MPCPROXY_ASK_H
#define MPCPROXY_ASK_H

#include "setup.h"
#include "watch/request.h"

/* What the verbs that ask a running proxy have in common. */

/* Ask the running proxy of ${setup}'s party; lines go to stdout and stderr as they come.
 * Returns the exit code; when there is no proxy or no answer, a message says so. */
int ask_proxy(const struct setup *setup, const struct request *r);

/* The same over ${fd}, which it closes. */
int ask_connected(int fd, const struct request *r);

#endif
