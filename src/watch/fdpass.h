#ifndef MPCPROXY_WATCH_FDPASS_H
#define MPCPROXY_WATCH_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

/* A descriptor in company of bytes on a UNIX socket (SCM_RIGHTS, unix(7)). */

/* As send(); ${passed} goes along, -1 for none. */
ssize_t fdpass_send(int fd, const void *data, size_t len, int passed);

/* As recv(), without blocking; ${*passed} is what came along, the caller's, or -1. Of
 * several all but the first are closed. */
ssize_t fdpass_recv(int fd, void *data, size_t len, int *passed);

#endif
