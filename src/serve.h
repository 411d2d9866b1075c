#ifndef MPCPROXY_SERVE_H
#define MPCPROXY_SERVE_H

#include "setup.h"

/* Raise the limit of open files (every stream is one) and turn core files off, since keys
 * must not end up in one: before an identity is loaded. */
void serve_set_limits(void);

/*
 * Run the proxy of ${setup} until SIGINT, SIGTERM or a fatal error. SIGHUP, and a client
 * of the control socket, make it load the setup again and apply it. ${started}
 * (may be NULL) is called when its control socket answers. Returns the exit code; what
 * went wrong has been said on stderr.
 */
int serve(struct setup *setup, void (*started)(void *arg), void *arg);

#endif
