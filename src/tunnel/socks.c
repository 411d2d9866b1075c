#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tunnel/header.h"
#include "tunnel/socks.h"

enum {
	SOCKS_VERSION = 5,
	SOCKS_NO_AUTHENTICATION = 0,
	SOCKS_NO_ACCEPTABLE = 0xff,
	METHODS_MAX = 2 + 255,
};

struct client {
	TAILQ_ENTRY(client) entry;
	struct socks *socks;
	struct event *readable;
	struct event *late;
	int fd;
	bool greeted;
	size_t len;
	uint8_t buf[METHODS_MAX + HEADER_REQUEST_MAX];
};

struct socks {
	struct event_base *base;
	struct socks_callbacks cb;
	void *arg;
	size_t n;
	TAILQ_HEAD(, client) clients;
};

/* Forget ${c}; its socket stays open. */
static void
release(struct client *c)
{
	TAILQ_REMOVE(&c->socks->clients, c, entry);
	c->socks->n--;
	event_free(c->readable);
	event_free(c->late);
	free(c);
}

static void
drop(struct client *c)
{
	int fd = c->fd;

	release(c);
	close(fd);
}

static void
say(int fd, const uint8_t *data, size_t len)
{
	/* A few bytes always fit an empty socket buffer; a client that has gone does
	 * not matter. */
	if (send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a SOCKS5 client is gone: %s", strerror(errno));
}

static void
fail(struct client *c, enum header_reply reply)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(reply, head);
	say(c->fd, head, sizeof head);
	drop(c);
}

/* The method selection (RFC 1928, 3). Returns the bytes it takes, 0 when incomplete, -1
 * when ${c} is gone. */
static int
greet(struct client *c)
{
	uint8_t answer[2] = {SOCKS_VERSION, SOCKS_NO_ACCEPTABLE};

	if (c->len >= 1 && c->buf[0] != SOCKS_VERSION) {
		drop(c);
		return -1;
	}
	if (c->len < 2 || c->len < 2 + (size_t)c->buf[1])
		return 0;
	if (memchr(c->buf + 2, SOCKS_NO_AUTHENTICATION, c->buf[1]) == NULL) {
		say(c->fd, answer, sizeof answer);
		drop(c);
		return -1;
	}
	answer[1] = SOCKS_NO_AUTHENTICATION;
	say(c->fd, answer, sizeof answer);
	c->greeted = true;
	return 2 + c->buf[1];
}

static void
parse(struct client *c)
{
	struct socks *s = c->socks;
	struct header_request req;
	int used;
	int fd = c->fd;

	if (!c->greeted) {
		used = greet(c);
		if (used <= 0)
			return;
		c->len -= (size_t)used;
		memmove(c->buf, c->buf + used, c->len);
	}
	used = header_parse_request(&req, c->buf, c->len);
	if (used == 0)
		return;
	if (used < 0) {
		fail(c, (enum header_reply) - used);
		return;
	}
	/* A client that speaks before our reply breaks the protocol. */
	if ((size_t)used != c->len) {
		fail(c, REPLY_FAILURE);
		return;
	}
	release(c);
	if (s->cb.request(s->arg, fd, req.host, req.port) != 0) {
		uint8_t head[HEADER_REPLY_BYTES];

		header_encode_reply(REPLY_HOST_UNREACHABLE, head);
		say(fd, head, sizeof head);
		close(fd);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	ssize_t n;

	(void)what;
	n = recv(fd, c->buf + c->len, sizeof c->buf - c->len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->len += (size_t)n;
	parse(c);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	drop(arg);
}

static struct client *
client_new(struct socks *s, int fd)
{
	struct timeval limit = {.tv_sec = SOCKS_LIMIT_S};
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->socks = s;
	c->fd = fd;
	c->readable = event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->late = evtimer_new(s->base, on_late, c);
	if (c->readable == NULL || c->late == NULL || event_add(c->readable, NULL) != 0 ||
	    event_add(c->late, &limit) != 0)
		goto err1;
	return c;

err1:
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->late != NULL)
		event_free(c->late);
	free(c);
	return NULL;
}

void
socks_accept(struct socks *s, int fd)
{
	struct client *c = s->n < SOCKS_PENDING_MAX ? client_new(s, fd) : NULL;

	if (c == NULL) {
		close(fd);
		return;
	}
	s->n++;
	TAILQ_INSERT_TAIL(&s->clients, c, entry);
}

struct socks *
socks_new(struct event_base *base, const struct socks_callbacks *cb, void *arg)
{
	struct socks *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->base = base;
	s->cb = *cb;
	s->arg = arg;
	TAILQ_INIT(&s->clients);
	return s;
}

void
socks_free(struct socks *s)
{
	struct client *c;

	if (s == NULL)
		return;
	while ((c = TAILQ_FIRST(&s->clients)) != NULL)
		drop(c);
	free(s);
}
