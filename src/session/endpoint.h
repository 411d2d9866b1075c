#ifndef MPCPROXY_SESSION_ENDPOINT_H
#define MPCPROXY_SESSION_ENDPOINT_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/target.h"

/* Where this proxy listens for local programs. */
struct endpoint {
	union addr addr; /* AF_UNSPEC: none, or a UNIX socket */
	char path[TARGET_PATH_MAX + 1]; /* "": none */
	bool everyone; /* not loopback, and the configuration says so in so many words */
};

#define ENDPOINT_TEXT_BYTES (TARGET_PATH_MAX + 6)

/* PORT (of 127.0.0.1), ADDRESS:PORT or unix:/PATH, and `for everyone` behind an address
 * that is not loopback, which is refused without. */
int endpoint_parse(struct endpoint *e, const char *text, struct err *err);
char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES]);
bool endpoint_is_set(const struct endpoint *e);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

#endif
