#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "quic_rig.h"

/* RFC 9001, 4.8 */
#define CRYPTO_ERROR 0x100

static const struct sim_path wan = {.delay_ns = 25 * NS_PER_MS,
				    .rate = 12500000,
				    .queue_bytes = 1000000};

static void
test_handshake_and_close(void **state)
{
	struct rig_options o = {.seed = 1, .path = wan};
	struct quic_info info;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	assert_int_equal(r.end[0].established, 1);
	assert_int_equal(r.end[1].established, 1);
	quic_get_info(r.end[0].q, &info);
	assert_true(info.established);
	assert_int_equal(info.path, 1);
	assert_in_range(info.smoothed_rtt_ns, 50 * NS_PER_MS, 60 * NS_PER_MS);
	assert_int_equal(info.datagrams_dropped, 0);
	assert_in_range(info.last_received_ns, 1, r.net.now_ns);
	quic_close(r.end[0].q, QUIC_CODE_SHUTDOWN, "bye", r.net.now_ns);
	assert_int_equal(r.end[0].ended, 1);
	assert_false(r.end[0].why.by_peer);
	assert_int_equal(quic_expiry(r.end[0].q), CLOCK_NEVER);
	assert_true(rig_run(&r, rig_ended, NS_PER_S));
	assert_true(r.end[1].why.by_peer);
	assert_true(r.end[1].why.application);
	assert_int_equal(r.end[1].why.code, QUIC_CODE_SHUTDOWN);
	assert_string_equal(r.end[1].why.text, "the peer closed the connection: bye");
	/* Nothing has any effect any more. */
	quic_close(r.end[0].q, QUIC_CODE_SHUTDOWN, "again", r.net.now_ns);
	quic_flush(r.end[0].q, r.net.now_ns);
	quic_expire(r.end[0].q, r.net.now_ns);
	assert_null(quic_stream_open(r.end[0].q, &r));
	assert_int_equal(r.end[0].ended, 1);
	rig_free(&r);
}

/* Every third datagram is lost: the handshake takes longer, that is all. */
static void
test_handshake_on_a_bad_path(void **state)
{
	struct rig_options o = {.path = wan};
	struct rig r;

	(void)state;
	o.path.loss_ppm = 300000;
	o.path.reorder_ppm = 200000;
	o.path.duplicate_ppm = 200000;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		o.seed = seed;
		rig_start(&r, &o);
		rig_free(&r);
	}
}

/* Run a handshake that ${culprit}'s peer must end; what the two say of it. */
static void
refused(struct rig_options *o, int refuser, const char *text)
{
	struct rig r;
	struct rig_end *a, *b;

	o->seed = 3;
	o->path = wan;
	assert_int_equal(rig_init(&r, o), 0);
	assert_true(rig_run(&r, rig_ended, 30 * NS_PER_S));
	a = &r.end[refuser];
	b = &r.end[!refuser];
	assert_false(a->why.by_peer);
	assert_false(a->why.application);
	assert_in_range(a->why.code, CRYPTO_ERROR + 1, CRYPTO_ERROR + 255);
	assert_non_null(strstr(a->why.text, text));
	assert_int_equal(a->established, 0);
	assert_true(b->why.by_peer);
	assert_int_equal(b->why.code, a->why.code);
	assert_non_null(strstr(b->why.text, "the peer ended the handshake"));
	assert_int_equal(b->established, 0);
	assert_int_equal(a->ended, 1);
	assert_int_equal(b->ended, 1);
	rig_free(&r);
}

static void
test_wrong_server_key(void **state)
{
	struct rig_options o = {.wrong_key = {false, true}};

	(void)state;
	refused(&o, 0, "roster");
}

static void
test_wrong_client_key(void **state)
{
	struct rig_options o = {.wrong_key = {true, false}};

	(void)state;
	refused(&o, 1, "roster");
}

static void
test_no_client_certificate(void **state)
{
	struct rig_options o = {.no_certificate = true};

	(void)state;
	refused(&o, 1, "certificate");
}

static void
test_wrong_alpn(void **state)
{
	struct rig_options o = {.alpn = {"other/1", NULL}};

	(void)state;
	refused(&o, 1, "ALPN");
}

