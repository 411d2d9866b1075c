/*
 * Many parties at one mailbox:
 *
 *     mailbox_load ADDRESS PORT KEY PARTIES RATE SECONDS
 *
 * connects PARTIES parties, each with a key of its own, then lets RATE messages a second go
 * from one of them to another, picked at random, for SECONDS. Once all are connected it
 * says so and waits for a line on its standard input, so that somebody can look at the
 * mailbox. Then it prints, on one line, the messages that were sent and that arrived, and
 * the time from the one to the other: the median, 99 of 100 and the longest, milliseconds.
 *
 * A mailbox takes 1,024 connections of one address, so ADDRESS is one of loopback, and the
 * parties come from 127.1.0.1, 127.1.0.2, ...
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/clock.h"
#include "rendezvous/wire.h"
#include "session/cert.h"
#include "session/identity.h"

/* As long as the sealed messages that carry no candidates. */
#define MESSAGE_BYTES 371

#define PER_SOURCE   1000
#define AT_ONCE      32 /* handshakes under way */
#define OUTPUT_MAX   (64 * 1024)
#define PING_EVERY_S 30
/* For the last messages to arrive. */
#define LAST_S 3

struct member {
	size_t index;
	struct pubkey key;
	struct wire *wire;
	bool ready;
};

static struct event_base *base;
static struct event *tick;
static union addr mailbox;
static struct pubkey mailbox_key;
static struct member *parties;
static size_t n_parties, started, ready;
static uint64_t rate, began_ns, until_ns;
static bool running;
static uint64_t sent, received, pinged;
static uint32_t *took_us;
static size_t took_max;

static void
die(const char *what)
{
	fprintf(stderr, "mailbox_load: %s\n", what);
	exit(1);
}

static void start_parties(void);

static void
on_opened(void *arg)
{
	static const uint8_t tag[FRAME_TAG_BYTES] = {1};
	struct member *p = arg;
	const struct frame open = {.type = FRAME_OPEN, .tag = tag};

	if (wire_send(p->wire, &open) != 0)
		die("OPEN could not be sent");
}

static void
on_message(const struct frame *f)
{
	uint64_t sent_ns;

	memcpy(&sent_ns, f->body, sizeof sent_ns);
	if (f->len == MESSAGE_BYTES && received < took_max)
		took_us[received++] = (uint32_t)((clock_now_ns() - sent_ns) / NS_PER_US);
}

static void
on_frame(void *arg, const struct frame *f)
{
	struct member *p = arg;

	if (f->type == FRAME_READY) {
		p->ready = true;
		ready++;
		start_parties();
	} else if (f->type == FRAME_MESSAGE) {
		on_message(f);
	} else if (f->type == FRAME_ERROR) {
		fprintf(stderr, "mailbox_load: %.*s\n", (int)f->len, f->body);
	}
}

static void
on_closed(void *arg, const char *why)
{
	struct member *p = arg;

	fprintf(stderr, "mailbox_load: party %zu: %s\n", p->index, why);
	exit(1);
}

static int
dial(size_t index)
{
	union addr from;
	char text[32];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(text, sizeof text, "127.1.0.%zu", 1 + index / PER_SOURCE);
	addr_parse(&from, text, 0);
	if (fd < 0 || bind(fd, &from.sa, addr_len(&from)) != 0 ||
	    connect(fd, &mailbox.sa, addr_len(&mailbox)) != 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
		perror("mailbox_load: connecting");
		exit(1);
	}
	return fd;
}

static void
start_party(struct member *p)
{
	static const struct wire_callbacks cb = {
	    .opened = on_opened, .frame = on_frame, .closed = on_closed};
	static const struct wire_config cfg = {.output_max = OUTPUT_MAX};
	struct identity *id = identity_ephemeral(NULL);
	SSL_CTX *ctx = id != NULL ? cert_ssl_ctx(id, false, WIRE_ALPN, NULL) : NULL;
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;

	if (ssl == NULL || cert_expect(ssl, &mailbox_key) != 0)
		die("out of memory");
	p->key = *identity_pubkey(id);
	p->wire = wire_new(base, dial(p->index), ssl, &cfg, &cb, p);
	if (p->wire == NULL)
		die("out of memory");
	SSL_CTX_free(ctx);
	identity_free(id);
}

