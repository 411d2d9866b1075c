#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "quic_rig.h"

/* Simulated time is exact, so these figures are the same on every machine; the bounds
 * are far from them and catch a collapse, not a change. */

static const struct sim_path wan = {.delay_ns = 25 * NS_PER_MS,
				    .rate = 12500000,
				    .queue_bytes = 1000000};

static void
test_throughput(void **state)
{
	static const struct {
		unsigned loss_ppm;
		double least_mbit;
	} cases[] = {{0, 50}, {1000, 40}, {10000, 20}};
	const uint64_t bytes = 20000000;
	struct rig_options o = {.seed = 1, .path = wan};
	struct quic_info info;
	double mbit;
	uint64_t t;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		o.path.loss_ppm = cases[i].loss_ppm;
		rig_start(&r, &o);
		t = r.net.now_ns;
		rig_open(&r.end[0], bytes);
		rig_flush(&r, 0);
		assert_true(rig_run(&r, rig_flows_closed, 600 * NS_PER_S));
		mbit = (double)bytes * 8e3 / (double)(r.net.now_ns - t);
		quic_get_info(r.end[0].q, &info);
		print_message("100 Mbit/s, 50 ms, loss %.1f %%: %.0f Mbit/s, %zu-byte "
			      "datagrams, %llu lost, %.1f for an acknowledgement\n",
			      cases[i].loss_ppm / 1e4, mbit, info.datagram_bytes,
			      (unsigned long long)info.packets_lost,
			      (double)r.end[0].datagrams / (double)r.end[1].datagrams);
		assert_true(mbit > cases[i].least_mbit);
		/* Each costs both ends as much as a packet with data. */
		assert_true(r.end[1].datagrams * 5 < r.end[0].datagrams);
		rig_free(&r);
	}
}

static struct flow *pinger;
static unsigned rounds;

static void
next_round(struct flow *f, size_t len)
{
	(void)len;
	if (f == pinger && f->received == f->to_send) {
		rounds++;
		f->to_send += 20;
		rig_pump(f);
	}
}

static bool
thousand_rounds(struct rig *r)
{
	(void)r;
	return rounds >= 1000;
}

static struct flow *bulk;

static bool
bulk_arrived(struct rig *r)
{
	(void)r;
	return rig_peer_flow(bulk) != NULL && rig_peer_flow(bulk)->fin;
}

/* Small messages do not let the estimate of the path's bandwidth decay. */
static void
test_bulk_after_small_rounds(void **state)
{
	struct rig_options o = {.path = wan};
	uint64_t t, each, transfer;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		o.seed = seed;
		o.path.loss_ppm = seed == 1 ? 0 : 1000;
		rig_start(&r, &o);
		r.end[1].echo = r.end[1].reply_open = true;
		r.end[0].hook = next_round;
		rounds = 0;
		t = r.net.now_ns;
		pinger = rig_open_half(&r.end[0], 20);
		rig_flush(&r, 0);
		assert_true(rig_run(&r, thousand_rounds, 300 * NS_PER_S));
		each = (r.net.now_ns - t) / 1000;
		r.end[1].echo = r.end[1].reply_open = false;
		bulk = rig_open(&r.end[0], 2000000);
		t = r.net.now_ns;
		rig_flush(&r, 0);
		assert_true(rig_run(&r, bulk_arrived, 300 * NS_PER_S));
		transfer = r.net.now_ns - t;
		print_message("rounds of %.3f ms, then 2 MB in %.2f s\n",
			      (double)each / 1e6, (double)transfer / 1e9);
		assert_in_range(each, 50 * NS_PER_MS, 52 * NS_PER_MS);
		assert_in_range(transfer, 160 * NS_PER_MS, NS_PER_S);
		rig_free(&r);
	}
}

static int
by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
pinger_arrived(struct rig *r)
{
	(void)r;
	return rig_peer_flow(pinger) != NULL &&
	       rig_peer_flow(pinger)->received == pinger->to_send;
}

static void
send_more(struct flow *f, uint64_t bytes)
{
	f->to_send += bytes;
	rig_pump(f);
	rig_flush(f->end->rig, f->end->index);
}

/* Small messages on a stream beside one that has always more to send: they wait in the
 * queue before the bottleneck, of which the bulk is to take less than half. */