/* A server answers another version with the one it speaks, and goes on waiting. */
static void
test_other_version(void **state)
{
	struct rig_options o = {.seed = 4, .path = wan};
	struct sim_datagram *d;
	struct rig r;
	uint8_t packet[1500];
	size_t len;

	(void)state;
	assert_int_equal(rig_init(&r, &o), 0);
	rig_flush(&r, 0);
	r.net.now_ns += 50 * NS_PER_MS;
	d = sim_net_take(&r.net, 1);
	assert_non_null(d);
	len = d->len;
	memcpy(packet, d->data, len);
	memcpy(d->data + 1, "\xba\xba\xba\xba", 4);
	quic_receive(r.end[1].q, 1, d->data, d->len, false, r.net.now_ns);
	free(d);
	r.net.now_ns += 50 * NS_PER_MS;
	d = sim_net_take(&r.net, 0);
	assert_non_null(d);
	/* It lists our version: the client rightly takes no notice (RFC 9000, 6.2). */
	quic_receive(r.end[0].q, 1, d->data, d->len, false, r.net.now_ns);
	assert_int_equal(r.end[0].ended, 0);
	/* A server that really has no version 1. */
	memcpy(d->data + d->len - 4, "\xba\xba\xba\xba", 4);
	quic_receive(r.end[0].q, 1, d->data, d->len, false, r.net.now_ns);
	free(d);
	assert_int_equal(r.end[0].ended, 1);
	assert_non_null(strstr(r.end[0].why.text, "version 1"));
	/* And the server takes the next client. */
	assert_int_equal(r.end[1].ended, 0);
	quic_receive(r.end[1].q, 1, packet, len, false, r.net.now_ns);
	assert_true(r.end[1].datagrams > 1);
	rig_free(&r);
}

static void
throw_garbage(struct rig *r, int end, unsigned n)
{
	uint8_t junk[1500];

	while (n-- > 0) {
		size_t len = 1 + sim_net_random(&r->net, sizeof junk - 1);

		for (size_t i = 0; i < len; i++)
			junk[i] = (uint8_t)sim_net_random(&r->net, 256);
		/* Some of it looks like QUIC version 1. */
		if (len > 5 && n % 2 == 0)
			memcpy(junk, n % 4 == 0 ? "\xc0\0\0\0\1" : "\xe0\0\0\0\1", 5);
		quic_receive(r->end[end].q, 1, junk, len, n % 3 == 0, r->net.now_ns);
	}
	quic_receive(r->end[end].q, 1, junk, 0, false, r->net.now_ns);
}

static void
test_garbage(void **state)
{
	struct rig_options o = {.seed = 5, .path = wan};
	struct quic_info info;
	struct rig r;
	struct flow *f;

	(void)state;
	assert_int_equal(rig_init(&r, &o), 0);
	throw_garbage(&r, 0, 500);
	throw_garbage(&r, 1, 500);
	assert_true(rig_run(&r, rig_established, 20 * NS_PER_S));
	throw_garbage(&r, 0, 500);
	throw_garbage(&r, 1, 500);
	f = rig_open(&r.end[0], 100000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 10 * NS_PER_S));
	assert_true(rig_peer_flow(f)->fin);
	quic_get_info(r.end[1].q, &info);
	assert_int_equal(info.datagrams_dropped, 1002);
	assert_int_equal(r.end[0].ended + r.end[1].ended, 0);
	rig_free(&r);
}

