#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic_rig.h"

static const struct sim_path wan = {.delay_ns = 25 * NS_PER_MS,
				    .rate = 12500000,
				    .queue_bytes = 1000000};

static bool
moved(struct rig *r)
{
	return r->end[0].migrated_ok + r->end[0].migrated_failed > 0;
}

static uint32_t
path_of(struct rig *r, int end)
{
	struct quic_info info;

	quic_get_info(r->end[end].q, &info);
	return info.path;
}

/* Move to ${path} and wait for the verdict. */
static bool
move(struct rig *r, uint32_t path)
{
	r->end[0].migrated_ok = r->end[0].migrated_failed = 0;
	assert_int_equal(quic_migrate(r->end[0].q, path, false, r->net.now_ns), 0);
	assert_true(rig_run(r, moved, 30 * NS_PER_S));
	assert_int_equal(r->end[0].migrated_path, path);
	assert_int_equal(r->end[0].migrated_ok + r->end[0].migrated_failed, 1);
	return r->end[0].migrated_ok == 1;
}

static void
settle(struct rig *r)
{
	rig_run(r, rig_never, NS_PER_S);
}

/* A stream that goes back and forth until the end of a test. */
static void
check_transfer(struct rig *r, uint64_t bytes)
{
	struct flow *f, *g;

	r->end[1].reply_bytes = bytes;
	f = rig_open(&r->end[0], bytes);
	assert_non_null(f);
	rig_flush(r, 0);
	assert_true(rig_run(r, rig_flows_closed, 60 * NS_PER_S));
	g = rig_peer_flow(f);
	assert_int_equal(f->received, bytes);
	assert_int_equal(g->received, bytes);
	assert_false(f->corrupt || g->corrupt || f->lost || g->lost);
}

static void
test_move_idle(void **state)
{
	struct rig_options o = {.seed = 1, .path = wan};
	struct rig r;

	(void)state;
	assert_int_equal(rig_init(&r, &o), 0);
	assert_int_equal(quic_migrate(r.end[0].q, 2, false, r.net.now_ns), -1);
	assert_true(rig_run(&r, rig_established, NS_PER_S));
	settle(&r);
	assert_int_equal(quic_migrate(r.end[1].q, 2, false, r.net.now_ns), -1);
	assert_true(move(&r, 2));
	/* The client has nothing to say: the server follows all the same. */
	settle(&r);
	assert_int_equal(path_of(&r, 0), 2);
	assert_int_equal(path_of(&r, 1), 2);
	r.net.path[1].dead = true;
	check_transfer(&r, 100000);
	rig_free(&r);
}

static void
test_move_under_load(void **state)
{
	struct rig_options o = {.path = wan};
	struct flow *f, *g;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		o.seed = seed;
		o.path.loss_ppm = seed % 2 == 0 ? 10000 : 0;
		rig_start(&r, &o);
		settle(&r);
		r.end[1].reply_bytes = 20000000;
		f = rig_open(&r.end[0], 20000000);
		rig_flush(&r, 0);
		for (uint32_t path = 2; path < 7; path++) {
			rig_run(&r, rig_never, 300 * NS_PER_MS);
			assert_true(move(&r, path));
		}
		assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
		g = rig_peer_flow(f);
		assert_int_equal(f->received, 20000000);
		assert_int_equal(g->received, 20000000);
		assert_false(f->corrupt || g->corrupt || f->lost || g->lost);
		assert_int_equal(path_of(&r, 0), 6);
		assert_int_equal(path_of(&r, 1), 6);
		rig_free(&r);
	}
}

static void
test_dead_new_path(void **state)
{
	struct rig_options o = {.seed = 2, .path = wan};
	struct flow *f;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	r.net.path[2].dead = true;
	f = rig_open(&r.end[0], 50000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 500 * NS_PER_MS);
	assert_false(move(&r, 2));
	assert_int_equal(path_of(&r, 0), 1);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	assert_false(f->lost);
	assert_int_equal(path_of(&r, 1), 1);
	rig_free(&r);
}

static void
test_twenty_failed_moves(void **state)
{
	struct rig_options o = {.seed = 3, .path = wan, .keep_alive_ns = 5 * NS_PER_S};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	for (uint32_t path = 2; path < 22; path++) {
		r.net.path[path].dead = true;
		assert_false(move(&r, path));
	}
	assert_true(move(&r, 22));
	r.net.path[1].dead = true;
	check_transfer(&r, 1000000);
	rig_free(&r);
}

/* The same one after the other without waiting: connection ids run out, which is said,
 * and come back. */
