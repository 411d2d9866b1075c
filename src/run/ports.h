#ifndef MPCPROXY_RUN_PORTS_H
#define MPCPROXY_RUN_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "session/session.h"

/*
 * Ports in a row that no program has, outside the range from which the kernel takes those
 * of outgoing connections, so that no such connection can take one in the meantime. Other
 * runs on this machine leave them alone while the hold lasts; the program can bind them.
 */
struct ports_hold {
	int fds[SESSION_PARTIES_MAX];
	size_t n;
};

/* The first of ${n} ports; 0 when none are found. */
uint16_t ports_find(struct ports_hold *hold, size_t n, struct err *err);
void ports_release(struct ports_hold *hold);

#endif
