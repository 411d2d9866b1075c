#ifndef MPCPROXY_PATH_MAPPED_H
#define MPCPROXY_PATH_MAPPED_H

#include <stdbool.h>

#include "path/candidate.h"
#include "path/context.h"
#include "path/portmap.h"

/* Host candidates for which the router is asked: there is hardly ever more than one. */
#define MAPPED_MAX 4

/*
 * The host candidates of one path that the router lets others reach: each is a
 * server-reflexive candidate, as STUN's are, but one that takes packets from everybody.
 * Zero is empty.
 */
struct mapped {
	struct path_context *ctx;
	struct mapping *mapping[MAPPED_MAX];
	size_t n_mappings, n_open; /* open: not answered yet */
	struct candidate candidate[MAPPED_MAX];
	size_t n;
	void (*changed)(void *arg);
	void *arg;
};

/* Ask for those of ${hosts} that are behind a NAT. ${changed} is called when there is a
 * further candidate, and when there is none to wait for any more. */
void mapped_start(struct mapped *m, struct path_context *ctx,
		  const struct candidate *hosts, size_t n, void (*changed)(void *arg),
		  void *arg);
void mapped_stop(struct mapped *m);

#endif