static void
test_spent_connection_ids(void **state)
{
	struct rig_options o = {.seed = 4, .path = wan};
	uint32_t path = 2;
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	for (; path < 40; path++) {
		r.net.path[path].dead = true;
		if (quic_migrate(r.end[0].q, path, false, r.net.now_ns) < 0)
			break;
	}
	assert_in_range(path, 5, 12);
	/* All but the last have been given up. */
	assert_int_equal(r.end[0].migrated_failed, path - 3);
	while (r.end[0].migrated_failed < path - 2)
		settle(&r);
	assert_true(move(&r, 41));
	check_transfer(&r, 1000000);
	assert_int_equal(path_of(&r, 1), 41);
	rig_free(&r);
}

static void
test_many_moves(void **state)
{
	struct rig_options o = {.seed = 5, .path = wan};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	for (uint32_t path = 2; path < 60; path++) {
		assert_true(move(&r, path));
		r.net.path[path - 1].dead = true;
		check_transfer(&r, 50000);
		assert_int_equal(path_of(&r, 1), path);
	}
	rig_free(&r);
}

static uint64_t received[2]; /* when the outage ended */

static bool
flowing(struct rig *r)
{
	return r->end[0].flows->received > received[0] &&
	       r->end[1].flows->received > received[1];
}

/*
 * Both directions are full when the path dies. Half a minute later there is a new one:
 * data flows again within a second, not after the next probe timeout.
 */
static void
test_move_after_an_outage(void **state)
{
	struct rig_options o = {.path = wan,
				.idle_ns = 120 * NS_PER_S,
				.keep_alive_ns = 2 * NS_PER_S};
	uint64_t t;
	struct rig r;

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		o.seed = seed;
		rig_start(&r, &o);
		settle(&r);
		r.end[1].reply_bytes = seed == 2 ? 0 : 30000000;
		r.end[1].reply_open = true;
		rig_open_half(&r.end[0], seed == 3 ? 10 : 30000000);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, NS_PER_S);
		r.net.path[1].dead = true;
		rig_run(&r, rig_never, 31 * NS_PER_S);
		r.end[0].flows->to_send += 1000000;
		r.end[1].flows->to_send += 1000000;
		rig_pump(r.end[0].flows);
		rig_pump(r.end[1].flows);
		received[0] = r.end[0].flows->received;
		received[1] = r.end[1].flows->received;
		t = r.net.now_ns;
		assert_true(move(&r, 2));
		assert_true(rig_run(&r, flowing, 10 * NS_PER_S));
		assert_in_range(r.net.now_ns - t, 0, NS_PER_S);
		r.end[0].flows->keep_open = r.end[1].flows->keep_open = false;
		rig_pump(r.end[0].flows);
		rig_pump(r.end[1].flows);
		rig_flush(&r, 0);
		rig_flush(&r, 1);
		assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
		assert_false(r.end[0].flows->corrupt || r.end[1].flows->corrupt);
		rig_free(&r);
	}
}

/* The path has just died, and a new one is there at once: whatever either end has in
 * flight then, it takes over. */
static void
test_move_soon(void **state)
{
	struct rig_options o = {.path = wan,
				.idle_ns = 120 * NS_PER_S,
				.keep_alive_ns = 4 * NS_PER_S};
	uint64_t t;
	struct rig r;

	(void)state;
	for (o.seed = 0; o.seed < 60; o.seed++) {
		rig_start(&r, &o);
		settle(&r);
		r.end[1].reply_bytes = o.seed % 3 == 1 ? 10 : 3000000000;
		r.end[1].reply_open = true;
		rig_open_half(&r.end[0], o.seed % 3 == 2 ? 10 : 3000000000);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, NS_PER_S);
		r.net.path[1].dead = true;
		rig_run(&r, rig_never, o.seed * 70 * NS_PER_MS);
		received[0] = o.seed % 3 == 1 ? 0 : r.end[0].flows->received;
		received[1] = o.seed % 3 == 2 ? 0 : r.end[1].flows->received;
		t = r.net.now_ns;
		assert_int_equal(quic_migrate(r.end[0].q, 2, true, r.net.now_ns), 0);
		assert_true(rig_run(&r, flowing, 10 * NS_PER_S));
		assert_in_range(r.net.now_ns - t, 0, NS_PER_S);
		rig_free(&r);
	}
}

/* An outage, several dead ends, and then a path: nothing is used up for good. */
static void
test_dead_ends_after_an_outage(void **state)
{
	struct rig_options o = {.seed = 6,
				.path = wan,
				.idle_ns = 300 * NS_PER_S,
				.keep_alive_ns = 2 * NS_PER_S};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	r.end[1].reply_bytes = 30000000;
	rig_open(&r.end[0], 30000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, NS_PER_S);
	for (uint32_t path = 1; path < 5; path++)
		r.net.path[path].dead = true;
	rig_run(&r, rig_never, 5 * NS_PER_S);
	for (uint32_t path = 2; path < 5; path++)
		assert_false(move(&r, path));
	assert_true(move(&r, 5));
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	assert_false(r.end[0].flows->lost || r.end[1].flows->corrupt);
	rig_free(&r);
}

