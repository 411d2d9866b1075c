#ifndef MPCPROXY_PATH_TURN_CHECK_H
#define MPCPROXY_PATH_TURN_CHECK_H

#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "session/shim.h"
#include "session/url.h"

/* Whether a TURN server gives us a relayed address (RFC 8656), which is given back at
 * once. */
struct turn_check;

#define TURN_CHECK_TIMEOUT_MS 8000 /* connecting, TLS and all requests together */

/* ${rtt_ns} of the first answer and a NULL ${why}; or why it gives none. */
typedef void turn_check_done(void *arg, uint64_t rtt_ns, const char *why);

/* ${shim} is the way to the server, NULL for straight. All pointers must outlive the
 * check. done() is called once, from the event loop, after which only turn_check_free()
 * may follow. */
struct turn_check *turn_check_new(struct event_base *base, const struct url *server,
				  const struct shim *shim, const char *user,
				  const char *password, turn_check_done *done, void *arg,
				  struct err *err);
void turn_check_free(struct turn_check *c);

#endif
