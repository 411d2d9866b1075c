#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic_rig.h"

/*
 * The path dies and comes back, the same one. Something outside of QUIC probes it: here
 * that is the test, which knows when it is alive.
 */

#define RTT_NS      (50 * NS_PER_MS)
#define INTERVAL_NS (250 * NS_PER_MS)

static const struct sim_path wan = {.delay_ns = RTT_NS / 2,
				    .rate = 1250000,
				    .queue_bytes = 100000};

static const struct rig_options long_lived = {
    .path = {.delay_ns = RTT_NS / 2, .rate = 1250000, .queue_bytes = 100000},
    .idle_ns = 1800 * NS_PER_S,
    .keep_alive_ns = 5 * NS_PER_S,
};

static void
set_dead(struct rig *r, bool dead)
{
	struct sim_path p = wan;

	p.dead = dead;
	sim_net_set(&r->net, &p);
}

static bool
is_late(struct rig *r, int end)
{
	return quic_is_late(r->end[end].q);
}

/* Run for ${limit_ns} or until ${done}, with probes at both ends: each asks only while
 * it is late; the client revives once an answer came to itself, or the server's probe
 * has made it ask. */
static bool
run_probed(struct rig *r, bool (*done)(struct rig *r), uint64_t limit_ns)
{
	uint64_t until = r->net.now_ns + limit_ns;

	while (r->net.now_ns < until) {
		bool late = is_late(r, 0), prodded = is_late(r, 1);

		if ((late || prodded) && !r->net.path[1].dead) {
			if (rig_run(r, done, late ? RTT_NS : RTT_NS * 3 / 2))
				return true;
			if (!r->net.path[1].dead)
				quic_revive(r->end[0].q, r->net.now_ns);
		}
		if (rig_run(r, done, INTERVAL_NS))
			return true;
	}
	return false;
}

static uint64_t received[2];

/* What is expected has come, at least in part. */
static bool
flows_again(struct rig *r)
{
	for (int end = 0; end < 2; end++) {
		struct flow *f = r->end[end].flows;

		if (r->end[!end].flows->to_send > received[end] &&
		    f->received == received[end])
			return false;
	}
	return true;
}

enum load { BOTH, CLIENT, SERVER, WORDS, LOADS };

/* Start what goes to and fro when the path is cut. */
static struct flow *
start_load(struct rig *r, enum load load)
{
	struct flow *f;

	r->end[1].reply_open = true;
	r->end[1].reply_bytes = load == BOTH || load == SERVER ? 400000000 : 10;
	f = rig_open_half(&r->end[0], load == BOTH || load == CLIENT ? 400000000 : 10);
	rig_flush(r, 0);
	rig_run(r, rig_never, NS_PER_S);
	return f;
}

static void
finish_load(struct rig *r)
{
	for (int end = 0; end < 2; end++) {
		struct flow *f = r->end[end].flows;

		f->to_send = f->written;
		f->keep_open = false;
		rig_pump(f);
		rig_flush(r, end);
	}
	assert_true(run_probed(r, rig_flows_closed, 120 * NS_PER_S));
	for (int end = 0; end < 2; end++) {
		assert_false(r->end[end].flows->corrupt || r->end[end].flows->lost);
		assert_int_equal(r->end[end].flows->received,
				 r->end[!end].flows->written);
	}
}

/* Cut for ${cut_ns}; how long after the end of it everything flows again. */
static uint64_t
cut(struct rig *r, uint64_t cut_ns, enum load load)
{
	uint64_t back;

	set_dead(r, true);
	run_probed(r, rig_never, cut_ns / 2);
	if (load == WORDS)
		for (int end = 0; end < 2; end++) {
			r->end[end].flows->to_send += 10;
			rig_pump(r->end[end].flows);
			rig_flush(r, end);
		}
	run_probed(r, rig_never, cut_ns - cut_ns / 2);
	for (int end = 0; end < 2; end++)
		received[end] = r->end[end].flows->received;
	set_dead(r, false);
	back = r->net.now_ns;
	/* The next probe is not due yet. */
	if (rig_run(r, flows_again, sim_net_random(&r->net, INTERVAL_NS)))
		return r->net.now_ns - back;
	assert_true(run_probed(r, flows_again, 600 * NS_PER_S));
	return r->net.now_ns - back;
}

