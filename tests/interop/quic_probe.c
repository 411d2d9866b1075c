/*
 * quic/ over a UDP socket, against an implementation of somebody else's that speaks
 * HTTP/3: just enough of that to send one request or to answer any.
 *
 *   quic_probe key IDENTITY                      print the identity's public key
 *   quic_probe client HOST PORT IDENTITY PEER    GET /probe, write the body to stdout
 *   quic_probe server PORT IDENTITY PEER FILE    answer every request with FILE, until
 *                                                the client closes
 *
 * PEER is the public key that the other end must prove. What happened goes to stderr.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "quic/quic.h"
#include "session/cert.h"
#include "session/identity.h"

#define GIVE_UP_NS  (20 * NS_PER_S)
#define BODY_MAX    (4 * 1024 * 1024)
#define H3_DATA     0
#define H3_HEADERS  1
#define H3_NO_ERROR 0x100

/* GET https://localhost/probe, in fields of QPACK's static table (RFC 9204, A). */
static const uint8_t request[] = {H3_HEADERS, 23,  0,   0,    0xc0 | 17, 0xc0 | 23, 0x50,
				  9,          'l', 'o', 'c',  'a',       'l',       'h',
				  'o',        's', 't', 0x51, 6,         '/',       'p',
				  'r',        'o', 'b', 'e'};
/* :status 200 */
static const uint8_t ok[] = {H3_HEADERS, 3, 0, 0, 0xc0 | 25};

struct probe {
	struct quic *q;
	bool server;
	int fd;
	bool connected; /* the socket, to the peer's address */
	bool ended, succeeded;
	struct quic_end end;
	unsigned requests;
	uint8_t *body; /* to send, or what has come */
	size_t body_len;
};

/* One stream. */
struct exchange {
	struct probe *p;
	struct quic_stream *s;
	size_t sent; /* of the body */
	bool answering;
};

static size_t
on_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct probe *p = arg;
	size_t n, done;

	(void)path;
	for (done = 0; done < len; done += n) {
		n = len - done < segment ? len - done : segment;
		/* A datagram that is refused is one that is lost. */
		if (send(p->fd, data + done, n, 0) < 0 && errno == EAGAIN)
			return done;
	}
	return len;
}

static void
on_timer(void *arg)
{
	(void)arg;
}

static struct exchange *
exchange_new(struct probe *p)
{
	struct exchange *x = calloc(1, sizeof *x);

	if (x == NULL)
		abort();
	x->p = p;
	return x;
}

static void
on_established(void *arg)
{
	struct probe *p = arg;
	struct exchange *x;

	fprintf(stderr, "established\n");
	if (p->server)
		return;
	x = exchange_new(p);
	x->s = quic_stream_open(p->q, x);
	if (x->s == NULL || quic_stream_write(x->s, request, sizeof request) < 0)
		abort();
	quic_stream_finish(x->s);
}

static void
on_ended(void *arg, const struct quic_end *end)
{
	struct probe *p = arg;

	p->ended = true;
	p->end = *end;
	fprintf(stderr, "ended: %s\n", end->text);
}

static void *
on_stream_opened(void *arg, struct quic_stream *s)
{
	struct exchange *x = exchange_new(arg);

	x->s = s;
	return x;
}

static void
answer(struct exchange *x)
{
	struct probe *p = x->p;
	struct iovec iov[QUIC_STREAM_AREAS];
	size_t n;

	while (x->sent < p->body_len &&
	       quic_stream_reserve(x->s, p->body_len - x->sent, iov) > 0) {
		n = iov[0].iov_len;
		memcpy(iov[0].iov_base, p->body + x->sent, n);
		quic_stream_commit(x->s, n);
		x->sent += n;
	}
	if (x->sent == p->body_len)
		quic_stream_finish(x->s);
}

