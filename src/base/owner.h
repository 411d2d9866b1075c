#ifndef MPCPROXY_BASE_OWNER_H
#define MPCPROXY_BASE_OWNER_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * Which user of this machine is at the other end of a loopback TCP connection, asked of
 * the kernel (sock_diag(7)). Everything that cannot be told counts as somebody else:
 * a closed or orphaned socket has no owner any more, and without netlink there is no
 * answer.
 */

/* Whether the connected socket ${fd}, which we accepted, comes from a socket of our own
 * user. -1 with the reason when not. */
int owner_check_client(int fd, struct err *err);

/*
 * Whether the connected socket ${fd}, which we dialled, leads to a socket of our own
 * user. A connection that nobody has accepted yet belongs to whoever listens on the
 * port. -1 with the reason when not.
 */
int owner_check_server(int fd, struct err *err);

#endif