static void
test_silence(void **state)
{
	struct rig_options o = {.seed = 6, .path = wan, .idle_ns = 10 * NS_PER_S};
	struct rig r;
	struct flow *f;
	uint64_t t;

	(void)state;
	rig_start(&r, &o);
	f = rig_open(&r.end[0], 50000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	t = r.net.now_ns;
	r.net.path[1].dead = true;
	assert_true(rig_run(&r, rig_ended, 60 * NS_PER_S));
	assert_true(r.end[0].why.silence && r.end[1].why.silence);
	assert_in_range(r.net.now_ns - t, 9 * NS_PER_S, 11 * NS_PER_S);
	assert_true(f->closed && f->lost);
	assert_true(r.end[1].flows->lost);
	assert_non_null(strstr(r.end[0].why.text, "nothing was heard"));
	rig_free(&r);
}

static void
test_keep_alive(void **state)
{
	struct rig_options o = {.seed = 7, .path = wan, .idle_ns = 10 * NS_PER_S};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	assert_true(rig_run(&r, rig_ended, 30 * NS_PER_S));
	rig_free(&r);

	o.keep_alive_ns = 3 * NS_PER_S;
	rig_start(&r, &o);
	assert_false(rig_run(&r, rig_ended, 300 * NS_PER_S));
	assert_in_range(r.end[0].datagrams + r.end[1].datagrams, 100, 1000);
	rig_free(&r);
}

/* A server to which nobody comes, and a client whom nobody answers. */
static void
test_nobody_there(void **state)
{
	struct rig_options o = {.seed = 8, .path = wan};
	struct rig r;

	(void)state;
	o.path.dead = true;
	assert_int_equal(rig_init(&r, &o), 0);
	assert_true(rig_run(&r, rig_ended, 120 * NS_PER_S));
	assert_non_null(strstr(r.end[0].why.text, "handshake in time"));
	rig_free(&r);
}

static void
test_blocked_path(void **state)
{
	struct rig_options o = {.seed = 9, .path = wan};
	struct rig r;
	struct flow *f, *g;
	unsigned timers;

	(void)state;
	rig_start(&r, &o);
	f = rig_open(&r.end[0], 3000000);
	for (unsigned i = 0; i < 500; i++) {
		r.end[0].path_room = i % 13;
		rig_flush(&r, 0);
		rig_run(&r, rig_never, 5 * NS_PER_MS);
	}
	/* A path that takes nothing for a while costs no CPU: no timer spins. */
	r.end[0].path_room = 0;
	timers = r.end[0].timers;
	rig_run(&r, rig_never, 3 * NS_PER_S);
	assert_in_range(r.end[0].timers - timers, 0, 500);
	r.end[0].path_room = SIZE_MAX;
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	g = rig_peer_flow(f);
	assert_int_equal(g->received, 3000000);
	assert_false(g->corrupt);
	rig_free(&r);
}

/* From within callbacks. */

static void
close_on_data(struct flow *f, size_t len)
{
	(void)len;
	quic_close(f->end->q, QUIC_CODE_PROTOCOL, "enough", f->end->rig->net.now_ns);
	quic_stream_abort(f->s, QUIC_CODE_ABORTED);
	assert_int_equal(f->end->ended, 0);
	assert_null(quic_stream_open(f->end->q, f));
}

static void
test_close_from_callback(void **state)
{
	struct rig_options o = {.seed = 10, .path = wan};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].hook = close_on_data;
	rig_open(&r.end[0], 1000000);
	rig_open(&r.end[0], 1000000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_ended, 10 * NS_PER_S));
	assert_int_equal(r.end[0].why.code, QUIC_CODE_PROTOCOL);
	assert_true(r.end[0].why.by_peer);
	assert_true(rig_flows_closed(&r));
	rig_free(&r);
}

/* Everything an owner may do, done while a datagram is being read. */
static void
busy_on_data(struct flow *f, size_t len)
{
	struct rig_end *e = f->end;
	struct sim_net *net = &e->rig->net;
	struct flow *g;

	(void)len;
	switch (sim_net_random(net, 6)) {
	case 0:
		if (e->opened + e->rig->end[!e->index].opened < 500)
			rig_open(e, sim_net_random(net, 30000));
		break;
	case 1:
		for (g = e->flows; g != NULL; g = g->next) {
			if (!g->closed && sim_net_random(net, 20) == 0) {
				quic_stream_abort(g->s, QUIC_CODE_CANCELLED);
				break;
			}
		}
		break;
	case 2:
		quic_flush(e->q, net->now_ns);
		quic_expire(e->q, net->now_ns);
		break;
	case 3:
		quic_stream_consumed(f->s, 10);
		break;
	case 4:
		quic_stream_finish(f->s);
		f->finished = true;
		f->to_send = f->written;
		break;
	default:
		quic_stream_write(f->s, "more", 4);
		break;
	}
}

static void
test_busy_callbacks(void **state)
{
	struct rig_options o = {.path = wan};
	struct rig r;

	(void)state;
	o.path.loss_ppm = 20000;
	for (uint64_t seed = 100; seed < 110; seed++) {
		o.seed = seed;
		rig_start(&r, &o);
		r.end[0].hook = r.end[1].hook = busy_on_data;
		r.end[0].reply_bytes = r.end[1].reply_bytes = 20000;
		for (int i = 0; i < 20; i++)
			rig_open(&r.end[i % 2], 100000);
		rig_flush(&r, 0);
		rig_flush(&r, 1);
		assert_true(rig_run(&r, rig_flows_closed, 120 * NS_PER_S));
		if (r.end[0].ended + r.end[1].ended > 0)
			fail_msg("%s; %s", r.end[0].why.text, r.end[1].why.text);
		rig_free(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake_and_close),
	    cmocka_unit_test(test_handshake_on_a_bad_path),
	    cmocka_unit_test(test_wrong_server_key),
	    cmocka_unit_test(test_wrong_client_key),
	    cmocka_unit_test(test_no_client_certificate),
	    cmocka_unit_test(test_wrong_alpn),
	    cmocka_unit_test(test_other_version),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_silence),
	    cmocka_unit_test(test_keep_alive),
	    cmocka_unit_test(test_nobody_there),
	    cmocka_unit_test(test_blocked_path),
	    cmocka_unit_test(test_close_from_callback),
	    cmocka_unit_test(test_busy_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
