#ifndef MPCPROXY_TUNNEL_DIALER_H
#define MPCPROXY_TUNNEL_DIALER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "session/target.h"

/* Connecting to what is exposed: a TCP port or a UNIX socket. */
struct dialer;
struct runs;

/* ${fd} is connected, non-blocking, with TCP_NODELAY, and the callee's; or -1, the errno
 * that says why, and the same in words. */
typedef void dialer_done(void *arg, int fd, int error, const char *why);

/* For one attempt at everything the target's name leads to. */
#define DIALER_LIMIT_S 15

/*
 * Dial ${target}: on loopback 127.0.0.1 and then ::1, otherwise each address of its name.
 * With ${patient} (loopback only), try again every DIALER_RETRY_MS without limit, and
 * accept only a program of our own user there (owner_check_server(); a stranger's is
 * logged and tried again). A patient one asks ${runs} (may be NULL) each time whether our
 * program is isolated (runs_gate()), and where: nobody else is there, so that no owner is
 * asked for. ${done} is called from the event loop, once; afterwards the dialer is freed.
 */
#define DIALER_RETRY_MS 50
struct dialer *dialer_start(struct event_base *base, const struct target *target,
			    bool patient, struct runs *runs, dialer_done *done,
			    void *arg);
/* Before ${done}: ${done} is not called any more. */
void dialer_cancel(struct dialer *d);

#endif
