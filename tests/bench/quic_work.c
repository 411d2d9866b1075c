/*
 * Two QUIC connections in one process, on a network in memory with a clock of its own,
 * doing the same work every time: what a count of instructions is taken of.
 *
 *   quic_work bulk MEGABYTES    one way
 *   quic_work messages N        64-byte ping-pong, N messages in all
 *
 * Only what work() and its callees execute is meant to be counted (callgrind's
 * --toggle-collect=work*): the handshake is over by then.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "quic/quic.h"
#include "session/cert.h"
#include "session/identity.h"

#define DELAY_NS      (500 * NS_PER_US)
#define TICK_NS       (250 * NS_PER_US) /* arrivals come in batches, as from a socket */
#define RATE_BPS      1000000000ULL     /* BBR needs something to measure */
#define DATAGRAM_MAX  1500
#define FLIGHT_MAX    16384 /* datagrams on their way to one end; a power of 2 */
#define MESSAGE_BYTES 64
#define MEGABYTE      1000000
#define LIMIT_NS      (60 * NS_PER_S) /* simulated */

struct datagram {
	uint64_t at_ns;
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

struct end {
	struct world *world;
	int index;
	struct quic *q;
	struct quic_stream *stream;
	bool established;
	uint64_t to_send, received;
	/* A ring of what is on its way here. */
	struct datagram *ring;
	size_t first, n;
	uint64_t busy_until_ns;
};

struct world {
	uint64_t now_ns;
	struct end end[2];
	bool echo;
	uint64_t rounds; /* pings still to be sent */
};

static _Noreturn void
die(const char *why)
{
	fprintf(stderr, "quic_work: %s\n", why);
	exit(1);
}

static size_t
on_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct end *from = arg, *to = &from->world->end[!from->index];
	struct datagram *d;
	size_t taken, n;

	(void)path;
	for (taken = 0; taken < len; taken += n) {
		n = len - taken < segment ? len - taken : segment;
		if (to->n == FLIGHT_MAX || n > DATAGRAM_MAX)
			die("more is on its way than there is room for");
		if (to->busy_until_ns < from->world->now_ns)
			to->busy_until_ns = from->world->now_ns;
		to->busy_until_ns += n * 8 * NS_PER_S / RATE_BPS;
		d = &to->ring[(to->first + to->n++) % FLIGHT_MAX];
		d->at_ns = to->busy_until_ns + DELAY_NS;
		d->at_ns += TICK_NS - d->at_ns % TICK_NS;
		d->len = n;
		memcpy(d->data, data + taken, n);
	}
	return len;
}

static void
on_timer(void *arg)
{
	(void)arg;
}

static void
on_established(void *arg)
{
	((struct end *)arg)->established = true;
}

static void
on_ended(void *arg, const struct quic_end *end)
{
	(void)arg;
	die(end->text);
}

/* Put as much into the send buffer as it takes, without touching every byte. */
static void
pump(struct end *e)
{
	struct iovec iov[QUIC_STREAM_AREAS];
	size_t n;
	int cnt;

	while (e->to_send > 0 &&
	       (cnt = quic_stream_reserve(e->stream, e->to_send, iov)) > 0) {
		n = 0;
		for (int i = 0; i < cnt; i++)
			n += iov[i].iov_len;
		quic_stream_commit(e->stream, n);
		e->to_send -= n;
	}
}

static void *
on_stream_opened(void *arg, struct quic_stream *s)
{
	struct end *e = arg;

	e->stream = s;
	return e;
}

static void
on_stream_data(void *sarg, const uint8_t *data, size_t len, bool fin)
{
	struct end *e = sarg;
	struct world *w = e->world;

	(void)data;
	(void)fin;
	e->received += len;
	quic_stream_consumed(e->stream, len);
	if (!w->echo)
		return;
	if (e->index == 0) {
		if (w->rounds == 0)
			return;
		w->rounds--;
	}
	e->to_send += len;
	pump(e);
}

static void
on_stream_writable(void *sarg)
{
	pump(sarg);
}

static void
on_stream_sent(void *sarg)
{
	(void)sarg;
}

static void
on_stream_code(void *sarg, uint64_t code)
{
	(void)sarg;
	(void)code;
	die("the stream was reset");
}

