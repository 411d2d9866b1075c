#ifndef MPCPROXY_PATH_REMOTE_H
#define MPCPROXY_PATH_REMOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "path/candidate.h"

/* What the other side has told of itself, in all its bundles. */
struct remote {
	char ufrag[257], pwd[257]; /* empty before the first bundle */
	char seen[PATH_CANDIDATES_MAX][PATH_CANDIDATE_MAX];
	size_t n_seen;
	size_t n_usable;                         /* of these */
	bool relayed;                            /* one of them is */
	bool ipv4, ipv6;                         /* so are some of them */
	union addr outside[PATH_CANDIDATES_MAX]; /* server-reflexive ones, port 0 */
	size_t n_outside;
	bool last;
};

/* What a bundle adds to it. */
struct remote_news {
	struct candidate candidate[PATH_CANDIDATES_MAX]; /* usable ones */
	size_t n;
	bool credentials; /* it is the first bundle */
	bool last;
	bool any; /* it is no repetition */
};

/*
 * Take a bundle, all of it or, when -1 is returned, nothing; path_remote() says when
 * that is. Relayed candidates are of no use with ${no_relay}.
 */
int remote_take(struct remote *r, const char *ufrag, const char *pwd,
		const char *const *candidate, size_t n, bool last, bool no_relay,
		struct remote_news *news, struct err *err);

#endif
