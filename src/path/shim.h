#ifndef MPCPROXY_PATH_SHIM_H
#define MPCPROXY_PATH_SHIM_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/http_connect.h"
#include "session/url.h"

/*
 * The way to a TURN server that libnice cannot go itself: over TLS, through an HTTP
 * proxy, or both. A listener on loopback takes libnice's TURN over TCP, from programs of
 * our own user only, and carries the bytes.
 */
struct shim;

#define SHIM_CONNECTIONS_MAX 512 /* of one server; agents make one per host address */
#define SHIM_BUFFER_BYTES    (64 * 1024) /* of one direction; each TLS or TCP end */

/* ${server} is turns:, or turn: with transport=tcp; ${proxy} is NULL for none, ${tls} for
 * turn:. All must outlive the shim. ${family}: of the loopback address. */
struct shim *shim_new(struct event_base *base, int family, const struct url *server,
		      const struct http_proxy *proxy, SSL_CTX *tls, struct err *err);
void shim_free(struct shim *s);

/* Where it listens. */
const union addr *shim_addr(const struct shim *s);

/* Why the latest connection to the server failed; "" when it did not. */
const char *shim_why(const struct shim *s);

#endif
