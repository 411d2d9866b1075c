#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "quic_rig.h"

static const struct sim_path wan = {.delay_ns = 25 * NS_PER_MS,
				    .rate = 12500000,
				    .queue_bytes = 1000000};

static const struct sim_path bad_wan = {.delay_ns = 25 * NS_PER_MS,
					.rate = 12500000,
					.queue_bytes = 1000000,
					.loss_ppm = 10000,
					.reorder_ppm = 1000,
					.duplicate_ppm = 1000};

/* Both halves ended well and all arrived as it was sent. */
static void
check_done(const struct flow *f, uint64_t received)
{
	assert_non_null(f);
	assert_true(f->closed);
	assert_true(f->fin);
	assert_true(f->sent);
	assert_int_equal(f->received, received);
	assert_false(f->corrupt || f->lost || f->reset || f->stopped);
}

static void
test_bulk_both_ways(void **state)
{
	struct rig_options o = {.seed = 1, .path = bad_wan};
	struct rig r;
	struct flow *f;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_bytes = 5000000;
	f = rig_open(&r.end[0], 5000001);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	check_done(f, 5000000);
	check_done(rig_peer_flow(f), 5000001);
	rig_free(&r);
}

static void
test_200_streams(void **state)
{
	struct rig_options o = {.seed = 2, .path = bad_wan};
	struct quic_info info;
	uint64_t balance = 0;
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[0].reply_bytes = 30000;
	r.end[1].reply_bytes = 20000;
	for (uint64_t i = 0; i < 100; i++) {
		assert_non_null(rig_open(&r.end[0], 100 * i));
		assert_non_null(rig_open(&r.end[1], 300 * i));
	}
	rig_flush(&r, 0);
	rig_flush(&r, 1);
	quic_get_info(r.end[0].q, &info);
	assert_int_equal(info.streams, 100);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	for (int e = 0; e < 2; e++) {
		for (f = r.end[e].flows; f != NULL; f = f->next) {
			check_done(f, f->received);
			balance += f->to_send;
			balance -= f->received;
		}
		assert_int_equal(r.end[e].opened, 100);
		quic_get_info(r.end[e].q, &info);
		assert_int_equal(info.streams, 0);
	}
	assert_int_equal(balance, 0);
	rig_free(&r);
}

static bool
fin_at_server(struct rig *r)
{
	return r->end[1].flows != NULL && r->end[1].flows->fin;
}

static void
test_half_close(void **state)
{
	struct rig_options o = {.seed = 3, .path = bad_wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_open = true;
	/* The opener's half ends at once, the other goes on for long. */
	f = rig_open(&r.end[0], 0);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, fin_at_server, 5 * NS_PER_S));
	g = rig_peer_flow(f);
	assert_int_equal(g->received, 0);
	for (int i = 0; i < 20; i++) {
		g->to_send += 50000;
		rig_pump(g);
		rig_flush(&r, 1);
		rig_run(&r, rig_never, NS_PER_S);
		assert_false(f->closed || g->closed || f->fin);
		assert_true(f->sent);
	}
	g->keep_open = false;
	rig_pump(g);
	rig_flush(&r, 1);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	check_done(f, 1000000);
	check_done(g, 0);
	rig_free(&r);
}

static bool
fin_at_client(struct rig *r)
{
	return r->end[0].flows->fin;
}

static void
test_half_close_the_other_way(void **state)
{
	struct rig_options o = {.seed = 4, .path = bad_wan};
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_bytes = 100000;
	f = rig_open_half(&r.end[0], 10);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, fin_at_client, 5 * NS_PER_S));
	f->to_send = 500000;
	f->keep_open = false;
	rig_pump(f);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	check_done(f, 100000);
	check_done(rig_peer_flow(f), 500000);
	rig_free(&r);
}

/* Data and FIN in separate packets, lost or not: stream_sent() comes, once. */
static void
test_late_fin(void **state)
{
	struct rig_options o = {.seed = 5, .path = wan};
	struct flow *f;
	struct rig r;

	(void)state;
	o.path.loss_ppm = 200000;
	rig_start(&r, &o);
	for (unsigned i = 0; i < 200; i++) {
		f = rig_open_half(&r.end[0], 30);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, (i % 4) * 20 * NS_PER_MS);
		f->keep_open = false;
		rig_pump(f);
		rig_flush(&r, 0);
	}
	assert_true(rig_run(&r, rig_flows_closed, 120 * NS_PER_S));
	for (f = r.end[0].flows; f != NULL; f = f->next)
		check_done(f, 0);
	rig_free(&r);
}

/* The first stream at the server that is stalled. */
static struct flow *stalled;

static bool
others_closed(struct rig *r)
{
	for (int i = 0; i < 2; i++)
		for (struct flow *f = r->end[i].flows; f != NULL; f = f->next)
			if (!f->closed && f != stalled &&
			    (stalled == NULL || f != rig_peer_flow(stalled)))
				return false;
	return true;
}

