/*
 * A mailbox that nobody would want, for scenarios:
 *
 *     bad_mailbox PORT KEYFILE SEED LOST TWICE LATE DELAY_MS [ALTER STRAY]
 *
 * loses LOST of 100 messages, delivers TWICE of 100 a second time, holds LATE of 100 (and
 * every second copy) back for a random time up to DELAY_MS, so that they come out of order,
 * and stores nothing for those who are not there. Of 100 messages it delivers ALTER changed,
 * a byte of them or the sender, whom it replaces by itself, and STRAY to somebody else
 * besides, as well as an old message of somebody's. It records everything, for as long as it
 * lives. A line on its standard input is an order:
 *
 *     replay    deliver all that was ever recorded once more, in order
 *     forget    drop all connections, as one that has lost its state
 *
 * It answers each with a line. The first line that it prints is its URL.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/addr.h"
#include "base/clock.h"
#include "rendezvous/wire.h"
#include "session/cert.h"
#include "session/identity.h"
#include "session/url.h"

#define OUTPUT_MAX (8 * 1024 * 1024)

struct conn {
	struct conn *next;
	struct wire *wire;
	struct pubkey key;
	uint8_t tag[FRAME_TAG_BYTES];
	bool open;
};

struct letter {
	uint8_t tag[FRAME_TAG_BYTES], to[PUBKEY_BYTES];
	size_t len;
	uint8_t data[RENDEZVOUS_MESSAGE_MAX];
};

static struct event_base *base;
static SSL_CTX *ctx;
static struct conn *conns;
static struct letter **record;
static size_t recorded;
static unsigned lost, twice, late, delay_ms, alter, stray;
static struct pubkey own; /* its key */

static void
die(const char *what)
{
	fprintf(stderr, "bad_mailbox: %s\n", what);
	exit(1);
}

static bool
happens(unsigned percent)
{
	return (unsigned)(random() % 100) < percent;
}

static void
deliver(const struct letter *l)
{
	const struct frame f = {.type = FRAME_MESSAGE, .body = l->data, .len = l->len};

	for (struct conn *c = conns; c != NULL; c = c->next)
		if (c->open && memcmp(c->tag, l->tag, sizeof l->tag) == 0 &&
		    memcmp(c->key.point, l->to, sizeof l->to) == 0)
			wire_send(c->wire, &f);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	deliver(arg);
}

/* The same, and not as it was: sender and all begin as doc/protocol.md says. */
static struct letter *
altered(const struct letter *l)
{
	struct letter *copy = malloc(sizeof *copy);

	if (copy == NULL)
		die("out of memory");
	*copy = *l;
	if (happens(50) && copy->len > PUBKEY_BYTES)
		memcpy(copy->data + 1, own.point, sizeof own.point);
	else
		copy->data[(size_t)random() % copy->len] ^= (uint8_t)(1 + random() % 255);
	return copy;
}

/* To somebody who gets messages, too. */
static struct letter *
astray(const struct letter *l)
{
	const struct letter *other = record[(size_t)random() % recorded];
	struct letter *copy = malloc(sizeof *copy);

	if (copy == NULL)
		die("out of memory");
	*copy = *l;
	memcpy(copy->tag, other->tag, sizeof copy->tag);
	memcpy(copy->to, other->to, sizeof copy->to);
	return copy;
}

static void
deliver_later(struct letter *l)
{
	unsigned ms = (unsigned)random() % (delay_ms + 1);
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	event_base_once(base, -1, EV_TIMEOUT, on_late, l, &tv);
}

static void
on_send(const struct conn *c, const struct frame *f)
{
	struct letter *l = calloc(1, sizeof *l);

	record = realloc(record, (recorded + 1) * sizeof *record);
	if (l == NULL || record == NULL)
		die("out of memory");
	record[recorded++] = l;
	memcpy(l->tag, c->tag, sizeof l->tag);
	memcpy(l->to, f->to, sizeof l->to);
	memcpy(l->data, f->body, f->len);
	l->len = f->len;
	if (happens(twice))
		deliver_later(l);
	if (happens(stray)) {
		deliver_later(astray(l));
		deliver_later(record[(size_t)random() % recorded]);
	}
	if (happens(lost))
		return;
	if (happens(alter))
		l = altered(l);
	if (happens(late))
		deliver_later(l);
	else
		deliver(l);
}

