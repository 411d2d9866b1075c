#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include "base/http_connect.h"
#include "base/http_reply.h"

/* Two names of 255 bytes, ports and credentials of 2 * 127 bytes in base64 fit. */
#define REQUEST_MAX 1536
#define READ_BYTES  2048

/* "host:port" with brackets. */
#define TARGET_BYTES 272

struct http_connect {
	int fd;
	struct event *event;
	http_connect_done *done;
	void *arg;
	char proxy[TARGET_BYTES], target[TARGET_BYTES];
	int has_credentials;
	char request[REQUEST_MAX];
	size_t len, sent;
	struct http_reply reply;
};

void
http_connect_cancel(struct http_connect *c)
{
	if (c == NULL)
		return;
	event_free(c->event);
	explicit_bzero(c->request, sizeof c->request);
	free(c);
}

static void
finish(struct http_connect *c, const char *why)
{
	http_connect_done *done = c->done;
	void *arg = c->arg;

	http_connect_cancel(c);
	done(arg, why);
}

static void
refused(struct http_connect *c)
{
	char why[1024];

	switch (c->reply.status) {
	case 403:
		snprintf(why, sizeof why,
			 "the proxy %s does not allow connections to %s (403 %s): ask "
			 "whoever runs it, or use a server on port 443",
			 c->proxy, c->target, c->reply.reason);
		break;
	case 401: /* tinyproxy's answer to a wrong password */
	case 407:
		snprintf(why, sizeof why, "the proxy %s %s (%u)", c->proxy,
			 c->has_credentials
			     ? "does not accept the user or the password"
			     : "wants a user and a password: say proxy = "
			       "http://USER:PASSWORD@HOST:PORT in local.ini",
			 c->reply.status);
		break;
	default:
		snprintf(why, sizeof why, "the proxy %s cannot connect to %s: %u %s",
			 c->proxy, c->target, c->reply.status, c->reply.reason);
		break;
	}
	finish(c, why);
}

static void
failed(struct http_connect *c, const char *what)
{
	char why[512];

	snprintf(why, sizeof why, "the proxy %s%s", c->proxy, what);
	finish(c, why);
}

static void
broke(struct http_connect *c, int error)
{
	char what[128];

	snprintf(what, sizeof what, ": %s", strerror(error));
	failed(c, what);
}

/* Only what belongs to the answer is taken out of the socket. */
static void
receive(struct http_connect *c)
{
	uint8_t data[READ_BYTES];
	ssize_t n = recv(c->fd, data, sizeof data, MSG_PEEK);
	size_t taken;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		broke(c, errno);
		return;
	}
	if (n == 0) {
		failed(c, " closed the connection without an answer");
		return;
	}
	taken = http_reply_take(&c->reply, data, (size_t)n);
	if (recv(c->fd, data, taken, 0) != (ssize_t)taken) {
		failed(c, " closed the connection");
		return;
	}
	if (c->reply.state == HTTP_REPLY_BAD)
		failed(c, " does not answer as an HTTP proxy does");
	else if (c->reply.state == HTTP_REPLY_DONE && c->reply.status >= 300)
		refused(c);
	else if (c->reply.state == HTTP_REPLY_DONE)
		finish(c, NULL);
}

static void
transmit(struct http_connect *c)
{
	ssize_t n = send(c->fd, c->request + c->sent, c->len - c->sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		broke(c, errno);
		return;
	}
	if (n > 0)
		c->sent += (size_t)n;
	if (c->sent < c->len)
		return;
	event_del(c->event);
	event_assign(c->event, event_get_base(c->event), c->fd, EV_READ | EV_PERSIST,
		     event_get_callback(c->event), c);
	event_add(c->event, NULL);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (what & EV_WRITE)
		transmit(arg);
	else
		receive(arg);
}

static void
format_target(char out[TARGET_BYTES], const char *host, uint16_t port)
{
	snprintf(out, TARGET_BYTES, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
		 port);
}

struct http_connect *
http_connect_start(struct event_base *base, int fd, const struct http_proxy *proxy,
		   const char *host, uint16_t port, http_connect_done *done, void *arg,
		   struct err *err)
{
	struct http_connect *c = calloc(1, sizeof *c);
	int n;

	if (c == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	c->fd = fd;
	c->done = done;
	c->arg = arg;
	http_reply_init(&c->reply);
	format_target(c->proxy, proxy->host, proxy->port);
	format_target(c->target, host, port);
	c->has_credentials = proxy->credentials != NULL;
	n = snprintf(c->request, sizeof c->request,
		     "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", c->target,
		     c->target, c->has_credentials ? "Proxy-Authorization: Basic " : "",
		     c->has_credentials ? proxy->credentials : "",
		     c->has_credentials ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof c->request) {
		err_set(err, "the proxy's user and password are too long");
		goto fail;
	}
	c->len = (size_t)n;
	c->event = event_new(base, fd, EV_WRITE | EV_PERSIST, on_event, c);
	if (c->event == NULL || event_add(c->event, NULL) != 0) {
		err_set(err, "out of memory");
		if (c->event != NULL)
			event_free(c->event);
		goto fail;
	}
	return c;

fail:
	explicit_bzero(c->request, sizeof c->request);
	free(c);
	return NULL;
}