static bool
has_stalled(struct rig *r)
{
	stalled = r->end[1].flows;
	return stalled != NULL;
}

static void
test_stalled_reader(void **state)
{
	const uint64_t bytes = 40000000;
	struct rig_options o = {.seed = 6, .path = wan};
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_stall = true;
	f = rig_open(&r.end[0], bytes);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, has_stalled, NS_PER_S));
	r.end[1].reply_stall = false;
	rig_run(&r, rig_never, 10 * NS_PER_S);
	assert_in_range(stalled->received, QUIC_STREAM_WINDOW_INITIAL / 2,
			QUIC_STREAM_WINDOW_MAX);
	assert_in_range(f->written, stalled->received,
			QUIC_STREAM_WINDOW_MAX + QUIC_SEND_BUFFER_MAX);
	/* Nobody else suffers. */
	for (int i = 0; i < 10; i++)
		rig_open(&r.end[0], 2000000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, others_closed, 20 * NS_PER_S));
	assert_false(f->closed || stalled->closed);
	rig_unstall(stalled);
	rig_flush(&r, 1);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	check_done(stalled, bytes);
	stalled = NULL;
	rig_free(&r);
}

/* Owners that hold back more than a connection allows stop it, and no more. */
static void
test_held_bytes_are_bounded(void **state)
{
	struct rig_options o = {.seed = 7, .path = {.delay_ns = NS_PER_MS}};
	uint64_t held = 0;
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	/* First let the windows grow. */
	rig_open(&r.end[0], 100000000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	r.end[1].reply_stall = true;
	for (int i = 0; i < 400; i++)
		rig_open(&r.end[0], 1000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 10 * NS_PER_S);
	for (f = r.end[1].flows; f != NULL; f = f->next)
		held += f->stalled_bytes;
	assert_in_range(held, QUIC_RECEIVED_MAX, QUIC_RECEIVED_MAX + QUIC_WINDOW_MAX);
	r.end[1].reply_stall = false;
	for (f = r.end[1].flows; f != NULL; f = f->next)
		if (f->s != NULL)
			rig_unstall(f);
	rig_flush(&r, 1);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	for (f = r.end[0].flows; f != NULL; f = f->next)
		check_done(f, 0);
	rig_free(&r);
}

/* A stream that ended well is closed only when its owner has got rid of everything. */
static void
test_close_waits_for_consumption(void **state)
{
	struct rig_options o = {.seed = 8, .path = wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_stall = true;
	f = rig_open(&r.end[0], 1000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 5 * NS_PER_S);
	g = rig_peer_flow(f);
	assert_true(f->closed && g->fin && g->sent);
	assert_false(g->closed);
	rig_unstall(g);
	assert_false(g->closed);
	rig_flush(&r, 1);
	check_done(g, 1000);
	rig_free(&r);
}

static void
test_abort_by_opener(void **state)
{
	struct rig_options o = {.seed = 9, .path = bad_wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_bytes = 50000000;
	f = rig_open(&r.end[0], 50000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	g = rig_peer_flow(f);
	quic_stream_abort(f->s, QUIC_CODE_ABORTED);
	quic_stream_abort(f->s, QUIC_CODE_CANCELLED);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	assert_true(g->reset);
	assert_int_equal(g->reset_code, QUIC_CODE_ABORTED);
	assert_false(f->lost || g->lost || f->fin || g->fin || g->corrupt || f->reset);
	/* What was under way has given its credit back. */
	r.end[1].reply_bytes = 0;
	f = rig_open(&r.end[0], 20000000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 20 * NS_PER_S));
	check_done(f, 0);
	rig_free(&r);
}

/* Only STOP_SENDING is left to send: the opener has long ended its half. */
static void
test_abort_after_fin(void **state)
{
	struct rig_options o = {.seed = 10, .path = wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_open = true;
	f = rig_open(&r.end[0], 100);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	assert_true(f->sent);
	g = rig_peer_flow(f);
	quic_stream_abort(f->s, QUIC_CODE_CANCELLED);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	assert_true(g->stopped);
	assert_false(g->reset || g->lost);
	rig_free(&r);
}

/* The same, found out by writing. */
static void
test_stopped_writer(void **state)
{
	struct rig_options o = {.seed = 11, .path = wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_bytes = 50000000;
	f = rig_open(&r.end[0], 100);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	g = rig_peer_flow(f);
	assert_false(g->finished);
	quic_stream_abort(f->s, QUIC_CODE_CANCELLED);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	assert_true(g->stopped && g->fin);
	assert_false(g->sent || g->lost);
	rig_free(&r);
}

/* A stream that is cancelled before anything of it was sent leaves nothing behind. */
static void
test_cancel_before_data(void **state)
{
	struct rig_options o = {.seed = 12, .path = wan};
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	f = rig_open(&r.end[0], 100);
	quic_stream_abort(f->s, QUIC_CODE_CANCELLED);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	assert_int_equal(r.end[1].opened, 1);
	assert_int_equal(r.end[1].flows->received, 0);
	assert_false(r.end[1].flows->fin);
	rig_free(&r);
}

static void
test_refused_stream(void **state)
{
	struct rig_options o = {.seed = 13, .path = wan};
	struct quic_info info;
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].refuse = true;
	f = rig_open(&r.end[0], 5000000);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 5 * NS_PER_S));
	assert_true(f->reset);
	assert_int_equal(f->reset_code, QUIC_CODE_LIMIT);
	assert_int_equal(r.end[1].opened, 1);
	rig_run(&r, rig_never, NS_PER_S);
	quic_get_info(r.end[1].q, &info);
	assert_int_equal(info.streams, 0);
	rig_free(&r);
}

/* What comes for a stream without an owner is thrown away, and nothing gets stuck. */
static void
test_owner_gone(void **state)
{
	struct rig_options o = {.seed = 14, .path = wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_stall = true;
	f = rig_open(&r.end[0], 60000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	g = rig_peer_flow(f);
	quic_stream_set_arg(g->s, NULL);
	g->closed = true;
	rig_flush(&r, 1);
	assert_true(rig_run(&r, rig_flows_closed, 30 * NS_PER_S));
	assert_true(f->sent);
	rig_free(&r);
}

static void
test_lost_connection(void **state)
{
	struct rig_options o = {.seed = 15, .path = wan};
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].reply_stall = true;
	for (int i = 0; i < 50; i++)
		rig_open(&r.end[0], 100000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 60 * NS_PER_MS);
	quic_close(r.end[1].q, QUIC_CODE_REPLACED, "replaced", r.net.now_ns);
	assert_true(rig_run(&r, rig_ended, NS_PER_S));
	for (int i = 0; i < 2; i++)
		for (f = r.end[i].flows; f != NULL; f = f->next)
			assert_true(f->closed && f->lost);
	rig_free(&r);
}

/* More streams one after the other than may be open at once. */
static void
test_stream_credit_comes_back(void **state)
{
	struct rig_options o = {.seed = 16, .path = {.delay_ns = NS_PER_MS}};
	unsigned n = 0;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	while (quic_stream_open(r.end[0].q, NULL) != NULL)
		n++;
	assert_int_equal(n, QUIC_STREAMS_MAX);
	rig_free(&r);

	rig_start(&r, &o);
	for (int i = 0; i < 3; i++) {
		for (n = 0; n < QUIC_STREAMS_MAX / 2; n++)
			assert_non_null(rig_open(&r.end[0], 10));
		rig_flush(&r, 0);
		assert_true(rig_run(&r, rig_flows_closed, 20 * NS_PER_S));
		rig_run(&r, rig_never, NS_PER_S);
	}
	assert_int_equal(r.end[1].opened, 3 * (QUIC_STREAMS_MAX / 2));
	rig_free(&r);
}

/* Streams share the path evenly, and a short one is not held up by long ones. */
static void
test_fairness(void **state)
{
	struct rig_options o = {.seed = 17, .path = wan};
	struct flow *f, *g;
	uint64_t least = UINT64_MAX, most = 0, t;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	for (int i = 0; i < 5; i++)
		rig_open(&r.end[0], 100000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 3 * NS_PER_S);
	for (f = r.end[1].flows; f != NULL; f = f->next) {
		least = f->received < least ? f->received : least;
		most = f->received > most ? f->received : most;
	}
	assert_in_range(most, least, least + least / 4);
	f = rig_open(&r.end[0], 60);
	rig_flush(&r, 0);
	t = r.net.now_ns;
	do {
		rig_run(&r, rig_never, NS_PER_MS);
		g = rig_peer_flow(f);
	} while (g == NULL || !g->fin);
	assert_in_range(r.net.now_ns - t, 25 * NS_PER_MS, 300 * NS_PER_MS);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bulk_both_ways),
	    cmocka_unit_test(test_200_streams),
	    cmocka_unit_test(test_half_close),
	    cmocka_unit_test(test_half_close_the_other_way),
	    cmocka_unit_test(test_late_fin),
	    cmocka_unit_test(test_stalled_reader),
	    cmocka_unit_test(test_held_bytes_are_bounded),
	    cmocka_unit_test(test_close_waits_for_consumption),
	    cmocka_unit_test(test_abort_by_opener),
	    cmocka_unit_test(test_abort_after_fin),
	    cmocka_unit_test(test_stopped_writer),
	    cmocka_unit_test(test_cancel_before_data),
	    cmocka_unit_test(test_refused_stream),
	    cmocka_unit_test(test_owner_gone),
	    cmocka_unit_test(test_lost_connection),
	    cmocka_unit_test(test_stream_credit_comes_back),
	    cmocka_unit_test(test_fairness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
