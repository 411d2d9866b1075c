#ifndef MPCPROXY_PATH_SHIMS_H
#define MPCPROXY_PATH_SHIMS_H

#include <stdbool.h>
#include <stddef.h>

#include "session/shim.h"
#include "session/local.h"
#include "session/session.h"

/* One of each server's, in each family. */
#define SHIMS_MAX (2 * SESSION_SERVERS_MAX)

/* The shims of a process: made when first needed, shared by all agents. Zero is empty. */
struct shims {
	struct {
		const struct url *server;
		int family;
		struct shim *shim;
	} entry[SHIMS_MAX];
	size_t n;
	SSL_CTX *tls;
};

/* Whether libnice cannot go to ${server} itself. ${local} may be NULL. */
bool shims_needed(const struct url *server, const struct local *local);

/* The one for ${server}; it and ${local} must outlive ${s}. */
struct shim *shims_get(struct shims *s, struct event_base *base, int family,
		       const struct url *server, const struct local *local,
		       struct err *err);

void shims_free(struct shims *s);

#endif
