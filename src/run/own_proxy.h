#ifndef MPCPROXY_RUN_OWN_PROXY_H
#define MPCPROXY_RUN_OWN_PROXY_H

#include <sys/types.h>

#include "base/err.h"
#include "setup.h"

/*
 * The proxy of a run that found none: a process of its own in a session of its own, so
 * that what the terminal does to the program does not concern it. It ends with us.
 */
struct own_proxy {
	pid_t pid; /* 0: none */
};

/* Returns when its control socket answers. -1 when it has ended instead, having said why
 * on stderr. */
int own_proxy_start(struct own_proxy *p, struct setup *setup);

/* End it in good order, as SIGTERM does, or after eight seconds in any; returns when it
 * has ended. */
void own_proxy_stop(struct own_proxy *p);

#endif
