#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "tunnel/associate.h"
#include "tunnel/flow.h"

/* Datagrams read from the socket in one go. */
#define BATCH 64

#define DATAGRAM_MAX (HEADER_DATAGRAM_MAX + FLOW_BYTES_MAX)

/* One destination of a client's. */
struct way {
	TAILQ_ENTRY(way) entry;
	struct association *association;
	struct header_request req; /* as the client named it: so are the answers */
	struct flow *flow;
};

struct association {
	TAILQ_ENTRY(association) entry;
	struct associations *all;
	int tcp, udp;
	struct event *hung_up, *readable;
	union addr bound;  /* our end */
	union addr client; /* AF_UNSPEC until its first datagram */
	union addr expected; /* the host it comes from; port 0: any */
	TAILQ_HEAD(, way) ways; /* the one used last comes last */
	size_t n_ways;
};

struct associations {
	struct event_base *base;
	const struct local *local;
	struct associate_callbacks cb;
	void *arg;
	TAILQ_HEAD(, association) list;
	size_t n;
	struct log_gate gate;
};

static void
drop_way(struct way *w, bool close_flow)
{
	struct association *a = w->association;

	TAILQ_REMOVE(&a->ways, w, entry);
	a->n_ways--;
	if (close_flow)
		flow_close(w->flow);
	free(w);
}

static void
drop(struct association *a)
{
	while (!TAILQ_EMPTY(&a->ways))
		drop_way(TAILQ_FIRST(&a->ways), true);
	TAILQ_REMOVE(&a->all->list, a, entry);
	a->all->n--;
	if (a->hung_up != NULL)
		event_free(a->hung_up);
	if (a->readable != NULL)
		event_free(a->readable);
	if (a->udp >= 0)
		close(a->udp);
	close(a->tcp);
	free(a);
}

/* --- what comes back --- */

