#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/connector.h"
#include "base/resolve.h"

struct attempt {
	struct connector *owner;
	union addr addr;
	int fd; /* -1: not begun, or failed */
	struct event *event;
};

struct connector {
	struct event_base *base;
	const struct http_proxy *proxy; /* NULL: none */
	const char *host;
	uint16_t port;
	connector_done *done;
	void *arg;
	size_t first;
	struct resolve *resolve;
	struct http_connect *tunnel; /* on ${proxy_fd} */
	int proxy_fd;
	struct event *next; /* the head start is over */
	struct event *timeout;
	struct attempt attempts[RESOLVE_ADDRS_MAX];
	size_t n, begun, failed;
	char why[512];
};

static const struct timeval time_limit = {CONNECTOR_TIMEOUT_MS / 1000,
					  CONNECTOR_TIMEOUT_MS % 1000 * 1000};

static void begin_next(struct connector *c);

static void
attempt_close(struct attempt *a)
{
	if (a->event != NULL)
		event_free(a->event);
	a->event = NULL;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

void
connector_cancel(struct connector *c)
{
	if (c == NULL)
		return;
	resolve_cancel(c->resolve);
	http_connect_cancel(c->tunnel);
	if (c->proxy_fd >= 0)
		close(c->proxy_fd);
	for (size_t i = 0; i < c->begun; i++)
		attempt_close(&c->attempts[i]);
	if (c->next != NULL)
		event_free(c->next);
	if (c->timeout != NULL)
		event_free(c->timeout);
	free(c);
}

static void
finish(struct connector *c, int fd)
{
	connector_done *done = c->done;
	void *arg = c->arg;
	char why[sizeof c->why];

	memcpy(why, c->why, sizeof why);
	connector_cancel(c);
	done(arg, fd, fd >= 0 ? NULL : why);
}

/* The last one's reason is what the caller gets: the others were as bad. */
static void
attempt_failed(struct attempt *a, int error)
{
	struct connector *c = a->owner;
	char text[ADDR_TEXT_BYTES];

	attempt_close(a);
	snprintf(c->why, sizeof c->why, "%s%s: %s", c->proxy != NULL ? "the proxy " : "",
		 addr_format(&a->addr, text), strerror(error));
	if (++c->failed == c->n)
		finish(c, -1);
	else if (c->begun < c->n)
		begin_next(c);
}

static void
on_tunnel(void *arg, const char *why)
{
	struct connector *c = arg;
	int fd = c->proxy_fd;

	c->tunnel = NULL;
	if (why != NULL) {
		snprintf(c->why, sizeof c->why, "%s", why);
		finish(c, -1);
		return;
	}
	c->proxy_fd = -1; /* handed over */
	finish(c, fd);
}

/* The first address of the proxy's that answers is the one that is asked. */
static void
ask_proxy(struct connector *c, int fd)
{
	struct err err;

	for (size_t i = 0; i < c->begun; i++)
		attempt_close(&c->attempts[i]);
	event_del(c->next);
	c->proxy_fd = fd;
	c->tunnel = http_connect_start(c->base, fd, c->proxy, c->host, c->port, on_tunnel,
				       c, &err);
	if (c->tunnel != NULL)
		return;
	snprintf(c->why, sizeof c->why, "%s", err.text);
	finish(c, -1);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		attempt_failed(a, error);
		return;
	}
	a->fd = -1; /* handed over */
	if (a->owner->proxy != NULL)
		ask_proxy(a->owner, fd);
	else
		finish(a->owner, fd);
}

static int
attempt_begin(struct connector *c, struct attempt *a)
{
	a->fd =
	    socket(a->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return errno;
	if (connect(a->fd, &a->addr.sa, addr_len(&a->addr)) != 0 && errno != EINPROGRESS)
		return errno;
	a->event = event_new(c->base, a->fd, EV_WRITE, on_connected, a);
	if (a->event == NULL || event_add(a->event, NULL) != 0)
		return ENOMEM;
	return 0;
}

static void
begin_next(struct connector *c)
{
	const struct timeval head_start = {0, CONNECTOR_HEAD_START_MS * 1000};
	struct attempt *a = &c->attempts[c->begun++];
	int error;

	event_del(c->next);
	if (c->begun < c->n)
		event_add(c->next, &head_start);
	error = attempt_begin(c, a);
	if (error != 0)
		attempt_failed(a, error);
}

static void
on_head_start_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_next(arg);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct connector *c = arg;

	(void)fd;
	(void)what;
	if (c->resolve != NULL)
		snprintf(c->why, sizeof c->why,
			 "no answer to the question for %s within %d s",
			 c->proxy != NULL ? c->proxy->host : c->host,
			 CONNECTOR_TIMEOUT_MS / 1000);
	else
		snprintf(c->why, sizeof c->why, "no answer%s within %d s",
			 c->proxy != NULL ? " of the proxy" : "",
			 CONNECTOR_TIMEOUT_MS / 1000);
	finish(c, -1);
}

static void
on_resolved(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct connector *c = arg;

	c->resolve = NULL;
	if (n == 0) {
		snprintf(c->why, sizeof c->why, "the name %scannot be resolved: %s",
			 c->proxy != NULL ? "of the proxy " : "", why);
		finish(c, -1);
		return;
	}
	c->n = n;
	for (size_t i = 0; i < n; i++) {
		c->attempts[i].owner = c;
		c->attempts[i].fd = -1;
		c->attempts[i].addr = addrs[(c->first + i) % n];
	}
	event_add(c->timeout, &time_limit);
	begin_next(c);
}

struct connector *
connector_start(struct event_base *base, const struct http_proxy *proxy, const char *host,
		uint16_t port, size_t first, connector_done *done, void *arg,
		struct err *err)
{
	struct connector *c = calloc(1, sizeof *c);

	if (c == NULL) {
		err_sys(err, "cannot connect to %s", host);
		return NULL;
	}
	c->base = base;
	c->proxy = proxy;
	c->host = host;
	c->port = port;
	c->proxy_fd = -1;
	c->done = done;
	c->arg = arg;
	c->first = first;
	c->next = evtimer_new(base, on_head_start_over, c);
	c->timeout = evtimer_new(base, on_timeout, c);
	if (c->next == NULL || c->timeout == NULL) {
		err_set(err, "cannot connect to %s: out of memory", host);
		goto fail;
	}
	if (proxy != NULL)
		c->resolve =
		    resolve_start(base, proxy->host, proxy->port, on_resolved, c, err);
	else
		c->resolve = resolve_start(base, host, port, on_resolved, c, err);
	if (c->resolve == NULL)
		goto fail;
	event_add(c->timeout, &time_limit);
	return c;

fail:
	connector_cancel(c);
	return NULL;
}
