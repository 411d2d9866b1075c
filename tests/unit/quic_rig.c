#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic_rig.h"

/* The byte at ${offset} of what the opener (or the acceptor) of a stream sends. */
static uint8_t
pattern(bool opener, uint64_t offset)
{
	uint64_t z = (offset / 8 + 1) * 0x9e3779b97f4a7c15ULL;

	z ^= z >> 29;
	return (uint8_t)(z >> (offset % 8 * 8)) ^ (opener ? 0x5a : 0);
}

void
rig_pump(struct flow *f)
{
	struct iovec iov[QUIC_STREAM_AREAS];
	size_t n;
	int cnt;

	while (f->written < f->to_send && !f->closed && !f->stopped) {
		cnt = quic_stream_reserve(f->s, f->to_send - f->written, iov);
		if (cnt == 0)
			return;
		n = 0;
		for (int i = 0; i < cnt; i++) {
			uint8_t *p = iov[i].iov_base;

			for (size_t k = 0; k < iov[i].iov_len; k++)
				p[k] = pattern(f->opened_here, f->written + n + k);
			n += iov[i].iov_len;
		}
		quic_stream_commit(f->s, n);
		f->written += n;
	}
	if (!f->keep_open && !f->finished && !f->closed && f->written == f->to_send) {
		f->finished = true;
		quic_stream_finish(f->s);
	}
}

static struct flow *
flow_new(struct rig_end *e, bool opened_here)
{
	struct flow *f = calloc(1, sizeof *f), **p = &e->flows;

	if (f == NULL)
		abort();
	f->end = e;
	f->opened_here = opened_here;
	while (*p != NULL)
		p = &(*p)->next;
	*p = f;
	return f;
}

static struct flow *
flow_open(struct rig_end *e, uint64_t bytes, bool keep_open)
{
	struct flow *f = flow_new(e, true);

	f->s = quic_stream_open(e->q, f);
	if (f->s == NULL) {
		f->closed = true;
		return NULL;
	}
	f->to_send = bytes;
	f->keep_open = keep_open;
	rig_pump(f);
	return f;
}

struct flow *
rig_open(struct rig_end *e, uint64_t bytes)
{
	return flow_open(e, bytes, false);
}

struct flow *
rig_open_half(struct rig_end *e, uint64_t bytes)
{
	return flow_open(e, bytes, true);
}

struct flow *
rig_peer_flow(const struct flow *f)
{
	const struct rig_end *other = &f->end->rig->end[!f->end->index];
	const struct flow *g;
	struct flow *h;
	unsigned n = 0;

	for (g = f->end->flows; g != f; g = g->next)
		n += g->opened_here == f->opened_here;
	for (h = other->flows; h != NULL; h = h->next)
		if (h->opened_here != f->opened_here && n-- == 0)
			return h;
	return NULL;
}

void
rig_unstall(struct flow *f)
{
	f->stall = false;
	quic_stream_consumed(f->s, f->stalled_bytes);
	f->stalled_bytes = 0;
}

/* Callbacks. */

static size_t
on_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct rig_end *e = arg;
	size_t taken = 0, n;

	e->trains++;
	while (taken < len && e->path_room > 0) {
		n = len - taken < segment ? len - taken : segment;
		sim_net_send(&e->rig->net, !e->index, path, data + taken, n);
		taken += n;
		e->datagrams++;
		if (e->path_room != SIZE_MAX)
			e->path_room--;
	}
	return taken;
}

static void
on_timer(void *arg)
{
	((struct rig_end *)arg)->timers++;
}

static void
on_established(void *arg)
{
	((struct rig_end *)arg)->established++;
}

static void
on_ended(void *arg, const struct quic_end *end)
{
	struct rig_end *e = arg;

	e->ended++;
	e->why = *end;
	for (struct flow *f = e->flows; f != NULL; f = f->next)
		if (!f->closed)
			abort(); /* stream_closed() comes before ended() */
}

static void *
on_stream_opened(void *arg, struct quic_stream *s)
{
	struct rig_end *e = arg;
	struct flow *f;

	e->opened++;
	if (e->refuse)
		return NULL;
	f = flow_new(e, false);
	f->s = s;
	f->to_send = e->reply_bytes;
	f->keep_open = e->reply_open;
	f->stall = e->reply_stall;
	rig_pump(f);
	return f;
}

static void
on_stream_data(void *arg, const uint8_t *data, size_t len, bool fin)
{
	struct flow *f = arg;

	if (f->closed || f->fin)
		abort();
	for (size_t i = 0; i < len; i++)
		if (data[i] != pattern(!f->opened_here, f->received + i))
			f->corrupt = true;
	f->received += len;
	f->fin = fin;
	if (f->stall)
		f->stalled_bytes += len;
	else
		quic_stream_consumed(f->s, len);
	if (f->end->echo && !f->opened_here) {
		f->to_send += len;
		if (fin)
			f->keep_open = false;
		rig_pump(f);
	}
	if (f->end->hook != NULL)
		f->end->hook(f, len);
}

static void
on_stream_writable(void *arg)
{
	rig_pump(arg);
}

static void
on_stream_sent(void *arg)
{
	struct flow *f = arg;

	if (f->sent || f->closed)
		abort();
	f->sent = true;
}

static void
on_stream_reset(void *arg, uint64_t code)
{
	struct flow *f = arg;

	f->reset = true;
	f->reset_code = code;
	quic_stream_abort(f->s, QUIC_CODE_ABORTED);
}

