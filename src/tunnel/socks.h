#ifndef MPCPROXY_TUNNEL_SOCKS_H
#define MPCPROXY_TUNNEL_SOCKS_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "session/local.h"
#include "tunnel/header.h"

/*
 * The server's side of SOCKS5 (RFC 1928) towards local programs, up to the request. The
 * owner of the client's socket has been checked; where local.ini has a socks5-user, the
 * client must know the password, too (RFC 1929).
 */
struct socks;

/* Clients that have not finished their request; one more is refused. */
#define SOCKS_PENDING_MAX 256
/* Within which a client must have said what it wants. */
#define SOCKS_LIMIT_S 10

struct socks_callbacks {
	/* The client wants ${req}. Either the callee owns ${fd} from here on and sends
	 * the reply (header.h), and returns REPLY_SUCCEEDED; or it returns what the
	 * client is to be told. */
	enum header_reply (*request)(void *arg, int fd, const struct header_request *req);
};

/* ${local} must outlive it, and may change. */
struct socks *socks_new(struct event_base *base, const struct local *local,
			const struct socks_callbacks *cb, void *arg);
void socks_free(struct socks *s);

/* A client has connected. Takes ${fd} over. */
void socks_accept(struct socks *s, int fd);

#endif
