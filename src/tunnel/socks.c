#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "tunnel/dialogue.h"
#include "tunnel/socks.h"

struct client {
	TAILQ_ENTRY(client) entry;
	struct socks *socks;
	struct event *readable;
	struct event *late;
	int fd;
	struct dialogue dialogue;
	size_t len;
	uint8_t buf[DIALOGUE_IN_MAX + HEADER_REQUEST_MAX];
};

struct socks {
	struct event_base *base;
	const struct local *local;
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
	OPENSSL_cleanse(c->buf, sizeof c->buf);
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
reply(int fd, enum header_reply code)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(code, head);
	say(fd, head, sizeof head);
}

/* The request is complete, and ${rest} bytes behind it. */
static void
serve(struct client *c, const struct header_request *req, size_t rest)
{
	struct socks *s = c->socks;
	enum header_reply code = REPLY_FAILURE;
	int fd = c->fd;

	release(c);
	/* A client that speaks before our reply breaks the protocol. */
	if (rest == 0)
		code = s->cb.request(s->arg, fd, req);
	if (code != REPLY_SUCCEEDED) {
		reply(fd, code);
		close(fd);
	}
}

static void
parse(struct client *c)
{
	const struct local *l = c->socks->local;
	uint8_t out[DIALOGUE_OUT_MAX];
	struct header_request req;
	size_t used, out_len;
	enum dialogue_result r = dialogue_take(&c->dialogue, l->socks5_user,
					       l->socks5_password, c->buf, c->len, &used,
					       out, &out_len, &req);

	if (out_len > 0)
		say(c->fd, out, out_len);
	if (r == DIALOGUE_REQUEST) {
		serve(c, &req, c->len - used);
	} else if (r == DIALOGUE_END) {
		drop(c);
	} else {
		c->len -= used;
		memmove(c->buf, c->buf + used, c->len);
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
socks_new(struct event_base *base, const struct local *local,
	  const struct socks_callbacks *cb, void *arg)
{
	struct socks *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->base = base;
	s->local = local;
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