static uint64_t cut_at; /* datagrams delivered */

static bool
is_cut(struct rig *r)
{
	return r->net.delivered >= cut_at;
}

/*
 * Everything is cut after the first, the second, ... datagram of a move, for a time, and
 * then carries again: the path that the client has moved to, or, as when ICE has found
 * another one, a third. Nothing is lost, and data flows again soon.
 */
static void
check_a_cut(uint64_t step, bool dead, uint64_t outage_ns, bool third)
{
	struct rig_options o = {.seed = step,
				.path = wan,
				.idle_ns = 120 * NS_PER_S,
				.keep_alive_ns = 4 * NS_PER_S};
	struct rig r;
	uint64_t t;
	int rv;

	rig_start(&r, &o);
	settle(&r);
	r.end[1].reply_bytes = 3000000;
	r.end[1].reply_open = true;
	rig_open_half(&r.end[0], 3000000);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 200 * NS_PER_MS);
	r.net.path[1].dead = dead;
	cut_at = r.net.delivered + step;
	assert_int_equal(quic_migrate(r.end[0].q, 2, dead, r.net.now_ns), 0);
	rig_run(&r, is_cut, NS_PER_S);
	r.net.path[1].dead = r.net.path[2].dead = true;
	rig_run(&r, rig_never, outage_ns);
	r.net.path[1].dead = dead;
	r.net.path[2].dead = third;
	r.end[0].flows->to_send += 1000000;
	r.end[1].flows->to_send += 1000000;
	rig_pump(r.end[0].flows);
	rig_pump(r.end[1].flows);
	received[0] = r.end[0].flows->received;
	received[1] = r.end[1].flows->received;
	t = r.net.now_ns;
	rv = third ? quic_migrate(r.end[0].q, 3, true, t) : quic_revive(r.end[0].q, t);
	/* It cannot be revived while it moves, which it then goes on with. */
	if (rv != 0)
		assert_int_equal(quic_migrate(r.end[0].q, 3, true, t), 0);
	assert_true(rig_run(&r, flowing, 10 * NS_PER_S));
	assert_in_range(r.net.now_ns - t, 0, NS_PER_S);
	r.end[0].flows->keep_open = r.end[1].flows->keep_open = false;
	rig_pump(r.end[0].flows);
	rig_pump(r.end[1].flows);
	rig_flush(&r, 0);
	rig_flush(&r, 1);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	assert_int_equal(r.end[0].flows->received, 4000000);
	assert_int_equal(r.end[1].flows->received, 4000000);
	assert_false(r.end[0].flows->corrupt || r.end[1].flows->corrupt);
	rig_free(&r);
}

static void
test_a_cut_at_every_step(void **state)
{
	(void)state;
	for (uint64_t step = 0; step <= 40; step++) {
		uint64_t outage_ns = step % 3 == 0 ? 100 * NS_PER_MS : 7 * NS_PER_S;

		check_a_cut(step, false, outage_ns, step % 2 == 0);
		check_a_cut(step, true, outage_ns, step % 2 == 1);
	}
}

static void
test_move_while_moving(void **state)
{
	struct rig_options o = {.seed = 7, .path = wan};
	struct rig r;

	(void)state;
	rig_start(&r, &o);
	settle(&r);
	r.net.path[2].dead = true;
	assert_int_equal(quic_migrate(r.end[0].q, 2, false, r.net.now_ns), 0);
	rig_run(&r, rig_never, 100 * NS_PER_MS);
	assert_true(quic_migrate(r.end[0].q, 3, false, r.net.now_ns) == 0);
	assert_int_equal(r.end[0].migrated_failed, 1);
	assert_int_equal(r.end[0].migrated_path, 2);
	settle(&r);
	assert_int_equal(r.end[0].migrated_ok, 1);
	assert_int_equal(r.end[0].migrated_path, 3);
	check_transfer(&r, 100000);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_move_idle),
	    cmocka_unit_test(test_move_under_load),
	    cmocka_unit_test(test_dead_new_path),
	    cmocka_unit_test(test_twenty_failed_moves),
	    cmocka_unit_test(test_spent_connection_ids),
	    cmocka_unit_test(test_many_moves),
	    cmocka_unit_test(test_move_after_an_outage),
	    cmocka_unit_test(test_move_soon),
	    cmocka_unit_test(test_dead_ends_after_an_outage),
	    cmocka_unit_test(test_a_cut_at_every_step),
	    cmocka_unit_test(test_move_while_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
