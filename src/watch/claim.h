#ifndef MPCPROXY_WATCH_CLAIM_H
#define MPCPROXY_WATCH_CLAIM_H

#include <sys/stat.h>

#include "base/err.h"
#include "watch/place.h"

/* A listening socket at a place, held by at most one live process. */
struct claim {
	int dir_fd;
	int fd;
	struct place place;
	struct stat made; /* the socket's inode: whether the name is still ours */
};

/* ${who} names the holder in messages. On failure -1, and nothing is held. */
int claim_take(struct claim *cl, const struct place *pl, const char *who,
	       struct err *err);

/* Remove the socket unless somebody has replaced it, and close. */
void claim_drop(struct claim *cl);

#endif
