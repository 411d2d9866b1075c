#ifndef MPCPROXY_BASE_OWNER_H
#define MPCPROXY_BASE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/err.h"

/*
 * Which user of this machine is at the other end of a loopback connection, asked of
 * the kernel (sock_diag(7)). Everything that cannot be told counts as somebody else:
 * a closed or orphaned socket has no owner any more, and without netlink there is no
 * answer.
 */

/* Other users who count as our own. */
#define OWNER_USERS_MAX 16
struct owner_users {
	uid_t uid[OWNER_USERS_MAX];
	size_t n;
};

/* Whether the connected socket ${fd}, which we accepted, comes from a socket of our own
 * user, or of one of ${users} (NULL: none); of a UNIX socket it is who connected. -1 with
 * the reason when not. */
int owner_check_client(int fd, const struct owner_users *users, struct err *err);

/* The same for a datagram that came from ${from} to the UDP socket bound to ${to}. */
int owner_check_datagram(const union addr *from, const union addr *to,
			 const struct owner_users *users, struct err *err);

/*
 * Whether the connected socket ${fd}, which we dialled, leads to a socket of our own
 * user. A connection that nobody has accepted yet belongs to whoever listens on the
 * port. -1 with the reason when not.
 */
int owner_check_server(int fd, struct err *err);

#endif
