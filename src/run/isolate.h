#ifndef MPCPROXY_RUN_ISOLATE_H
#define MPCPROXY_RUN_ISOLATE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A user and a network namespace for a program (user_namespaces(7)), made without
 * privileges: nothing in it but loopback, where only the program is, and a helper of ours
 * that stands in for the proxy: it listens for the program's connections to other
 * parties, and makes those to the program, and passes the sockets out (gate_message.h).
 * User and group ids inside are those outside.
 */
struct isolate {
	pid_t helper;
	int gate;    /* towards the helper, for the proxy */
	int user_ns; /* open descriptors of the namespaces */
	int net_ns;
};

/* Make it, for party ${index} of ${n_parties} with MPyC's ports from ${base_port} on. -1
 * with the reason, and what to do, where user namespaces are forbidden. */
int isolate_start(struct isolate *iso, uint16_t base_port, size_t n_parties, size_t index,
		  struct err *err);

/* In a child that is about to become the program: go inside, for good, with nothing but
 * standard input, output and error. -1 and errno. */
int isolate_enter(const struct isolate *iso);

/* End the helper. */
void isolate_stop(struct isolate *iso);

#endif
