#ifndef MPCPROXY_BASE_PASS_H
#define MPCPROXY_BASE_PASS_H

#include <stddef.h>
#include <sys/types.h>

/* Descriptors that go from one process to another with a message (SCM_RIGHTS). */

/* Send ${len} bytes over the Unix socket ${sock}, and ${fd} with them (-1: none). As
 * send(2), without SIGPIPE. ${fd} stays open here. */
ssize_t pass_send(int sock, const void *data, size_t len, int fd);

/* Receive up to ${size} bytes; ${*fd} is the descriptor that came with them, closed on
 * exec and the caller's, or -1. Of several all but the first are closed. As recv(2). */
ssize_t pass_receive(int sock, void *data, size_t size, int *fd);

#endif
