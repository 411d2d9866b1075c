#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/mailbox.h"
#include "rendezvous/rendezvous.h"
#include "rendezvous/wire.h"
#include "session/cert.h"

/* The real server and the real clients over loopback, in one event loop. */
#define HANG_NS (20 * NS_PER_S)

struct fixture {
	struct event_base *base;
	struct event *tick; /* makes each turn of the loop end */
	struct identity *server;
	struct mailbox *mailbox;
	struct mailbox_limits limits;
};

/* Turn the loop until ${cond} holds. */
#define UNTIL(fx, cond)                                                                  \
	do {                                                                             \
		uint64_t hang_ns = clock_now_ns() + HANG_NS;                             \
		while (!(cond)) {                                                        \
			assert_true(clock_now_ns() < hang_ns);                           \
			event_base_loop((fx)->base, EVLOOP_ONCE);                        \
		}                                                                        \
	} while (0)

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
start_mailbox(struct fixture *fx, uint16_t port)
{
	union addr addr;
	struct err err;

	assert_int_equal(addr_parse(&addr, "127.0.0.1", port), 0);
	fx->mailbox = mailbox_new(fx->base, &addr, fx->server, &fx->limits, &err);
	if (fx->mailbox == NULL)
		fail_msg("%s", err.text);
}

