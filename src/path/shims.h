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
	struct shims_entry *first;
	size_t n; /* without those that shims_renew() has left behind */
	SSL_CTX *tls;
};

/* Whether libnice cannot go to ${server} itself. ${local} may be NULL. */
bool shims_needed(const struct url *server, const struct local *local);

/* The one for ${server}; it and ${local} must outlive ${s}. */
struct shim *shims_get(struct shims *s, struct event_base *base, int family,
		       const struct url *server, const struct local *local,
		       struct err *err);

/* The settings may have changed: whoever asks from now on gets a new one, and turn-ca is
 * read again. Those that were given out go on until they are idle, and are freed by a later
 * call. */
void shims_renew(struct shims *s);

void shims_free(struct shims *s);

#endif
