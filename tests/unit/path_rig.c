#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "path_rig.h"

/* Nothing here takes that long unless it hangs. */
#define HANG_S 30

static const struct session no_servers;

struct event_base *rig_base;
struct path_context *rig_ctx;

static void
free_path(struct end *e)
{
	path_free(e->path);
	e->path = NULL;
}

static void
hand_over(struct end *to, const struct path_bundle *b, const char *pwd)
{
	const char *line[PATH_CANDIDATES_MAX];
	struct err err;
	size_t i;

	if (to->path == NULL || to->n_failed > 0)
		return;
	for (i = 0; i < b->n; i++)
		line[i] = b->candidate[i];
	if (path_remote(to->path, b->ufrag, pwd != NULL ? pwd : b->pwd, line, b->n,
			b->last, &err) != 0)
		fail_msg("%s", err.text);
}

static void
deliver(evutil_socket_t fd, short what, void *arg)
{
	struct rig_delivery *d = arg;

	(void)fd;
	(void)what;
	hand_over(d->from->other, &d->bundle, d->from->wrong_pwd);
}

static void
schedule(struct rig_delivery *d, unsigned delay_ms)
{
	struct timeval tv = {delay_ms / 1000, (suseconds_t)(delay_ms % 1000) * 1000};

	d->timer = evtimer_new(rig_base, deliver, d);
	evtimer_add(d->timer, &tv);
}

static void
on_bundle(void *arg, const struct path_bundle *b)
{
	struct end *e = arg;
	struct rig_delivery *d = &e->sent[e->n_sent++];

	assert_true(e->n_sent <= RIG_BUNDLES_MAX);
	d->from = e;
	d->bundle = *b;
	if (e->free_in_bundle) {
		free_path(e);
		return;
	}
	if (e->other == NULL)
		return;
	if (e->reverse && e->n_sent == 1)
		return;
	schedule(d, e->delay_ms);
	if (e->reverse)
		schedule(d - 1, e->delay_ms + 100);
}

static void
on_ready(void *arg)
{
	struct end *e = arg;

	e->n_ready++;
	if (e->free_in_ready)
		free_path(e);
}

static void
on_failed(void *arg, const char *why)
{
	struct end *e = arg;

	e->n_failed++;
	snprintf(e->why, sizeof e->why, "%s", why);
	if (e->free_in_failed)
		free_path(e);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct end *e = arg;

	e->n_datagrams++;
	assert_in_range(len, 1, PATH_DATAGRAM_MAX);
	memcpy(e->last, data, len);
	memset(data, 0xee, len); /* the callee may */
	e->last_len = len;
	if (e->free_in_datagram)
		free_path(e);
}

static void
on_writable(void *arg)
{
	struct end *e = arg;

	e->n_writable++;
}

static void
on_alive(void *arg)
{
	struct end *e = arg;

	e->n_alive++;
}

static void
on_probed(void *arg)
{
	struct end *e = arg;

	e->n_probed++;
}

const struct path_callbacks rig_callbacks = {
    on_bundle, on_ready, on_failed, on_datagram, on_writable, on_alive, on_probed,
};

void
rig_open(struct end *e, struct end *other)
{
	struct err err;

	if (e->cfg.session == NULL)
		e->cfg.session = &no_servers;
	e->other = other;
	e->path = path_new(rig_ctx, &e->cfg, &rig_callbacks, e, &err);
	if (e->path == NULL)
		fail_msg("%s", err.text);
	/* Never from within the call. */
	assert_int_equal(e->n_sent, 0);
}

void
rig_open_pair(struct end *a, struct end *b)
{
	a->cfg.controlling = true;
	rig_open(a, b);
	rig_open(b, a);
}

void
rig_close(struct end *e)
{
	size_t i;

	path_free(e->path);
	e->path = NULL;
	for (i = 0; i < e->n_sent; i++)
		if (e->sent[i].timer != NULL)
			event_free(e->sent[i].timer);
}

static void
on_hang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Run the loop until ${done} says so. */
void
rig_run_until(bool (*done)(void *), void *arg)
{
	struct timeval tv = {HANG_S, 0};
	bool hung = false;
	struct event *hang = evtimer_new(rig_base, on_hang, &hung);

	evtimer_add(hang, &tv);
	while (!done(arg) && !hung)
		event_base_loop(rig_base, EVLOOP_ONCE);
	event_free(hang);
	assert_false(hung);
}

void
rig_run_for(unsigned ms)
{
	struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

	event_base_loopexit(rig_base, &tv);
	while (event_base_dispatch(rig_base) == 0 && !event_base_got_exit(rig_base))
		;
}

bool
rig_all_ready(void *arg)
{
	struct ends *all = arg;
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (all->e[i].n_failed > 0)
			fail_msg("end %zu failed: %s", i, all->e[i].why);
		if (all->e[i].n_ready == 0)
			return false;
	}
	return true;
}

bool
rig_has_datagram(void *arg)
{
	return ((struct end *)arg)->n_datagrams > 0;
}

bool
rig_has_failed(void *arg)
{
	return ((struct end *)arg)->n_failed > 0;
}

bool
rig_has_bundle(void *arg)
{
	return ((struct end *)arg)->n_sent > 0;
}

bool
rig_has_last_bundle(void *arg)
{
	struct end *e = arg;

	return e->n_sent > 0 && e->sent[e->n_sent - 1].bundle.last;
}

bool
rig_is_writable(void *arg)
{
	return ((struct end *)arg)->n_writable > 0;
}

void
rig_send(struct end *from, struct end *to, size_t len)
{
	uint8_t data[PATH_DATAGRAM_MAX];
	size_t i;

	/* First bytes as QUIC has them. */
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(0x40 + (i * 7 + len) % 64);
	to->n_datagrams = 0;
	assert_int_equal(path_send(from->path, data, len, len), len);
	assert_int_equal(to->n_datagrams, 0);
	rig_run_until(rig_has_datagram, to);
	assert_int_equal(to->last_len, len);
	assert_memory_equal(to->last, data, len);
}

void
rig_exchange(struct end *a, struct end *b)
{
	static const size_t sizes[] = {1, 2, 19, 20, 21, 500, 1200, 1252, 1280, 1372};
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		rig_send(a, b, sizes[i]);
		rig_send(b, a, sizes[i]);
	}
}

int
rig_set_up(void **state)
{
	struct err err;

	(void)state;
	rig_base = event_base_new();
	rig_ctx = path_context_new(rig_base, &err);
	return rig_base != NULL && rig_ctx != NULL ? 0 : -1;
}

int
rig_tear_down(void **state)
{
	(void)state;
	path_context_free(rig_ctx);
	event_base_free(rig_base);
	return 0;
}

void
rig_use_hosts(const char *a, const char *b)
{
	rig_ctx->n_hosts = 0;
	addr_parse(&rig_ctx->hosts[rig_ctx->n_hosts++], a, 0);
	if (b != NULL)
		addr_parse(&rig_ctx->hosts[rig_ctx->n_hosts++], b, 0);
}
