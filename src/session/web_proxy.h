#ifndef MPCPROXY_SESSION_WEB_PROXY_H
#define MPCPROXY_SESSION_WEB_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/http_connect.h"
#include "session/url.h"

/* "USER:PASSWORD" in base64, and a NUL. */
#define WEB_PROXY_CREDENTIALS ((2 * URL_USER_MAX + 1 + 2) / 3 * 4 + 1)
#define WEB_PROXY_NO_MAX      1023 /* of NO_PROXY */

/* The HTTP proxy that TCP connections to other networks go through. */
struct web_proxy {
	char host[URL_HOST_MAX + 1];
	uint16_t port;
	char credentials[WEB_PROXY_CREDENTIALS]; /* "" for none */
	/* From the environment, which also says for which hosts it is not. */
	bool from_environment;
	char no_proxy[WEB_PROXY_NO_MAX + 1];
	struct http_proxy http; /* points into this struct: do not copy it */
};

#define WEB_PROXY_PORT 80

/* Parse http://[USER:PASSWORD@]HOST[:PORT][/]; in user and password %XX stands for a
 * byte (RFC 3986, 2.1). */
int web_proxy_parse(struct web_proxy *p, const char *text, struct err *err);

/* HTTPS_PROXY or https_proxy, where http:// may be missing, with NO_PROXY or no_proxy.
 * Returns 1 when there is one, 0 when there is none, and -1 when it is malformed. */
int web_proxy_from_environment(struct web_proxy *p, struct err *err);

/* Whether both say the same; each may be NULL. */
bool web_proxy_equal(const struct web_proxy *a, const struct web_proxy *b);

/* The proxy for connections to ${host}: NULL when there is none or ${p} is NULL. One from
 * the environment is not for loopback, nor for what NO_PROXY names: hosts, domains with
 * all below them, addresses, networks (10.0.0.0/8), `*`, with commas between. */
const struct http_proxy *web_proxy_for(const struct web_proxy *p, const char *host);

#endif
