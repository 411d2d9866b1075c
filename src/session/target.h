#ifndef MPCPROXY_SESSION_TARGET_H
#define MPCPROXY_SESSION_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What a stream leads to at the party that exposes it. */
#define TARGET_HOST_MAX 255
struct target {
	/* "": a port of its loopback. "unix:/PATH": a socket there, and the port is 0.
	 * Otherwise an address (as inet_ntop() writes it) or name that it can reach. */
	char host[TARGET_HOST_MAX + 1];
	uint16_t port;
};

#define TARGET_UNIX     "unix:"
#define TARGET_PATH_MAX 107 /* of a socket, sun_path without its NUL */

/* "bob:unix:/PATH" and a NUL; "[HOST]:65535". */
#define TARGET_TEXT_BYTES (TARGET_HOST_MAX + 9)

/* PORT, HOST:PORT, [IPV6]:PORT or unix:/PATH. A host that means loopback counts as such. */
int target_parse(struct target *t, const char *text, struct err *err);

/* What programs may call a party: its name, with .mpc behind it or not; HOST.NAME.mpc is a
 * host that it can reach, and becomes ${t}'s. The party's name (of at most ${size} - 1 bytes)
 * is not looked up. -1 when it can be nobody's. */
int target_take_name(char *party, unsigned long size, struct target *t, const char *name);

/* PARTY:TARGET; of HOST.PARTY.mpc, TARGET is a port. */
int target_parse_at(char *party, unsigned long size, struct target *t, const char *text,
		    struct err *err);

/* The same again: "8888", "host:80", "unix:/path". */
char *target_format(const struct target *t, char out[TARGET_TEXT_BYTES]);

bool target_is_unix(const struct target *t);
bool target_equal(const struct target *a, const struct target *b);

/* A path that can be a UNIX socket's: absolute, visible ASCII, not too long. */
bool target_is_path(const char *path);

#endif
