#ifndef MPCPROXY_SESSION_SHIM_H
#define MPCPROXY_SESSION_SHIM_H

#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/http_connect.h"
#include "session/url.h"

struct evbuffer;

/*
 * The way to a server that a library cannot go itself: over TLS, through an HTTP proxy,
 * or without blocking. A listener on loopback takes the library's TCP connections, from
 * programs of our own user only, and carries the bytes. libnice reaches TURN servers
 * so, libmosquitto all brokers.
 */
struct shim;

#define SHIM_CONNECTIONS_MAX 512 /* of one server; agents make one per host address */
#define SHIM_BUFFER_BYTES    (64 * 1024) /* of one direction; each TLS or TCP end */

/* ${server} is turns:, mqtt:, mqtts:, or turn: with transport=tcp; ${proxy} is NULL for
 * none, ${tls} for servers without. All must outlive the shim. ${family}: of the loopback address. */
struct shim *shim_new(struct event_base *base, int family, const struct url *server,
		      const struct http_proxy *proxy, SSL_CTX *tls, struct err *err);
void shim_free(struct shim *s);
/* Whether nobody is connected to it. */
bool shim_is_idle(const struct shim *s);

/* What comes from the server goes through ${pass}, which moves some or all of ${from} to
 * ${to}, drops some or leaves it for the next time. -1 and why ends the connection. */
typedef int shim_pass(void *arg, struct evbuffer *from, struct evbuffer *to,
		      struct err *err);
void shim_screen(struct shim *s, shim_pass *pass, void *arg);

/* Where it listens. */
const union addr *shim_addr(const struct shim *s);

/* Why the latest connection to the server failed; "" when it did not. */
const char *shim_why(const struct shim *s);

#endif
