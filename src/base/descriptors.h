#ifndef MPCPROXY_BASE_DESCRIPTORS_H
#define MPCPROXY_BASE_DESCRIPTORS_H

#include <stdbool.h>

/*
 * File descriptors, of which a process has only so many (RLIMIT_NOFILE, ulimit -n). What
 * others can make it open stops before the last of them, so that what keeps the process
 * going (the rendezvous, another path, its control socket) finds some.
 */

/* Kept for that: a quarter of the limit, at most DESCRIPTORS_RESERVE_MAX. */
#define DESCRIPTORS_RESERVE_MAX 256

/* Raise the soft limit to the hard one. */
void descriptors_raise(void);

/* Whether only the reserve is left: then nobody but who keeps the process going opens
 * another one. */
bool descriptors_are_short(void);

#endif
