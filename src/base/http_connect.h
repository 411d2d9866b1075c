#ifndef MPCPROXY_BASE_HTTP_CONNECT_H
#define MPCPROXY_BASE_HTTP_CONNECT_H

#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"

/* An HTTP proxy for TCP connections (CONNECT, RFC 9110, 9.3.6). */
struct http_proxy {
	const char *host;
	uint16_t port;
	const char *credentials; /* base64 of USER:PASSWORD (RFC 7617); NULL: none */
};

/* Asking a proxy, to which a socket is connected, for a tunnel. Has no time limit. */
struct http_connect;

/* ${why} is NULL when the socket leads to the target now, with nothing read beyond
 * the proxy's answer. */
typedef void http_connect_done(void *arg, const char *why);

/* ${fd} stays the caller's. ${host} is a name or an address without brackets. done() is
 * called once, from the event loop, and ends the asking. NULL when memory is short. */
struct http_connect *http_connect_start(struct event_base *base, int fd,
					const struct http_proxy *proxy, const char *host,
					uint16_t port, http_connect_done *done, void *arg,
					struct err *err);

/* Before done() only; NULL is fine. */
void http_connect_cancel(struct http_connect *c);

#endif