static void
on_received(void *arg, const uint8_t *data, size_t len)
{
	struct way *w = arg;
	uint8_t head[HEADER_DATAGRAM_MAX];
	struct iovec iov[2] = {{head, header_encode_datagram(&w->req, head)},
			       {(void *)data, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (sendmsg(w->association->udp, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("a datagram for a SOCKS5 client is lost: %s", strerror(errno));
}

static void
on_ended(void *arg)
{
	drop_way(arg, false);
}

static const struct flow_callbacks flow_callbacks = {on_received, on_ended};

/* --- what goes out --- */

static struct way *
find_way(struct association *a, const struct header_request *req)
{
	struct way *w;

	TAILQ_FOREACH (w, &a->ways, entry)
		if (w->req.port == req->port && strcmp(w->req.host, req->host) == 0)
			return w;
	return NULL;
}

static struct way *
open_way(struct association *a, const struct header_request *req)
{
	struct associations *all = a->all;
	struct target t;
	struct peer *peer = all->cb.find(all->arg, req, &t);
	struct way *w;

	if (peer == NULL || (w = calloc(1, sizeof *w)) == NULL)
		return NULL;
	if (a->n_ways == ASSOCIATION_FLOWS_MAX)
		drop_way(TAILQ_FIRST(&a->ways), true);
	w->association = a;
	w->req = *req;
	w->flow = flow_open(peer, &t, &flow_callbacks, w);
	if (w->flow == NULL) {
		free(w);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&a->ways, w, entry);
	a->n_ways++;
	return w;
}

static void
forward(struct association *a, const uint8_t *data, size_t len)
{
	struct header_request req;
	int used = header_parse_datagram(&req, data, len);
	struct way *w;

	if (used < 0)
		return;
	w = find_way(a, &req);
	if (w == NULL)
		w = open_way(a, &req);
	if (w == NULL)
		return;
	TAILQ_REMOVE(&a->ways, w, entry);
	TAILQ_INSERT_TAIL(&a->ways, w, entry);
	flow_send(w->flow, data + used, len - (size_t)used);
}

static bool
same_host(const union addr *a, const union addr *b)
{
	union addr x = *a;

	addr_set_port(&x, addr_port(b));
	return addr_equal(&x, b);
}

/* Whether the first datagram, from ${from}, is the client's; from then on only ${from}
 * is. */
static bool
admit(struct association *a, const union addr *from)
{
	struct associations *all = a->all;
	struct err err;

	if (!same_host(from, &a->expected) ||
	    (addr_port(&a->expected) != 0 && addr_port(&a->expected) != addr_port(from)))
		return false;
	if (!all->local->socks5.everyone &&
	    owner_check_datagram(from, &a->bound, &all->local->users, &err) != 0) {
		if (log_gate_pass(&all->gate, (long long)clock_now_ns(), NULL))
			log_warn("refused a local datagram: %s", err.text);
		return false;
	}
	if (connect(a->udp, &from->sa, addr_len(from)) != 0)
		return false;
	a->client = *from;
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct association *a = arg;
	uint8_t data[DATAGRAM_MAX];

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		union addr from;
		socklen_t from_len = sizeof from;
		ssize_t n = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, &from.sa,
				     &from_len);

		if (n < 0 && errno == ECONNREFUSED)
			continue;
		if (n < 0)
			return;
		if (a->client.sa.sa_family == AF_UNSPEC ? admit(a, &from)
							: addr_equal(&from, &a->client))
			forward(a, data, (size_t)n);
	}
}

/* The end of the TCP connection is the end of all (RFC 1928, 7); nothing else is to come on
 * it. */
static void
on_hung_up(evutil_socket_t fd, short what, void *arg)
{
	char byte;

	(void)what;
	if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	drop(arg);
}

/* --- life --- */

/* Where the client's TCP connection comes from, and the same end of ours with a UDP port;
 * for a UNIX socket, 127.0.0.1. */
static int
bind_udp(struct association *a, const struct header_request *req)
{
	socklen_t len = sizeof a->bound;
	union addr said;

	if (getsockname(a->tcp, &a->bound.sa, &len) != 0)
		return -1;
	len = sizeof a->expected;
	if (a->bound.sa.sa_family == AF_UNIX) {
		addr_parse(&a->bound, "127.0.0.1", 0);
		a->expected = a->bound;
	} else if (getpeername(a->tcp, &a->expected.sa, &len) != 0) {
		return -1;
	}
	addr_set_port(&a->bound, 0);
	addr_set_port(&a->expected, 0);
	if (addr_parse(&said, req->host, req->port) == 0)
		addr_set_port(&a->expected, req->port);
	a->udp = socket(a->bound.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);
	len = sizeof a->bound;
	return a->udp >= 0 && bind(a->udp, &a->bound.sa, addr_len(&a->bound)) == 0 &&
		       getsockname(a->udp, &a->bound.sa, &len) == 0
		   ? 0
		   : -1;
}

static int
watch(struct association *a)
{
	struct event_base *base = a->all->base;

	a->hung_up = event_new(base, a->tcp, EV_READ | EV_PERSIST, on_hung_up, a);
	a->readable = event_new(base, a->udp, EV_READ | EV_PERSIST, on_readable, a);
	return a->hung_up != NULL && a->readable != NULL &&
		       event_add(a->hung_up, NULL) == 0 &&
		       event_add(a->readable, NULL) == 0
		   ? 0
		   : -1;
}

enum header_reply
associate(struct associations *all, int fd, const struct header_request *req)
{
	struct association *a = all->n < ASSOCIATIONS_MAX ? calloc(1, sizeof *a) : NULL;
	uint8_t head[HEADER_BOUND_MAX];
	size_t len;

	if (a == NULL)
		return REPLY_FAILURE;
	a->all = all;
	a->tcp = fd;
	a->udp = -1;
	TAILQ_INIT(&a->ways);
	TAILQ_INSERT_TAIL(&all->list, a, entry);
	all->n++;
	if (bind_udp(a, req) != 0 || watch(a) != 0) {
		/* ${fd} is the caller's for the answer. */
		a->tcp = dup(fd);
		drop(a);
		return REPLY_FAILURE;
	}
	len = header_encode_bound(&a->bound, head);
	if (send(fd, head, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		drop(a);
	return REPLY_SUCCEEDED;
}

struct associations *
associations_new(struct event_base *base, const struct local *local,
		 const struct associate_callbacks *cb, void *arg)
{
	struct associations *all = calloc(1, sizeof *all);

	if (all == NULL)
		return NULL;
	all->base = base;
	all->local = local;
	all->cb = *cb;
	all->arg = arg;
	TAILQ_INIT(&all->list);
	return all;
}

void
associations_free(struct associations *all)
{
	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->list))
		drop(TAILQ_FIRST(&all->list));
	free(all);
}
