#ifndef MPCPROXY_BASE_CONNECTOR_H
#define MPCPROXY_BASE_CONNECTOR_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/http_connect.h"

/*
 * A TCP connection to a host by name: all its addresses are tried in order, each with
 * a head start over the next (after RFC 8305), and the first to answer wins. Or one
 * through an HTTP proxy, which then looks up the name.
 */
struct connector;

#define CONNECTOR_HEAD_START_MS 250
#define CONNECTOR_TIMEOUT_MS    10000 /* for all; a lookup has as much before that */

/* A connected, non-blocking socket, the callee's; or -1 and why. */
typedef void connector_done(void *arg, int fd, const char *why);

/* Begin with the address at ${first} modulo their number: a caller whom one address
 * did not serve can go on with the next. ${proxy} is NULL for none; it, what it points
 * to, and ${host} must outlive the connector. done() is called once, from the event
 * loop, and ends the connector. NULL when resources are short. */
struct connector *connector_start(struct event_base *base, const struct http_proxy *proxy,
				  const char *host, uint16_t port, size_t first,
				  connector_done *done, void *arg, struct err *err);

/* Before done() only; NULL is fine. */
void connector_cancel(struct connector *c);

#endif
