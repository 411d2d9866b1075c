#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "quic_rig.h"

static const struct sim_path wan = {
    .delay_ns = 25 * NS_PER_MS, .rate = 12500000, .queue_bytes = 1000000};

static void
start(struct rig *r, struct rig_options *o)
{
	assert_int_equal(rig_init(r, o), 0);
	if (!rig_run(r, rig_established, 20 * NS_PER_S)) {
		print_message("client: %s; server: %s\n", r->end[0].why.text,
			      r->end[1].why.text);
		fail();
	}
}

static void
test_handshake(void **state)
{
	struct rig_options o = {.seed = 1, .path = wan};
	struct quic_info info;
	struct rig r;

	(void)state;
	start(&r, &o);
	assert_int_equal(r.end[0].established, 1);
	assert_int_equal(r.end[1].established, 1);
	quic_get_info(r.end[0].q, &info);
	assert_true(info.established);
	assert_int_equal(info.path, 1);
	assert_in_range(info.smoothed_rtt_ns, 50 * NS_PER_MS, 60 * NS_PER_MS);
	quic_close(r.end[0].q, QUIC_CODE_SHUTDOWN, "bye", r.net.now_ns);
	assert_int_equal(r.end[0].ended, 1);
	assert_true(rig_run(&r, rig_ended, NS_PER_S));
	assert_true(r.end[1].why.by_peer);
	assert_true(r.end[1].why.application);
	assert_int_equal(r.end[1].why.code, QUIC_CODE_SHUTDOWN);
	assert_string_equal(r.end[1].why.text, "the peer closed the connection: bye");
	rig_free(&r);
}

static void
test_bulk(void **state)
{
	struct rig_options o = {.seed = 2, .path = wan};
	struct rig r;
	struct flow *f, *g;

	(void)state;
	o.path.loss_ppm = 10000;
	o.path.reorder_ppm = 1000;
	o.path.duplicate_ppm = 1000;
	start(&r, &o);
	r.end[1].reply_bytes = 5000000;
	f = rig_open(&r.end[0], 5000000);
	assert_non_null(f);
	rig_flush(&r, 0);
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	g = rig_peer_flow(f);
	assert_non_null(g);
	assert_int_equal(f->received, 5000000);
	assert_int_equal(g->received, 5000000);
	assert_true(f->fin && g->fin && f->sent && g->sent);
	assert_false(f->corrupt || g->corrupt || f->lost || g->lost);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_handshake),
	    cmocka_unit_test(test_bulk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