static void
drop(struct conn *c)
{
	struct conn **p = &conns;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	wire_free(c->wire);
	free(c);
}

static void
on_opened(void *arg)
{
	struct conn *c = arg;

	if (cert_peer_key(wire_ssl(c->wire), &c->key) != 0)
		die("no key");
}

static void
on_frame(void *arg, const struct frame *f)
{
	static const struct frame ready = {
	    .type = FRAME_READY, .message_max = RENDEZVOUS_MESSAGE_MAX, .idle_ms = 90000};
	static const struct frame pong = {.type = FRAME_PONG};
	struct conn *c = arg;

	if (f->type == FRAME_OPEN) {
		memcpy(c->tag, f->tag, sizeof c->tag);
		c->open = true;
		wire_send(c->wire, &ready);
	} else if (f->type == FRAME_PING) {
		wire_send(c->wire, &pong);
	} else if (f->type == FRAME_SEND && c->open) {
		on_send(c, f);
	}
}

static void
on_closed(void *arg, const char *why)
{
	(void)why;
	drop(arg);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
	  void *arg)
{
	static const struct wire_callbacks cb = {
	    .opened = on_opened, .frame = on_frame, .closed = on_closed};
	static const struct wire_config cfg = {.mailbox = true, .output_max = OUTPUT_MAX};
	struct conn *c = calloc(1, sizeof *c);
	SSL *ssl = SSL_new(ctx);

	(void)l;
	(void)sa;
	(void)len;
	(void)arg;
	if (c == NULL || ssl == NULL || cert_expect_any(ssl) != 0)
		die("out of memory");
	c->wire = wire_new(base, fd, ssl, &cfg, &cb, c);
	if (c->wire == NULL)
		die("out of memory");
	c->next = conns;
	conns = c;
}

static void
on_order(evutil_socket_t fd, short what, void *arg)
{
	char line[100];
	ssize_t n = read(fd, line, sizeof line - 1);

	(void)what;
	if (n <= 0) {
		event_del(arg);
		return;
	}
	line[n] = '\0';
	if (strncmp(line, "replay", 6) == 0) {
		for (size_t i = 0; i < recorded; i++)
			deliver(record[i]);
		printf("replayed %zu messages\n", recorded);
	} else if (strncmp(line, "forget", 6) == 0) {
		while (conns != NULL)
			drop(conns);
		printf("forgotten\n");
	}
	fflush(stdout);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	event_base_loopbreak(arg);
}

int
main(int argc, char **argv)
{
	struct url url = {.scheme = URL_TLS, .host = "127.0.0.1"};
	struct evconnlistener *listener;
	struct event *orders, *term;
	char text[URL_HOST_MAX + 128];
	struct identity *id;
	union addr at;
	struct err err;

	if (argc != 8 && argc != 10)
		die("usage: bad_mailbox PORT KEYFILE SEED LOST TWICE LATE DELAY_MS [ALTER "
		    "STRAY]");
	url.port = (uint16_t)strtoul(argv[1], NULL, 10);
	srandom((unsigned)strtoul(argv[3], NULL, 10));
	lost = (unsigned)strtoul(argv[4], NULL, 10);
	twice = (unsigned)strtoul(argv[5], NULL, 10);
	late = (unsigned)strtoul(argv[6], NULL, 10);
	delay_ms = (unsigned)strtoul(argv[7], NULL, 10);
	if (argc == 10) {
		alter = (unsigned)strtoul(argv[8], NULL, 10);
		stray = (unsigned)strtoul(argv[9], NULL, 10);
	}
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	if (access(argv[2], F_OK) != 0 && identity_generate(argv[2], &err) != 0)
		die(err.text);
	id = identity_load(argv[2], &err);
	if (id == NULL || (ctx = cert_ssl_ctx(id, true, WIRE_ALPN, &err)) == NULL)
		die(err.text);
	addr_parse(&at, url.host, url.port);
	listener = evconnlistener_new_bind(
	    base, on_accept, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 64, &at.sa,
	    (int)addr_len(&at));
	if (listener == NULL)
		die("cannot listen");
	own = url.key = *identity_pubkey(id);
	printf("%s\n", url_format(&url, text, sizeof text));
	fflush(stdout);
	orders = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_order,
			   event_self_cbarg());
	term = evsignal_new(base, SIGTERM, on_signal, base);
	event_add(orders, NULL);
	event_add(term, NULL);
	event_base_dispatch(base);
	return 0;
}
