#ifndef MPCPROXY_TUNNEL_CHANGES_H
#define MPCPROXY_TUNNEL_CHANGES_H

#include <stddef.h>

#include "session/local.h"
#include "session/session.h"

#define CHANGES_BYTES 384

/* Which settings differ, and from when on they count, for whoever reloads: "; changed:
 * expose, turn-ca (paths from now on)", or "" for none. Parties have counts of their own.
 */
void changes_describe(const struct session *was, const struct session *is,
		      const struct local *local_was, const struct local *local_is,
		      char out[CHANGES_BYTES]);

/* What was taken from local.ini when a broker's place was opened. */
bool changes_of_logins(const struct local *was, const struct local *is);

#endif
