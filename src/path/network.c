#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "path/interfaces.h"
#include "path/network.h"

/* A new lease or a cable is several messages of the kernel's. */
#define SETTLE_MS 200

#define ADDRESSES_MAX 64

struct network {
	struct network_callbacks cb;
	void *arg;
	int fd;
	bool rerouted; /* since the last settling */
	struct event *readable, *settled;
	union addr address[ADDRESSES_MAX];
	size_t n;
};

static bool
has(const union addr *list, size_t n, const union addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&list[i], a))
			return true;
	return false;
}

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct network *w = arg;
	union addr now[ADDRESSES_MAX];
	size_t n = interfaces_addresses(now, ADDRESSES_MAX);
	bool same = n == w->n;

	(void)fd;
	(void)what;
	for (size_t i = 0; same && i < n; i++)
		same = has(w->address, w->n, &now[i]);
	if (!same) {
		memcpy(w->address, now, sizeof now);
		w->n = n;
		w->rerouted = false;
		w->cb.addresses(w->arg);
	} else if (w->rerouted) {
		w->rerouted = false;
		w->cb.routes(w->arg);
	}
}

/* Whether there is a message of a route that packets of ours may take. The kernel keeps
 * broadcast addresses and its own in the local table. */
static bool
tells_of_routes(const char *data, size_t len)
{
	const struct nlmsghdr *m = (const struct nlmsghdr *)(const void *)data;
	const struct rtmsg *r;

	for (; NLMSG_OK(m, len); m = NLMSG_NEXT(m, len)) {
		if ((m->nlmsg_type != RTM_NEWROUTE && m->nlmsg_type != RTM_DELROUTE) ||
		    m->nlmsg_len < NLMSG_LENGTH(sizeof *r))
			continue;
		r = NLMSG_DATA(m);
		if (r->rtm_type == RTN_UNICAST && r->rtm_table != RT_TABLE_LOCAL)
			return true;
	}
	return false;
}

/* What the messages say of links and addresses does not matter: that there are some does,
 * lost ones too. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = {.tv_usec = SETTLE_MS * 1000};
	struct network *w = arg;
	_Alignas(struct nlmsghdr) char messages[8192];
	ssize_t n;

	(void)what;
	while ((n = recv(fd, messages, sizeof messages, MSG_DONTWAIT)) > 0 ||
	       errno == ENOBUFS)
		w->rerouted |= n <= 0 || tells_of_routes(messages, (size_t)n);
	if (!event_pending(w->settled, EV_TIMEOUT, NULL))
		event_add(w->settled, &tv);
}

static int
subscribe(struct err *err)
{
	struct sockaddr_nl at = {
	    .nl_family = AF_NETLINK,
	    .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
		err_sys(err, "the kernel does not tell of network changes");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

struct network *
network_new(struct event_base *base, const struct network_callbacks *cb, void *arg,
	    struct err *err)
{
	struct network *w = calloc(1, sizeof *w);

	if (w == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	w->cb = *cb;
	w->arg = arg;
	w->fd = subscribe(err);
	if (w->fd < 0)
		goto err1;
	w->n = interfaces_addresses(w->address, ADDRESSES_MAX);
	w->readable = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->settled = evtimer_new(base, on_settled, w);
	if (w->readable == NULL || w->settled == NULL ||
	    event_add(w->readable, NULL) != 0) {
		err_set(err, "out of memory");
		network_free(w);
		return NULL;
	}
	return w;

err1:
	free(w);
	return NULL;
}

void
network_free(struct network *w)
{
	if (w == NULL)
		return;
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->settled != NULL)
		event_free(w->settled);
	close(w->fd);
	free(w);
}