static void
begin_answer(struct exchange *x)
{
	size_t len = x->p->body_len;
	/* A variable-length integer of four bytes (RFC 9000, 16). */
	const uint8_t frame[] = {H3_DATA, (uint8_t)(0x80 | len >> 24),
				 (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	x->answering = true;
	x->p->requests++;
	if (quic_stream_write(x->s, ok, sizeof ok) < 0 ||
	    quic_stream_write(x->s, frame, sizeof frame) < 0)
		abort();
	answer(x);
}

/* Write what the DATA frames of an answer carry; whether the answer is well-formed. */
static bool
write_body(const uint8_t *p, size_t len)
{
	const uint8_t *data;
	uint64_t type, n;
	struct reader r;

	reader_init(&r, p, len);
	while (r.left > 0) {
		type = read_varint(&r);
		n = read_varint(&r);
		data = read_bytes(&r, n);
		if (data == NULL)
			return false;
		if (type == H3_DATA && fwrite(data, 1, n, stdout) != n)
			return false;
	}
	return fflush(stdout) == 0;
}

static void
on_stream_data(void *sarg, const uint8_t *data, size_t len, bool fin)
{
	struct exchange *x = sarg;
	struct probe *p = x->p;

	quic_stream_consumed(x->s, len);
	if (p->server) {
		if (fin && !x->answering)
			begin_answer(x);
		return;
	}
	if (len > BODY_MAX - p->body_len)
		abort();
	if (len > 0)
		memcpy(p->body + p->body_len, data, len);
	p->body_len += len;
	if (!fin)
		return;
	p->succeeded = write_body(p->body, p->body_len);
	quic_close(p->q, H3_NO_ERROR, "", clock_now_ns());
}

static void
on_stream_writable(void *sarg)
{
	struct exchange *x = sarg;

	if (x->answering)
		answer(x);
}

static void
on_stream_sent(void *sarg)
{
	(void)sarg;
}

static void
on_stream_code(void *sarg, uint64_t code)
{
	struct exchange *x = sarg;

	(void)code;
	quic_stream_abort(x->s, H3_NO_ERROR);
}

static void
on_stream_closed(void *sarg, bool lost)
{
	(void)lost;
	free(sarg);
}

static void
on_migrated(void *arg, uint32_t path, bool moved)
{
	(void)arg;
	(void)path;
	(void)moved;
}

static const struct quic_callbacks callbacks = {
    .send = on_send,
    .timer = on_timer,
    .established = on_established,
    .ended = on_ended,
    .stream_opened = on_stream_opened,
    .stream_data = on_stream_data,
    .stream_writable = on_stream_writable,
    .stream_sent = on_stream_sent,
    .stream_reset = on_stream_code,
    .stream_stopped = on_stream_code,
    .stream_closed = on_stream_closed,
    .migrated = on_migrated,
};

/* The first datagram's source is the peer from then on. */
static void
read_socket(struct probe *p)
{
	static uint8_t buf[65536];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof from;
	ssize_t n;

	n = recvfrom(p->fd, buf, sizeof buf, MSG_DONTWAIT, (struct sockaddr *)&from,
		     &from_len);
	if (n < 0)
		return;
	if (!p->connected)
		p->connected = connect(p->fd, (struct sockaddr *)&from, from_len) == 0;
	quic_receive(p->q, 0, buf, (size_t)n, false, clock_now_ns());
}

static void
run(struct probe *p)
{
	uint64_t now = clock_now_ns(), limit = now + GIVE_UP_NS, next;
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	int ms;

	while (!p->ended && now < limit) {
		next = quic_expiry(p->q) < limit ? quic_expiry(p->q) : limit;
		ms = next > now ? (int)((next - now) / NS_PER_MS + 1) : 0;
		if (poll(&pfd, 1, ms) > 0)
			read_socket(p);
		now = clock_now_ns();
		if (quic_expiry(p->q) <= now)
			quic_expire(p->q, now);
	}
	if (!p->ended)
		fprintf(stderr, "gave up\n");
}

static int
open_socket(struct probe *p, const char *host, const char *port_text)
{
	union addr a;
	uint16_t port;

	if (port_parse(&port, port_text) < 0 || addr_parse(&a, host, port) < 0)
		return -1;
	p->fd = socket(a.sa.sa_family, SOCK_DGRAM, 0);
	if (p->fd < 0)
		return -1;
	p->connected = !p->server;
	if ((p->server ? bind : connect)(p->fd, &a.sa, addr_len(&a)) == 0)
		return 0;
	close(p->fd);
	return -1;
}

static int
read_body(struct probe *p, const char *path)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		return -1;
	p->body_len = fread(p->body, 1, BODY_MAX, f);
	return fclose(f);
}

static int
probe(struct probe *p, const char *identity, const char *peer)
{
	struct quic_config cfg = {.server = p->server,
				  .idle_ns = GIVE_UP_NS,
				  .keep_alive_ns = NS_PER_S,
				  .uni_streams = 3};
	struct identity *id;
	struct err err;

	if ((id = identity_load(identity, &err)) == NULL)
		goto err1;
	if (pubkey_parse(&cfg.peer, peer, &err) < 0 ||
	    (cfg.ssl_ctx = cert_ssl_ctx(id, p->server, "h3", &err)) == NULL)
		goto err2;
	p->q = quic_new(&cfg, &callbacks, p, clock_now_ns(), &err);
	if (p->q == NULL)
		goto err3;
	run(p);
	quic_free(p->q);
	SSL_CTX_free(cfg.ssl_ctx);
	identity_free(id);
	return 0;
err3:
	SSL_CTX_free(cfg.ssl_ctx);
err2:
	identity_free(id);
err1:
	fprintf(stderr, "%s\n", err.text);
	return -1;
}

static int
print_key(const char *path)
{
	char text[PUBKEY_TEXT_BYTES];
	struct identity *id;
	struct err err;

	if ((id = identity_load(path, &err)) == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	puts(pubkey_format(identity_pubkey(id), text));
	identity_free(id);
	return 0;
}

int
main(int argc, char **argv)
{
	struct probe p = {.fd = -1};
	int rc;

	if (argc == 3 && strcmp(argv[1], "key") == 0)
		return print_key(argv[2]);
	p.server = argc == 6 && strcmp(argv[1], "server") == 0;
	if (!p.server && (argc != 6 || strcmp(argv[1], "client") != 0)) {
		fprintf(stderr, "usage: see the head of quic_probe.c\n");
		return 2;
	}
	if ((p.body = malloc(BODY_MAX)) == NULL ||
	    (p.server && read_body(&p, argv[5]) < 0) ||
	    open_socket(&p, p.server ? "127.0.0.1" : argv[2], argv[p.server ? 2 : 3]) <
		0) {
		perror("quic_probe");
		free(p.body);
		return 1;
	}
	rc = probe(&p, argv[p.server ? 3 : 4], argv[p.server ? 4 : 5]);
	if (p.server)
		p.succeeded = p.requests > 0 && p.ended && p.end.by_peer &&
			      p.end.code == H3_NO_ERROR;
	close(p.fd);
	free(p.body);
	return rc == 0 && p.succeeded ? 0 : 1;
}
