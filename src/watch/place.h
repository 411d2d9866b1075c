#ifndef MPCPROXY_WATCH_PLACE_H
#define MPCPROXY_WATCH_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/un.h>

#include "base/err.h"
#include "session/session.h"

/*
 * Where the control socket of one party of one session lives: in
 * $XDG_RUNTIME_DIR/mpcproxy, or else in $XDG_STATE_HOME/mpcproxy/run (that is
 * ~/.local/state/mpcproxy/run), never in /tmp. The name is a hash over session, party
 * and key, so that it always fits and several parties can run on one machine.
 */
struct place {
	struct sockaddr_un addr;
	size_t dir_len;   /* of addr.sun_path: the directory */
	size_t given_len; /* of it, what the environment names and must exist */
};

#define PLACES_MAX 2

/*
 * Fill ${out} with the places of party ${index}, best first, and return their number. A
 * proxy takes the first; who looks for one tries all, since the environment of a login
 * shell and that of a service differ. 0 when the environment names none whose path
 * fits a socket's address.
 */
size_t place_list(struct place out[PLACES_MAX], const struct session *s, size_t index,
		  struct err *err);

/*
 * Open the directory of ${pl}, with ${make} after making what is missing of it (mode
 * 0700). -1 when that fails (errno is ENOENT when it is merely not there), or when it
 * is not ours alone.
 */
int place_open_dir(const struct place *pl, bool make, struct err *err);

/* The socket's name within its directory. */
const char *place_name(const struct place *pl);

#endif