static void
on_stream_stopped(void *arg, uint64_t code)
{
	struct flow *f = arg;

	(void)code;
	f->stopped = true;
}

static void
on_stream_closed(void *arg, bool lost)
{
	struct flow *f = arg;

	if (f->closed)
		abort();
	f->closed = true;
	f->lost = lost;
	f->s = NULL;
}

static void
on_datagram(void *arg, const uint8_t *data, size_t len)
{
	struct rig_end *e = arg;

	if (e->take != NULL)
		e->take(e, data, len);
}

static void
on_migrated(void *arg, uint32_t path, bool ok)
{
	struct rig_end *e = arg;

	e->migrated_path = path;
	if (ok)
		e->migrated_ok++;
	else
		e->migrated_failed++;
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
    .stream_reset = on_stream_reset,
    .stream_stopped = on_stream_stopped,
    .stream_closed = on_stream_closed,
    .datagram = on_datagram,
    .migrated = on_migrated,
};

/* A client that offers the protocol and has nothing to show. */
static SSL_CTX *
bare_ssl_ctx(void)
{
	static const unsigned char alpn[] = "\x0ampcproxy/1";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx != NULL && SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int
rig_init(struct rig *r, const struct rig_options *o)
{
	struct identity *stranger = identity_ephemeral(NULL);
	struct quic_config cfg;
	struct err err;

	memset(r, 0, sizeof *r);
	sim_net_init(&r->net, o->seed, &o->path);
	if (stranger == NULL)
		return -1;
	for (int i = 0; i < 2; i++) {
		r->id[i] = identity_ephemeral(&err);
		if (r->id[i] == NULL)
			return -1;
		if (i == 0 && o->no_certificate)
			r->ctx[i] = bare_ssl_ctx();
		else
			r->ctx[i] =
			    cert_ssl_ctx(r->id[i], i == 1,
					 o->alpn[i] != NULL ? o->alpn[i] : "mpcproxy/1",
					 &err);
		if (r->ctx[i] == NULL)
			return -1;
	}
	for (int i = 0; i < 2; i++) {
		r->end[i].rig = r;
		r->end[i].index = i;
		r->end[i].path_room = SIZE_MAX;
		memset(&cfg, 0, sizeof cfg);
		cfg.server = i == 1;
		cfg.ssl_ctx = r->ctx[i];
		cfg.peer = *identity_pubkey(o->wrong_key[!i] ? stranger : r->id[!i]);
		cfg.path = 1;
		cfg.idle_ns = o->idle_ns > 0 ? o->idle_ns : 60 * NS_PER_S;
		cfg.keep_alive_ns = o->keep_alive_ns;
		r->end[i].q = quic_new(&cfg, &callbacks, &r->end[i], r->net.now_ns, &err);
		if (r->end[i].q == NULL)
			return -1;
	}
	identity_free(stranger);
	return 0;
}

void
rig_start(struct rig *r, const struct rig_options *o)
{
	if (rig_init(r, o) == 0 && rig_run(r, rig_established, 20 * NS_PER_S))
		return;
	fprintf(stderr, "client: %s; server: %s\n", r->end[0].why.text,
		r->end[1].why.text);
	abort();
}

void
rig_free(struct rig *r)
{
	struct flow *f;

	for (int i = 0; i < 2; i++) {
		quic_free(r->end[i].q);
		SSL_CTX_free(r->ctx[i]);
		identity_free(r->id[i]);
		while ((f = r->end[i].flows) != NULL) {
			r->end[i].flows = f->next;
			free(f);
		}
	}
	sim_net_clear(&r->net);
}

void
rig_flush(struct rig *r, int end)
{
	quic_flush(r->end[end].q, r->net.now_ns);
}

static void
deliver(struct rig *r, int i)
{
	struct sim_datagram *d;

	while ((d = sim_net_take(&r->net, i)) != NULL) {
		quic_receive(r->end[i].q, d->path, d->data, d->len,
			     sim_net_more(&r->net, i), r->net.now_ns);
		free(d);
	}
	if (quic_expiry(r->end[i].q) <= r->net.now_ns)
		quic_expire(r->end[i].q, r->net.now_ns);
}

bool
rig_run(struct rig *r, bool (*done)(struct rig *r), uint64_t limit_ns)
{
	uint64_t limit = r->net.now_ns + limit_ns, next, t;

	for (;;) {
		if (done(r))
			return true;
		next = sim_net_next(&r->net);
		for (int i = 0; i < 2; i++) {
			t = quic_expiry(r->end[i].q);
			next = t < next ? t : next;
		}
		if (next > limit) {
			r->net.now_ns = limit;
			return done(r);
		}
		/* Time passes, if only a little: some of ngtcp2's timers fire at a time
		 * but act after it. */
		r->net.now_ns = next > r->net.now_ns ? next : r->net.now_ns + 1;
		deliver(r, 0);
		deliver(r, 1);
	}
}

bool
rig_established(struct rig *r)
{
	return r->end[0].established && r->end[1].established;
}

bool
rig_quiet(struct rig *r)
{
	return sim_net_next(&r->net) == UINT64_MAX;
}

bool
rig_ended(struct rig *r)
{
	return r->end[0].ended && r->end[1].ended;
}

bool
rig_flows_closed(struct rig *r)
{
	for (int i = 0; i < 2; i++)
		for (struct flow *f = r->end[i].flows; f != NULL; f = f->next)
			if (!f->closed)
				return false;
	return true;
}

bool
rig_never(struct rig *r)
{
	(void)r;
	return false;
}