static int
setup(void **state)
{
	const struct timeval tv = {0, 5000};
	struct fixture *fx = calloc(1, sizeof *fx);

	assert_non_null(fx);
	fx->base = event_base_new();
	fx->tick = event_new(fx->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(fx->tick, &tv);
	fx->server = identity_ephemeral(NULL);
	assert_non_null(fx->server);
	fx->limits = mailbox_default_limits;
	fx->limits.sweep_ns = 20 * NS_PER_MS;
	*state = fx;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fx = *state;

	mailbox_free(fx->mailbox);
	identity_free(fx->server);
	event_free(fx->tick);
	event_base_free(fx->base);
	free(fx);
	return 0;
}

static struct mailbox_stats
stats(const struct fixture *fx)
{
	struct mailbox_stats s;

	mailbox_get_stats(fx->mailbox, &s);
	return s;
}

/* A party as the program is one. */
struct caller {
	struct identity *id;
	struct url url;
	struct rendezvous *r;
	char why[256];
	unsigned went_online, went_offline;
	unsigned received;
	char last[64];
	char all[256]; /* the first byte of every message */
	bool close_on_state, close_on_message;
};

static void
on_state(void *arg, bool online, const char *why)
{
	struct caller *p = arg;

	*(online ? &p->went_online : &p->went_offline) += 1;
	snprintf(p->why, sizeof p->why, "%s", why != NULL ? why : "");
	if (p->close_on_state) {
		rendezvous_close(p->r);
		p->r = NULL;
	}
}

static void
on_message(void *arg, const uint8_t *sealed, size_t len)
{
	struct caller *p = arg;

	p->received++;
	snprintf(p->last, sizeof p->last, "%.*s", (int)(len < 60 ? len : 60), sealed);
	snprintf(p->all + strlen(p->all), 2, "%c", sealed[0]);
	if (p->close_on_message) {
		rendezvous_close(p->r);
		p->r = NULL;
	}
}

static void
caller_open(struct caller *p, struct fixture *fx, const char *session)
{
	static const struct rendezvous_callbacks cb = {.state = on_state,
						       .message = on_message};
	struct err err;

	p->r = rendezvous_open(fx->base, &p->url, NULL, session, p->id, &cb, p, &err);
	if (p->r == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(p->went_online + p->went_offline, 0);
}

static void
caller_init(struct caller *p, struct fixture *fx, uint16_t port)
{
	memset(p, 0, sizeof *p);
	p->id = identity_ephemeral(NULL);
	assert_non_null(p->id);
	p->url.scheme = URL_TLS;
	strcpy(p->url.host, "127.0.0.1");
	p->url.port = port;
	p->url.key = *identity_pubkey(fx->server);
}

static uint16_t
port_of(const struct fixture *fx)
{
	return addr_port(mailbox_addr(fx->mailbox));
}

static void
caller_start(struct caller *p, struct fixture *fx)
{
	caller_init(p, fx, port_of(fx));
	caller_open(p, fx, "test");
}

static void
caller_stop(struct caller *p)
{
	rendezvous_close(p->r);
	identity_free(p->id);
}

static int
say(struct caller *from, const struct caller *to, const char *text)
{
	return rendezvous_send(from->r, identity_pubkey(to->id), (const uint8_t *)text,
			       strlen(text));
}

static bool
online(const struct caller *p)
{
	return p->r != NULL && rendezvous_online(p->r);
}

static void
messages_reach_whom_they_are_for(void **state)
{
	static uint8_t largest[RENDEZVOUS_MESSAGE_MAX + 1] = "x";
	struct fixture *fx = *state;
	struct caller a, b;

	start_mailbox(fx, 0);
	caller_start(&a, fx);
	caller_start(&b, fx);
	assert_false(online(&a));
	assert_string_equal(rendezvous_why(a.r), "connecting");
	assert_int_equal(say(&a, &b, "too early"), -1);
	UNTIL(fx, online(&a) && online(&b) && stats(fx).readers == 2);
	assert_string_equal(rendezvous_why(a.r), "");
	assert_int_equal(say(&a, &b, "hello"), 0);
	assert_int_equal(say(&b, &a, "and back"), 0);
	assert_int_equal(b.received, 0);
	UNTIL(fx, b.received == 1 && a.received == 1);
	assert_string_equal(b.last, "hello");
	assert_string_equal(a.last, "and back");
	assert_int_equal(stats(fx).stored, 0);
	assert_int_equal(rendezvous_send(a.r, identity_pubkey(b.id), largest,
					 RENDEZVOUS_MESSAGE_MAX),
			 0);
	assert_int_equal(rendezvous_send(a.r, identity_pubkey(b.id), largest,
					 sizeof largest),
			 -1);
	UNTIL(fx, b.received == 2);
	caller_stop(&a);
	caller_stop(&b);
	UNTIL(fx, stats(fx).connections == 0);
	assert_int_equal(stats(fx).readers, 0);
}

/* localhost is more than one address, and the mailbox listens on one. */
static void
a_host_can_be_a_name(void **state)
{
	struct fixture *fx = *state;
	struct caller a, gone;

	start_mailbox(fx, 0);
	caller_init(&a, fx, port_of(fx));
	strcpy(a.url.host, "localhost");
	gone = a;
	caller_open(&a, fx, "test");
	/* A lookup that is under way can be given up. */
	caller_open(&gone, fx, "test");
	event_base_loop(fx->base, EVLOOP_ONCE);
	rendezvous_close(gone.r);
	UNTIL(fx, online(&a));
	caller_stop(&a);
}

static void
messages_wait_for_their_reader(void **state)
{
	struct fixture *fx = *state;
	struct caller a, b;

	start_mailbox(fx, 0);
	caller_start(&a, fx);
	UNTIL(fx, online(&a));
	caller_init(&b, fx, port_of(fx));
	for (const char *c = "abcdefghijkl"; *c != '\0'; c++)
		assert_int_equal(say(&a, &b, c), 0);
	UNTIL(fx, stats(fx).stored == 12);
	assert_int_equal(stats(fx).waiting.messages, 8);
	caller_open(&b, fx, "test");
	UNTIL(fx, b.received == 8);
	assert_string_equal(b.all, "efghijkl");
	assert_int_equal(stats(fx).waiting.messages, 0);
	caller_stop(&a);
	caller_stop(&b);
}

static void
messages_grow_old(void **state)
{
	struct fixture *fx = *state;
	struct caller a, b;

	fx->limits.boxes.age_ns = 50 * NS_PER_MS;
	start_mailbox(fx, 0);
	caller_start(&a, fx);
	caller_init(&b, fx, port_of(fx));
	UNTIL(fx, online(&a));
	assert_int_equal(say(&a, &b, "hello"), 0);
	UNTIL(fx, stats(fx).waiting.expired == 1);
	assert_int_equal(stats(fx).stored, 1);
	caller_stop(&a);
	caller_stop(&b);
}

static void
sessions_of_one_party_are_apart(void **state)
{
	struct fixture *fx = *state;
	struct caller a, b, other;

	start_mailbox(fx, 0);
	caller_start(&a, fx);
	caller_start(&b, fx);
	caller_init(&other, fx, port_of(fx));
	identity_free(other.id);
	other.id = b.id;
	caller_open(&other, fx, "another");
	UNTIL(fx, online(&a) && online(&b) && online(&other));
	assert_int_equal(say(&a, &b, "hello"), 0);
	UNTIL(fx, b.received == 1);
	assert_int_equal(say(&other, &a, "not to be seen"), 0);
	UNTIL(fx, stats(fx).stored == 1);
	assert_int_equal(a.received, 0);
	assert_int_equal(other.received, 0);
	rendezvous_close(other.r);
	caller_stop(&a);
	caller_stop(&b);
}

static void
another_key_than_the_url_s_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct caller a;

	start_mailbox(fx, 0);
	caller_init(&a, fx, port_of(fx));
	a.url.key = *identity_pubkey(a.id);
	caller_open(&a, fx, "test");
	UNTIL(fx, a.went_offline == 1);
	assert_non_null(strstr(a.why, "the mailbox's key is not the one in the URL"));
	assert_string_equal(rendezvous_why(a.r), a.why);
	/* The reason stays the same over the next attempts: said once. */
	UNTIL(fx, stats(fx).accepted >= 3);
	assert_int_equal(a.went_offline, 1);
	assert_int_equal(a.went_online, 0);
	caller_stop(&a);
}

static void
a_mailbox_may_go_and_come_back(void **state)
{
	struct fixture *fx = *state;
	struct caller a, b;
	uint16_t port;

	start_mailbox(fx, 0);
	port = port_of(fx);
	caller_start(&a, fx);
	caller_start(&b, fx);
	UNTIL(fx, online(&a) && online(&b) && stats(fx).readers == 2);
	mailbox_free(fx->mailbox);
	fx->mailbox = NULL;
	UNTIL(fx, !online(&a) && !online(&b));
	assert_string_equal(a.why, "the mailbox says: the mailbox is shut down");
	UNTIL(fx, strstr(a.why, "Connection refused") != NULL);
	start_mailbox(fx, port);
	UNTIL(fx, online(&a) && online(&b));
	assert_int_equal(a.went_online, 2);
	UNTIL(fx, stats(fx).readers == 2);
	assert_int_equal(say(&a, &b, "again"), 0);
	UNTIL(fx, b.received == 1);
	caller_stop(&a);
	caller_stop(&b);
}

static void
a_port_in_use_is_named(void **state)
{
	struct fixture *fx = *state;
	struct err err;

	start_mailbox(fx, 0);
	assert_null(
	    mailbox_new(fx->base, mailbox_addr(fx->mailbox), fx->server, NULL, &err));
	assert_non_null(strstr(err.text, "another program has this port"));
}

static void
closing_inside_a_callback_is_fine(void **state)
{
	struct fixture *fx = *state;
	struct caller a, b, c;

	start_mailbox(fx, 0);
	caller_start(&a, fx);
	caller_start(&b, fx);
	b.close_on_message = true;
	caller_start(&c, fx);
	c.close_on_state = true;
	UNTIL(fx, online(&a) && online(&b) && c.r == NULL);
	assert_int_equal(say(&a, &b, "one"), 0);
	assert_int_equal(say(&a, &b, "two"), 0);
	UNTIL(fx, b.r == NULL);
	assert_int_equal(b.received, 1);
	mailbox_free(fx->mailbox);
	fx->mailbox = NULL;
	a.close_on_state = true;
	UNTIL(fx, a.r == NULL);
	caller_stop(&a);
	caller_stop(&b);
	caller_stop(&c);
}

/* A server that is no mailbox: says ${hello} to everybody. */
struct impostor {
	struct event *event;
	const char *hello;
	unsigned visits;
};

static void
on_visit(evutil_socket_t fd, short what, void *arg)
{
	struct impostor *i = arg;
	int conn = accept(fd, NULL, NULL);

	(void)what;
	assert_true(conn >= 0);
	assert_true(send(conn, i->hello, strlen(i->hello), MSG_NOSIGNAL) >= 0);
	i->visits++;
	shutdown(conn, SHUT_WR);
	close(conn);
}

static int
listen_on_loopback(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(struct sockaddr_in);
	union addr addr;

	assert_int_equal(addr_parse(&addr, "127.0.0.1", 0), 0);
	assert_int_equal(bind(fd, &addr.sa, addr_len(&addr)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, &addr.sa, &len), 0);
	*port = addr_port(&addr);
	return fd;
}

static void
something_else_is_recognised(void **state)
{
	struct impostor impostor = {.hello = "HTTP/1.1 400 Bad Request\r\n\r\n"};
	struct fixture *fx = *state;
	struct caller a;
	uint16_t port;
	int fd = listen_on_loopback(&port);

	impostor.event =
	    event_new(fx->base, fd, EV_READ | EV_PERSIST, on_visit, &impostor);
	event_add(impostor.event, NULL);
	caller_init(&a, fx, port);
	caller_open(&a, fx, "test");
	UNTIL(fx, a.went_offline > 0);
	assert_non_null(strstr(a.why, "something that is not a mailbox"));
	impostor.hello = "";
	UNTIL(fx, impostor.visits >= 3);
	assert_int_equal(a.went_online, 0);
	event_free(impostor.event);
	close(fd);
	caller_stop(&a);
}

static void
mqtt_needs_the_library(void **state)
{
	static const struct rendezvous_callbacks cb = {.state = on_state,
						       .message = on_message};
	struct fixture *fx = *state;
	struct caller a;
	struct err err;

	caller_init(&a, fx, 1);
	a.url.scheme = URL_MQTTS;
	a.r = rendezvous_open(fx->base, &a.url, NULL, "test", a.id, &cb, &a, &err);
#ifdef HAVE_MOSQUITTO
	assert_non_null(a.r);
#else
	assert_null(a.r);
	assert_non_null(strstr(err.text, "built without MQTT"));
#endif
	caller_stop(&a);
}

/* A party that says what it likes: only the wire is real. */
struct rogue {
	struct identity *id;
	SSL_CTX *ctx;
	struct wire *wire;
	bool opened, closed;
	unsigned frames;
	enum frame_type last;
	uint16_t code;
	char why[WIRE_WHY_BYTES];
};

static void
rogue_opened(void *arg)
{
	((struct rogue *)arg)->opened = true;
}

static void
rogue_frame(void *arg, const struct frame *f)
{
	struct rogue *x = arg;

	x->frames++;
	x->last = f->type;
	x->code = f->code;
}

static void
rogue_closed(void *arg, const char *why)
{
	struct rogue *x = arg;

	x->closed = true;
	snprintf(x->why, sizeof x->why, "%s", why);
}

static int
connect_to(const struct fixture *fx, int receive_buffer)
{
	const union addr *addr = mailbox_addr(fx->mailbox);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (receive_buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
			   sizeof receive_buffer);
	assert_int_equal(connect(fd, &addr->sa, addr_len(addr)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void
rogue_connect(struct rogue *x, const struct fixture *fx, int receive_buffer)
{
	static const struct wire_callbacks cb = {
	    .opened = rogue_opened,
	    .frame = rogue_frame,
	    .closed = rogue_closed,
	};
	const struct wire_config cfg = {.output_max = 64 * 1024 * 1024};
	SSL *ssl = SSL_new(x->ctx);

	assert_non_null(ssl);
	x->opened = x->closed = false;
	x->frames = 0;
	x->wire = wire_new(fx->base, connect_to(fx, receive_buffer), ssl, &cfg, &cb, x);
	assert_non_null(x->wire);
	assert_int_equal(cert_expect(ssl, identity_pubkey(fx->server)), 0);
}

static void
rogue_init(struct rogue *x)
{
	memset(x, 0, sizeof *x);
	x->id = identity_ephemeral(NULL);
	x->ctx = cert_ssl_ctx(x->id, false, WIRE_ALPN, NULL);
	assert_non_null(x->ctx);
}

static void
rogue_start(struct rogue *x, struct fixture *fx)
{
	rogue_init(x);
	rogue_connect(x, fx, 0);
	UNTIL(fx, x->opened);
}

static void
rogue_stop(struct rogue *x)
{
	wire_free(x->wire);
	SSL_CTX_free(x->ctx);
	identity_free(x->id);
}

static void
rogue_send(struct rogue *x, enum frame_type type)
{
	static const uint8_t tag[FRAME_TAG_BYTES] = {1};
	const struct frame f = {
	    .type = type,
	    .tag = tag,
	    .to = identity_pubkey(x->id)->point,
	    .body = tag,
	    .len = type == FRAME_SEND ? sizeof tag : 0,
	};

	assert_int_equal(wire_send(x->wire, &f), 0);
}

static const struct frame ready = {
    .type = FRAME_READY, .message_max = 8192, .idle_ms = 90000};

/* A mailbox that takes in what comes, and says nothing by itself. */
struct silent {
	struct fixture *fx;
	uint16_t port;
	int fd;
	struct event *event;
	SSL_CTX *ctx;
	struct rogue conn[2];
	unsigned visits;
};

static void
on_silent_visit(evutil_socket_t fd, short what, void *arg)
{
	static const struct wire_callbacks cb = {
	    .opened = rogue_opened,
	    .frame = rogue_frame,
	    .closed = rogue_closed,
	};
	const struct wire_config cfg = {.mailbox = true, .output_max = FRAME_MAX};
	struct silent *m = arg;
	int conn = accept(fd, NULL, NULL);
	SSL *ssl = SSL_new(m->ctx);
	struct rogue *x;

	(void)what;
	assert_in_range(m->visits, 0, 1);
	x = &m->conn[m->visits++];
	assert_int_equal(fcntl(conn, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(cert_expect_any(ssl), 0);
	x->wire = wire_new(m->fx->base, conn, ssl, &cfg, &cb, x);
	assert_non_null(x->wire);
}

static void
silent_start(struct silent *m, struct fixture *fx)
{
	memset(m, 0, sizeof *m);
	m->fx = fx;
	m->fd = listen_on_loopback(&m->port);
	m->ctx = cert_ssl_ctx(fx->server, true, WIRE_ALPN, NULL);
	assert_non_null(m->ctx);
	m->event = event_new(fx->base, m->fd, EV_READ | EV_PERSIST, on_silent_visit, m);
	event_add(m->event, NULL);
}

static void
silent_stop(struct silent *m)
{
	for (size_t i = 0; i < 2; i++)
		wire_free(m->conn[i].wire);
	event_free(m->event);
	SSL_CTX_free(m->ctx);
	close(m->fd);
}

/* What follows OPEN does not wait for READY, unless the last OPEN was not answered with it. */
static void
a_round_trip_is_saved(void **state)
{
	static const struct frame no = {.type = FRAME_ERROR,
					.code = FRAME_CODE_LIMIT,
					.body = (const uint8_t *)"too many",
					.len = 8};
	struct fixture *fx = *state;
	struct silent m;
	struct caller a;

	silent_start(&m, fx);
	caller_init(&a, fx, m.port);
	caller_open(&a, fx, "test");
	UNTIL(fx, online(&a));
	assert_int_equal(say(&a, &a, "hello"), 0);
	UNTIL(fx, m.conn[0].frames == 2);
	assert_int_equal(m.conn[0].last, FRAME_SEND);
	assert_int_equal(wire_send(m.conn[0].wire, &no), 0);
	UNTIL(fx, a.went_offline == 1);
	assert_string_equal(a.why, "the mailbox says: too many");
	UNTIL(fx, m.conn[1].frames == 1);
	assert_int_equal(a.went_online, 1);
	assert_int_equal(say(&a, &a, "again"), -1);
	assert_int_equal(wire_send(m.conn[1].wire, &ready), 0);
	UNTIL(fx, a.went_online == 2);
	caller_stop(&a);
	silent_stop(&m);
}

/* A probe is a PING at once, and however many there are, patience ends long before that
 * with the next PING on time would. */
static void
a_probe_finds_a_dead_connection(void **state)
{
	static const struct frame pong = {.type = FRAME_PONG};
	struct fixture *fx = *state;
	struct silent m;
	struct caller a;

	silent_start(&m, fx);
	caller_init(&a, fx, m.port);
	caller_open(&a, fx, "test");
	UNTIL(fx, (rendezvous_probe(a.r), m.conn[0].frames == 1));
	assert_int_equal(m.conn[0].last, FRAME_OPEN);
	assert_int_equal(wire_send(m.conn[0].wire, &ready), 0);
	UNTIL(fx, (rendezvous_probe(a.r), m.conn[0].frames == 2));
	assert_int_equal(m.conn[0].last, FRAME_PING);
	assert_int_equal(wire_send(m.conn[0].wire, &pong), 0);
	/* The next one is sent once that has been read. */
	UNTIL(fx, (rendezvous_probe(a.r), m.conn[0].frames == 3));
	assert_int_equal(m.conn[0].last, FRAME_PING);
	UNTIL(fx, (rendezvous_probe(a.r), a.went_offline > 0));
	assert_string_equal(a.why, "the mailbox does not answer any more");
	assert_int_equal(m.conn[0].frames, 3);
	caller_stop(&a);
	silent_stop(&m);
}

static void
the_protocol_has_an_order(void **state)
{
	static const enum frame_type bad[][2] = {
	    {FRAME_SEND, FRAME_OPEN},
	    {FRAME_PING, FRAME_OPEN},
	    {FRAME_OPEN, FRAME_OPEN},
	};
	struct fixture *fx = *state;
	struct rogue x;

	start_mailbox(fx, 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		rogue_start(&x, fx);
		rogue_send(&x, bad[i][0]);
		rogue_send(&x, bad[i][1]);
		UNTIL(fx, x.closed);
		assert_int_equal(x.last, FRAME_ERROR);
		assert_int_equal(x.code, FRAME_CODE_PROTOCOL);
		rogue_stop(&x);
	}
	assert_int_equal(stats(fx).failed, 3);
	rogue_start(&x, fx);
	rogue_send(&x, FRAME_OPEN);
	UNTIL(fx, x.last == FRAME_READY);
	rogue_send(&x, FRAME_SEND);
	UNTIL(fx, x.last == FRAME_MESSAGE);
	rogue_send(&x, FRAME_PING);
	UNTIL(fx, x.last == FRAME_PONG);
	rogue_stop(&x);
}

static void
garbage_ends_the_connection(void **state)
{
	static const char garbage[] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
	struct fixture *fx = *state;
	char answer[256];
	ssize_t n = -1;
	int fd;

	start_mailbox(fx, 0);
	fd = connect_to(fx, 0);
	assert_int_equal(send(fd, garbage, sizeof garbage - 1, 0), sizeof garbage - 1);
	UNTIL(fx, stats(fx).failed == 1);
	UNTIL(fx, (n = recv(fd, answer, sizeof answer, 0)) == 0 || errno == ECONNRESET);
	assert_int_equal(stats(fx).connections, 0);
	close(fd);
}

/* OpenSSL would make room for what they announce, and wait for it. */
static void
long_hellos_are_refused(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 1, 0xff, 0};
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 1, 90};
	static const uint8_t piece[] = {22, 3, 1, 0, 1, 1};
	struct fixture *fx = *state;
	uint8_t bytes[32];
	ssize_t n;
	int fd;

	fx->limits.open_ns = 3600 * NS_PER_S;
	start_mailbox(fx, 0);
	for (int i = 0; i < 4; i++) {
		size_t before = i == 1 ? sizeof alert : i == 2 ? sizeof piece : 0;

		memcpy(bytes, i == 1 ? alert : piece, before);
		memcpy(bytes + before, hello, sizeof hello);
		fd = connect_to(fx, 0);
		/* The last comes in two parts. */
		if (i == 3) {
			assert_int_equal(send(fd, bytes, 5, 0), 5);
			UNTIL(fx, stats(fx).connections == 1);
			for (int turn = 0; turn < 20; turn++)
				event_base_loop(fx->base, EVLOOP_ONCE);
			assert_int_equal(stats(fx).failed, i);
			memmove(bytes, bytes + 5, 4);
			assert_int_equal(send(fd, bytes, 4, 0), 4);
		} else {
			n = send(fd, bytes, before + sizeof hello, 0);
			assert_int_equal(n, before + sizeof hello);
		}
		UNTIL(fx, stats(fx).failed == (size_t)i + 1);
		assert_int_equal(stats(fx).connections, 0);
		close(fd);
	}
}

/* Our protocol over TLS, then bytes that are no frame. */
static void
garbage_inside_tls_ends_the_connection(void **state)
{
	struct fixture *fx = *state;
	struct rogue x;

	start_mailbox(fx, 0);
	rogue_start(&x, fx);
	assert_int_equal(SSL_write((SSL *)wire_ssl(x.wire), "\1\7\0\0", 4), 4);
	UNTIL(fx, x.closed);
	assert_int_equal(stats(fx).failed, 1);
	rogue_stop(&x);
}

static void
without_a_certificate_nobody_enters(void **state)
{
	static const unsigned char alpn[] = "\x12" WIRE_ALPN;
	struct fixture *fx = *state;
	struct rogue x;

	start_mailbox(fx, 0);
	rogue_init(&x);
	SSL_CTX_free(x.ctx);
	x.ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_alpn_protos(x.ctx, alpn, sizeof alpn - 1), 0);
	{
		static const struct wire_callbacks cb = {
		    .opened = rogue_opened,
		    .frame = rogue_frame,
		    .closed = rogue_closed,
		};
		const struct wire_config cfg = {.output_max = 65536};

		x.wire =
		    wire_new(fx->base, connect_to(fx, 0), SSL_new(x.ctx), &cfg, &cb, &x);
	}
	assert_non_null(x.wire);
	UNTIL(fx, x.closed);
	assert_int_equal(x.frames, 0);
	assert_int_equal(stats(fx).failed, 1);
	assert_int_equal(stats(fx).readers, 0);
	rogue_stop(&x);
}

static void
another_alpn_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct rogue x;

	start_mailbox(fx, 0);
	rogue_init(&x);
	SSL_CTX_free(x.ctx);
	x.ctx = cert_ssl_ctx(x.id, false, "h2", NULL);
	rogue_connect(&x, fx, 0);
	UNTIL(fx, x.closed);
	assert_non_null(strstr(x.why, "not a mailbox"));
	rogue_stop(&x);
}

static void
half_a_handshake_has_a_deadline(void **state)
{
	struct fixture *fx = *state;
	struct rogue silent;
	char byte;
	int fd;

	fx->limits.open_ns = 100 * NS_PER_MS;
	start_mailbox(fx, 0);
	/* Nothing at all, and TLS without OPEN. */
	fd = connect_to(fx, 0);
	rogue_init(&silent);
	rogue_connect(&silent, fx, 0);
	UNTIL(fx, silent.closed);
	UNTIL(fx, recv(fd, &byte, 1, 0) == 0);
	assert_int_equal(stats(fx).connections, 0);
	assert_int_equal(stats(fx).failed, 2);
	close(fd);
	rogue_stop(&silent);
}

static void
silence_ends_the_connection(void **state)
{
	struct fixture *fx = *state;
	struct rogue x;

	fx->limits.idle_ns = 100 * NS_PER_MS;
	start_mailbox(fx, 0);
	rogue_start(&x, fx);
	rogue_send(&x, FRAME_OPEN);
	UNTIL(fx, x.closed);
	assert_int_equal(x.last, FRAME_ERROR);
	assert_int_equal(x.code, FRAME_CODE_TIMEOUT);
	rogue_stop(&x);
}

static void
only_the_newest_readers_stay(void **state)
{
	struct fixture *fx = *state;
	struct rogue x, again[2];

	fx->limits.readers = 2;
	start_mailbox(fx, 0);
	rogue_start(&x, fx);
	rogue_send(&x, FRAME_OPEN);
	UNTIL(fx, x.last == FRAME_READY);
	for (size_t i = 0; i < 2; i++) {
		again[i] = (struct rogue){.id = x.id, .ctx = x.ctx};
		rogue_connect(&again[i], fx, 0);
		UNTIL(fx, again[i].opened);
		rogue_send(&again[i], FRAME_OPEN);
		UNTIL(fx, again[i].last == FRAME_READY);
	}
	UNTIL(fx, x.closed);
	assert_int_equal(x.code, FRAME_CODE_REPLACED);
	assert_int_equal(stats(fx).readers, 2);
	rogue_send(&again[0], FRAME_SEND);
	UNTIL(fx, again[0].last == FRAME_MESSAGE && again[1].last == FRAME_MESSAGE);
	wire_free(again[0].wire);
	wire_free(again[1].wire);
	rogue_stop(&x);
}

/* Sends one more message when the last has left; true when a reader is gone. */
static bool
pour(const struct fixture *fx, struct rogue *writer, const struct frame *f)
{
	if (wire_queued(writer->wire) == 0)
		assert_int_equal(wire_send(writer->wire, f), 0);
	return stats(fx).readers == 1;
}

static void
a_reader_that_stalls_holds_little(void **state)
{
	static const uint8_t large[RENDEZVOUS_MESSAGE_MAX];
	struct frame f = {.type = FRAME_SEND, .body = large, .len = sizeof large};
	struct fixture *fx = *state;
	struct rogue reader, writer;
	size_t left;

	fx->limits.stall_ns = 200 * NS_PER_MS;
	fx->limits.burst_bytes = fx->limits.rate_bytes = 64 * 1024 * 1024;
	start_mailbox(fx, 0);
	rogue_init(&reader);
	rogue_connect(&reader, fx, 4096);
	UNTIL(fx, reader.opened);
	rogue_send(&reader, FRAME_OPEN);
	UNTIL(fx, reader.last == FRAME_READY);
	wire_pause(reader.wire);
	rogue_start(&writer, fx);
	rogue_send(&writer, FRAME_OPEN);
	UNTIL(fx, writer.last == FRAME_READY);
	f.to = identity_pubkey(reader.id)->point;
	/* However much the kernel takes, in the end nothing moves. */
	UNTIL(fx, pour(fx, &writer, &f));
	UNTIL(fx, wire_queued(writer.wire) == 0);
	/* Its box took what the connection did not, within the sender's quota, and
	 * keeps it for the next connection. */
	left = stats(fx).waiting.messages;
	assert_true(left > 0 && left <= fx->limits.boxes.per_sender);
	wire_free(reader.wire);
	rogue_connect(&reader, fx, 0);
	UNTIL(fx, reader.opened);
	rogue_send(&reader, FRAME_OPEN);
	UNTIL(fx, reader.frames >= 1 + left);
	assert_false(writer.closed);
	rogue_stop(&reader);
	rogue_stop(&writer);
}

static void
a_fast_writer_is_held_back_not_closed(void **state)
{
	struct fixture *fx = *state;
	struct caller b;
	struct rogue x;
	enum { N = 400 };

	/* 400 frames cost 21,200 bytes: several sweeps' worth. */
	fx->limits.burst_bytes = 2000;
	fx->limits.rate_bytes = 100000;
	start_mailbox(fx, 0);
	caller_start(&b, fx);
	rogue_start(&x, fx);
	rogue_send(&x, FRAME_OPEN);
	for (unsigned i = 0; i < N; i++)
		rogue_send(&x, FRAME_SEND); /* to itself */
	UNTIL(fx, x.frames == N + 1);
	assert_false(x.closed);
	rogue_stop(&x);
	caller_stop(&b);
}

static void
connections_from_one_address_are_bounded(void **state)
{
	struct fixture *fx = *state;
	struct rogue x;
	int fd[3];

	fx->limits.source_connections = 2;
	start_mailbox(fx, 0);
	for (size_t i = 0; i < 3; i++)
		fd[i] = connect_to(fx, 0);
	UNTIL(fx, stats(fx).turned_away == 1);
	assert_int_equal(stats(fx).connections, 2);
	for (size_t i = 0; i < 3; i++)
		close(fd[i]);
	UNTIL(fx, stats(fx).connections == 0);
	rogue_start(&x, fx);
	rogue_stop(&x);
}

/* With everything taken, an address that has much makes way for one that has little. */
static void
all_connections_are_bounded(void **state)
{
	struct fixture *fx = *state;
	int fd[4], other;
	union addr addr;

	fx->limits.connections = 3;
	start_mailbox(fx, 0);
	for (size_t i = 0; i < 4; i++)
		fd[i] = connect_to(fx, 0);
	UNTIL(fx, stats(fx).turned_away == 1);
	other = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(addr_parse(&addr, "127.0.0.2", 0), 0);
	assert_int_equal(bind(other, &addr.sa, addr_len(&addr)), 0);
	addr = *mailbox_addr(fx->mailbox);
	assert_int_equal(connect(other, &addr.sa, addr_len(&addr)), 0);
	UNTIL(fx, stats(fx).accepted == 4);
	assert_int_equal(stats(fx).connections, 3);
	assert_int_equal(stats(fx).turned_away, 2);
	for (size_t i = 0; i < 4; i++)
		close(fd[i]);
	close(other);
}

static void
running_out_of_descriptors_is_survived(void **state)
{
	struct fixture *fx = *state;
	struct rlimit before, none;
	struct caller a;
	int fd;

	start_mailbox(fx, 0);
	caller_init(&a, fx, port_of(fx));
	fd = connect_to(fx, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)fd + 1;
	/* Every number below is taken, or accept() would find one. */
	for (int i = 0; i < fd; i++)
		assert_true(fcntl(i, F_GETFD) >= 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(fx->base, EVLOOP_ONCE);
	assert_int_equal(stats(fx).accepted, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	caller_open(&a, fx, "test");
	UNTIL(fx, online(&a));
	close(fd);
	caller_stop(&a);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(messages_reach_whom_they_are_for),
	    TEST(a_host_can_be_a_name),
	    TEST(messages_wait_for_their_reader),
	    TEST(messages_grow_old),
	    TEST(sessions_of_one_party_are_apart),
	    TEST(another_key_than_the_url_s_is_refused),
	    TEST(a_mailbox_may_go_and_come_back),
	    TEST(a_port_in_use_is_named),
	    TEST(closing_inside_a_callback_is_fine),
	    TEST(something_else_is_recognised),
	    TEST(mqtt_needs_the_library),
	    TEST(a_round_trip_is_saved),
	    TEST(a_probe_finds_a_dead_connection),
	    TEST(the_protocol_has_an_order),
	    TEST(garbage_ends_the_connection),
	    TEST(long_hellos_are_refused),
	    TEST(garbage_inside_tls_ends_the_connection),
	    TEST(without_a_certificate_nobody_enters),
	    TEST(another_alpn_is_refused),
	    TEST(half_a_handshake_has_a_deadline),
	    TEST(silence_ends_the_connection),
	    TEST(only_the_newest_readers_stay),
	    TEST(a_reader_that_stalls_holds_little),
	    TEST(a_fast_writer_is_held_back_not_closed),
	    TEST(connections_from_one_address_are_bounded),
	    TEST(all_connections_are_bounded),
	    TEST(running_out_of_descriptors_is_survived),
	};

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
