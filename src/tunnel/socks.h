#ifndef MPCPROXY_TUNNEL_SOCKS_H
#define MPCPROXY_TUNNEL_SOCKS_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

/*
 * The server's side of SOCKS5 (RFC 1928) towards local programs, up to the request: no
 * authentication (the owner of the client's socket has been checked), CONNECT only, to a
 * party's name and a port.
 */
struct socks;

/* Clients that have not finished their request; one more is refused. */
#define SOCKS_PENDING_MAX 256
/* Within which a client must have said what it wants. */
#define SOCKS_LIMIT_S 10

struct socks_callbacks {
	/* The client wants ${port} at party ${host}. The callee owns ${fd} from here on
	 * and must send the SOCKS5 reply (header.h), or return -1: then the client is
	 * told that the host is unreachable. */
	int (*request)(void *arg, int fd, const char *host, uint16_t port);
};

struct socks *socks_new(struct event_base *base, const struct socks_callbacks *cb,
			void *arg);
void socks_free(struct socks *s);

/* A client has connected. Takes ${fd} over. */
void socks_accept(struct socks *s, int fd);

#endif