static void
start_parties(void)
{
	while (started < n_parties && started - ready < AT_ONCE) {
		parties[started].index = started;
		start_party(&parties[started++]);
	}
}

static void
send_one(void)
{
	uint8_t body[MESSAGE_BYTES] = {0};
	size_t to = (size_t)random() % n_parties, from = (size_t)random() % n_parties;
	uint64_t now_ns = clock_now_ns();
	const struct frame f = {.type = FRAME_SEND,
				.to = parties[to].key.point,
				.body = body,
				.len = sizeof body};

	memcpy(body, &now_ns, sizeof now_ns);
	if (wire_send(parties[from].wire, &f) == 0)
		sent++;
}

/* All parties in turn, so that the mailbox does not take them for dead. */
static void
ping(uint64_t now_ns)
{
	static const struct frame f = {.type = FRAME_PING};
	uint64_t due = (now_ns - began_ns) / NS_PER_MS * n_parties /
		       (PING_EVERY_S * 1000);

	for (; pinged < due; pinged++)
		wire_send(parties[pinged % n_parties].wire, &f);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now_ns = clock_now_ns();

	(void)fd;
	(void)what;
	(void)arg;
	if (ready < n_parties)
		return;
	if (began_ns == 0)
		began_ns = now_ns;
	ping(now_ns);
	if (!running)
		return;
	if (now_ns < until_ns) {
		uint64_t due = took_max - (until_ns - now_ns) * rate / NS_PER_S;

		while (sent < due)
			send_one();
	} else if (received == sent || now_ns > until_ns + LAST_S * NS_PER_S) {
		event_base_loopbreak(base);
	}
}

static void
on_go(evutil_socket_t fd, short what, void *arg)
{
	uint64_t *seconds = arg;
	char line[100];

	(void)what;
	if (read(fd, line, sizeof line) < 0)
		die("no standard input");
	running = true;
	until_ns = clock_now_ns() + *seconds * NS_PER_S;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
report(void)
{
	qsort(took_us, received, sizeof *took_us, by_size);
	if (received == 0)
		die("nothing arrived");
	printf("%llu %llu %.3f %.3f %.3f\n", (unsigned long long)sent,
	       (unsigned long long)received, took_us[received / 2] / 1e3,
	       took_us[received * 99 / 100] / 1e3, took_us[received - 1] / 1e3);
}

int
main(int argc, char **argv)
{
	static const struct timeval ms = {.tv_usec = 1000};
	struct rlimit files;
	struct event *go;
	uint64_t seconds;

	if (argc != 7 ||
	    addr_parse(&mailbox, argv[1], (uint16_t)strtoul(argv[2], NULL, 10)) != 0 ||
	    pubkey_parse(&mailbox_key, argv[3], NULL) != 0)
		die("usage: mailbox_load ADDRESS PORT KEY PARTIES RATE SECONDS");
	n_parties = strtoul(argv[4], NULL, 10);
	rate = strtoul(argv[5], NULL, 10);
	seconds = strtoul(argv[6], NULL, 10);
	took_max = rate * seconds;
	parties = calloc(n_parties, sizeof *parties);
	took_us = calloc(took_max + 1, sizeof *took_us);
	base = event_base_new();
	if (parties == NULL || took_us == NULL || base == NULL)
		die("out of memory");
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	go = event_new(base, STDIN_FILENO, EV_READ, on_go, &seconds);
	event_add(tick, &ms);
	start_parties();
	while (ready < n_parties)
		event_base_loop(base, EVLOOP_ONCE);
	printf("connected\n");
	fflush(stdout);
	event_add(go, NULL);
	event_base_dispatch(base);
	report();
	return 0;
}