static void
test_same_path_returns(void **state)
{
	static const uint64_t cut_s[] = {1, 2, 4, 10, 60, 300};
	struct rig_options o = long_lived;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof cut_s / sizeof *cut_s; i++)
		for (enum load load = BOTH; load < LOADS; load++) {
			o.seed = i * LOADS + load;
			rig_start(&r, &o);
			start_load(&r, load);
			assert_in_range(cut(&r, cut_s[i] * NS_PER_S, load), 0,
					2 * RTT_NS + NS_PER_S);
			finish_load(&r);
			rig_free(&r);
		}
}

/* Cuts of all lengths one after the other: nothing runs out, nothing piles up. */
static void
test_flapping(void **state)
{
	struct rig_options o = long_lived;
	struct rig r;

	(void)state;
	for (o.seed = 1; o.seed <= 4; o.seed++) {
		rig_start(&r, &o);
		start_load(&r, BOTH);
		for (int i = 0; i < 60; i++) {
			uint64_t ns = sim_net_random(&r.net, 8 * NS_PER_S);

			if (i % 2 == 0)
				ns /= 16;
			cut(&r, ns, BOTH);
			run_probed(&r, rig_never,
				   sim_net_random(&r.net, NS_PER_S / (1 + i % 7)));
			assert_int_equal(r.end[0].ended + r.end[1].ended, 0);
		}
		finish_load(&r);
		rig_free(&r);
	}
}

/* The path dies again at each step of the return. */
static void
test_cut_while_returning(void **state)
{
	struct rig_options o = long_lived;
	struct rig r;

	(void)state;
	for (uint64_t after = 0; after <= 8 * RTT_NS; after += RTT_NS / 5) {
		o.seed = after / NS_PER_MS + 1;
		rig_start(&r, &o);
		start_load(&r, after % (2 * RTT_NS / 5) == 0 ? BOTH : SERVER);
		set_dead(&r, true);
		run_probed(&r, rig_never, 6 * NS_PER_S);
		set_dead(&r, false);
		run_probed(&r, rig_never, RTT_NS);
		quic_revive(r.end[0].q, r.net.now_ns);
		rig_run(&r, rig_never, after);
		assert_in_range(cut(&r, 5 * NS_PER_S, BOTH), 0, 2 * RTT_NS + NS_PER_S);
		assert_int_equal(r.end[0].ended + r.end[1].ended, 0);
		finish_load(&r);
		rig_free(&r);
	}
}

/* Nothing to say and nothing missing: nobody is late. */
static void
test_idle_is_not_late(void **state)
{
	struct rig_options o = long_lived;
	struct rig r;

	(void)state;
	o.seed = 1;
	rig_start(&r, &o);
	start_load(&r, WORDS);
	for (int i = 0; i < 240; i++) {
		rig_run(&r, rig_never, INTERVAL_NS);
		assert_false(is_late(&r, 0) || is_late(&r, 1));
	}
	finish_load(&r);
	rig_free(&r);
}

/* A program that keeps sending, before any probe timeout, learns as soon as one that waits:
 * every packet starts the timeout anew. */
static void
test_steady_sender_is_late(void **state)
{
	struct rig_options o = long_lived;
	uint64_t dead_ns;
	struct rig r;

	(void)state;
	for (o.seed = 1; o.seed <= 4; o.seed++) {
		rig_start(&r, &o);
		start_load(&r, WORDS);
		set_dead(&r, true);
		dead_ns = r.net.now_ns;
		while (!is_late(&r, 0)) {
			assert_in_range(r.net.now_ns - dead_ns, 0, 2 * NS_PER_S);
			r.end[0].flows->to_send += 100;
			rig_pump(r.end[0].flows);
			rig_flush(&r, 0);
			rig_run(&r, rig_never, RTT_NS / 5);
		}
		assert_in_range(r.net.now_ns - dead_ns, 400 * NS_PER_MS, 2 * NS_PER_S);
		set_dead(&r, false);
		finish_load(&r);
		rig_free(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_idle_is_not_late),
	    cmocka_unit_test(test_steady_sender_is_late),
	    cmocka_unit_test(test_same_path_returns),
	    cmocka_unit_test(test_flapping),
	    cmocka_unit_test(test_cut_while_returning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