static void
test_beside_bulk(void **state)
{
	struct rig_options o = {.path = wan};
	uint64_t added[100], received, t, start;
	struct rig r;
	size_t i;

	(void)state;
	o.path.queue_bytes = o.path.rate / 20; /* 50 ms */
	for (uint64_t seed = 1; seed <= 3; seed++) {
		o.seed = seed;
		o.path.loss_ppm = seed == 3 ? 10000 : 0;
		rig_start(&r, &o);
		bulk = rig_open_half(&r.end[0], UINT64_MAX);
		pinger = rig_open_half(&r.end[0], 64);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, 3 * NS_PER_S);
		received = rig_peer_flow(bulk)->received;
		start = r.net.now_ns;
		for (i = 0; i < 100; i++) {
			t = r.net.now_ns;
			send_more(pinger, 64);
			assert_true(rig_run(&r, pinger_arrived, NS_PER_S));
			added[i] = r.net.now_ns - t - wan.delay_ns;
			rig_run(&r, rig_never, 37 * NS_PER_MS);
		}
		qsort(added, 100, sizeof added[0], by_size);
		received = rig_peer_flow(bulk)->received - received;
		t = r.net.now_ns - start;
		print_message("beside %.0f Mbit/s: %.1f ms more, a tenth %.1f\n",
			      (double)received * 8e3 / (double)t, (double)added[50] / 1e6,
			      (double)added[90] / 1e6);
		assert_in_range(added[50], 0, 25 * NS_PER_MS);
		assert_true((double)received * 8e3 / (double)t > 80);
		rig_free(&r);
	}
}

/* On a LAN an acknowledgement goes with the answer, and without one soon after. */
static void
test_lone_acknowledgements(void **state)
{
	struct rig_options o = {.seed = 1, .path = {.delay_ns = 50 * NS_PER_US}};
	struct flow *quiet;
	uint64_t before[2], t;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	r.end[1].echo = r.end[1].reply_open = true;
	r.end[0].hook = next_round;
	rounds = 0;
	for (int i = 0; i < 2; i++)
		before[i] = r.end[i].datagrams;
	pinger = rig_open_half(&r.end[0], 20);
	rig_flush(&r, 0);
	t = r.net.now_ns;
	assert_true(rig_run(&r, thousand_rounds, NS_PER_S));
	/* Nor is anything held back: 0.1 ms a round. */
	assert_in_range(r.net.now_ns - t, 99 * NS_PER_MS, 110 * NS_PER_MS);
	for (int i = 0; i < 2; i++)
		assert_in_range(r.end[i].datagrams - before[i], 1000, 1100);
	r.end[1].echo = false;
	r.end[0].hook = NULL;
	rig_run(&r, rig_never, 20 * NS_PER_MS);
	quiet = rig_open_half(&r.end[0], 20);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 500 * NS_PER_US);
	assert_int_equal(quic_stream_unacked(quiet->s), 20);
	rig_run(&r, rig_never, 6 * NS_PER_MS);
	assert_int_equal(quic_stream_unacked(quiet->s), 0);
	rig_free(&r);
}

/* Messages one after the other, as a round of MPyC sends them, are acknowledged together,
 * and soon; on a LAN those that fill packets are at once. */
static void
test_several_small_messages(void **state)
{
	const struct sim_path paths[] = {{.delay_ns = 50 * NS_PER_US}, wan};
	struct rig_options o = {.seed = 1};
	uint64_t before;
	struct flow *f;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		o.path = paths[i];
		rig_start(&r, &o);
		f = rig_open_half(&r.end[0], 20);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, 300 * NS_PER_MS);
		before = r.end[1].datagrams;
		for (int n = 0; n < 5; n++) {
			send_more(f, 20);
			rig_run(&r, rig_never, 900 * NS_PER_US);
		}
		assert_int_equal(quic_stream_unacked(f->s), 100);
		rig_run(&r, rig_never, 6 * NS_PER_MS + 2 * o.path.delay_ns);
		assert_int_equal(quic_stream_unacked(f->s), 0);
		assert_int_equal(r.end[1].datagrams - before, 1);
		send_more(f, 3000);
		rig_run(&r, rig_never, NS_PER_MS / 2);
		if (i == 0)
			assert_in_range(quic_stream_unacked(f->s), 0, 1500);
		rig_free(&r);
	}
}

/* One message from ${f}'s end, and what its program takes to think about it. */
static void
say(struct flow *f)
{
	pinger = f;
	send_more(f, 20);
	assert_true(rig_run(f->end->rig, pinger_arrived, NS_PER_S));
	rig_run(f->end->rig, rig_never, 20 * NS_PER_US);
}

/* An acknowledgement that comes before a message does not make two of them: both ends
 * would answer in two packets from then on. */
static void
test_acknowledgement_before_message(void **state)
{
	struct rig_options o = {.seed = 1, .path = {.delay_ns = 50 * NS_PER_US}};
	struct flow *flow[2];
	uint64_t before[2];
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	/* Both speak first, and acknowledge that. */
	for (int i = 0; i < 2; i++) {
		flow[i] = rig_open_half(&r.end[i], 20);
		rig_flush(&r, i);
	}
	for (int i = 0; i < 2; i++)
		before[i] = r.end[i].datagrams;
	for (int n = 0; n < 100; n++) {
		say(flow[0]);
		say(flow[1]);
	}
	for (int i = 0; i < 2; i++)
		assert_in_range(r.end[i].datagrams - before[i], 100, 110);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_throughput),
	    cmocka_unit_test(test_bulk_after_small_rounds),
	    cmocka_unit_test(test_beside_bulk),
	    cmocka_unit_test(test_lone_acknowledgements),
	    cmocka_unit_test(test_several_small_messages),
	    cmocka_unit_test(test_acknowledgement_before_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