static void
on_stream_closed(void *sarg, bool lost)
{
	(void)sarg;
	(void)lost;
}

static void
on_migrated(void *arg, uint32_t path, bool ok)
{
	(void)arg;
	(void)path;
	(void)ok;
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

/* Deliver what has arrived, all of it in one batch, as a path does. */
static void
serve(struct end *e)
{
	uint64_t now = e->world->now_ns;

	while (e->n > 0 && e->ring[e->first].at_ns <= now) {
		struct datagram *d = &e->ring[e->first];

		e->first = (e->first + 1) % FLIGHT_MAX;
		e->n--;
		quic_receive(e->q, 1, d->data, d->len,
			     e->n > 0 && e->ring[e->first].at_ns <= now, now);
	}
	if (quic_expiry(e->q) <= now)
		quic_expire(e->q, now);
}

static void
step(struct world *w)
{
	uint64_t next = CLOCK_NEVER;

	for (int i = 0; i < 2; i++) {
		struct end *e = &w->end[i];
		uint64_t expiry = quic_expiry(e->q);

		if (e->n > 0 && e->ring[e->first].at_ns < next)
			next = e->ring[e->first].at_ns;
		next = expiry < next ? expiry : next;
	}
	if (next > w->now_ns)
		w->now_ns = next;
	if (w->now_ns > LIMIT_NS)
		die("it does not come to an end");
	serve(&w->end[0]);
	serve(&w->end[1]);
}

/* Run until both ends have received so much. */
static void __attribute__((noinline))
work(struct world *w, uint64_t at_client, uint64_t at_server)
{
	pump(&w->end[0]);
	quic_flush(w->end[0].q, w->now_ns);
	while (w->end[0].received < at_client || w->end[1].received < at_server)
		step(w);
}

static void
set_up(struct world *w, struct identity **id, SSL_CTX **ctx)
{
	struct quic_config cfg = {.path = 1,
				  .idle_ns = 60 * NS_PER_S,
				  .keep_alive_ns = 20 * NS_PER_S};
	struct err err;
	int i;

	w->now_ns = NS_PER_S;
	for (i = 0; i < 2; i++)
		if ((id[i] = identity_ephemeral(&err)) == NULL ||
		    (ctx[i] = cert_ssl_ctx(id[i], i == 1, "mpcproxy/1", &err)) == NULL)
			die(err.text);
	for (i = 0; i < 2; i++) {
		struct end *e = &w->end[i];

		e->world = w;
		e->index = i;
		e->ring = calloc(FLIGHT_MAX, sizeof *e->ring);
		cfg.server = i == 1;
		cfg.ssl_ctx = ctx[i];
		cfg.peer = *identity_pubkey(id[!i]);
		e->q = quic_new(&cfg, &callbacks, e, w->now_ns, &err);
		if (e->ring == NULL || e->q == NULL)
			die(err.text);
	}
	while (!w->end[0].established || !w->end[1].established)
		step(w);
	w->end[0].stream = quic_stream_open(w->end[0].q, &w->end[0]);
	if (w->end[0].stream == NULL)
		die("no stream");
}

int
main(int argc, char **argv)
{
	static struct world w;
	struct identity *id[2];
	SSL_CTX *ctx[2];
	uint64_t amount = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;

	if (amount == 0 || amount > 1000000 ||
	    (strcmp(argv[1], "bulk") != 0 && strcmp(argv[1], "messages") != 0)) {
		fprintf(stderr, "usage: quic_work bulk MEGABYTES | messages N\n");
		return 2;
	}
	set_up(&w, id, ctx);
	if (strcmp(argv[1], "bulk") == 0) {
		w.end[0].to_send = amount * MEGABYTE;
		work(&w, 0, amount * MEGABYTE);
	} else {
		uint64_t pings = (amount + 1) / 2;

		w.echo = true;
		w.rounds = pings - 1;
		w.end[0].to_send = MESSAGE_BYTES;
		work(&w, pings * MESSAGE_BYTES, pings * MESSAGE_BYTES);
	}
	for (int i = 0; i < 2; i++) {
		quic_free(w.end[i].q);
		SSL_CTX_free(ctx[i]);
		identity_free(id[i]);
		free(w.end[i].ring);
	}
	return 0;
}
