#ifndef MPCPROXY_TUNNEL_DIALER_H
#define MPCPROXY_TUNNEL_DIALER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"

/* Connecting to a TCP port of this machine's loopback. */
struct dialer;
struct runs;

/* ${fd} is connected, non-blocking, with TCP_NODELAY, and the callee's; or -1 and the
 * reason. */
typedef void dialer_done(void *arg, int fd, const char *why);

/*
 * Dial ${port} on 127.0.0.1. With ${patient}, try again every DIALER_RETRY_MS without
 * limit, and accept only a program of our own user there (owner_check_server(); a
 * stranger's is logged and tried again). Otherwise one attempt each at 127.0.0.1 and
 * ::1. A patient one asks ${runs} (may be NULL) each time whether our program is isolated
 * (runs_gate()), and where: nobody else is there, so that no owner is asked for. ${done} is
 * called from the event loop, once; afterwards the dialer is freed.
 */
#define DIALER_RETRY_MS 50
struct dialer *dialer_start(struct event_base *base, uint16_t port, bool patient,
			    struct runs *runs, dialer_done *done, void *arg);
/* Before ${done}: ${done} is not called any more. */
void dialer_cancel(struct dialer *d);

#endif
