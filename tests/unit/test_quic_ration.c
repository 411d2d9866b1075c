#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "quic_rig.h"
#include "tests/tiny_windows.h"

static const struct sim_path lan = {.delay_ns = 50 * NS_PER_US};

/* Open as many streams as the peer allows, and more as soon as it allows them, but no
 * more than ${most}. */
static unsigned
flood(struct rig *r, unsigned most, uint64_t ns)
{
	uint64_t until = r->net.now_ns + ns;
	unsigned n = 0;

	while (r->net.now_ns < until && n < most) {
		while (n < most && rig_open(&r->end[0], 10) != NULL)
			n++;
		rig_flush(r, 0);
		rig_run(r, rig_never, NS_PER_MS);
	}
	return n;
}

static void
test_refused_streams(void **state)
{
	struct rig_options o = {.seed = 1, .path = lan};
	struct rig r;
	unsigned n;

	(void)state;
	rig_start(&r, &o);
	assert_int_equal(flood(&r, 2 * QUIC_STREAMS_MAX, 10 * NS_PER_MS),
			 2 * QUIC_STREAMS_MAX);
	rig_run(&r, rig_flows_closed, NS_PER_S);
	r.end[1].refuse = true;
	n = flood(&r, UINT32_MAX, 2 * NS_PER_S);
	print_message("%u refused ones in two\n", n);
	assert_in_range(n, QUIC_STREAMS_MAX, QUIC_STREAMS_MAX + 2700);
	/* It gets all of them back. */
	rig_run(&r, rig_never, 5 * NS_PER_S);
	r.end[1].refuse = false;
	n = 0;
	while (rig_open_half(&r.end[0], 10) != NULL)
		n++;
	assert_int_equal(n, QUIC_STREAMS_MAX);
	rig_free(&r);
}

static uint64_t
received(struct rig *r)
{
	uint64_t sum = 0;

	for (struct flow *f = r->end[1].flows; f != NULL; f = f->next)
		sum += f->received;
	return sum;
}

/* Windows of a few bytes, of each stream or of all, do not cost a packet each. */
static void
test_tiny_windows(void **state)
{
	static const struct {
		uint64_t window, stream_window;
		unsigned streams;
	} cases[] = {{1000000, 1, 60}, {60, 1, 60}, {60, 100000, 60}, {999, 999, 1}};
	struct rig_options o = {.seed = 1, .path = lan};
	uint64_t datagrams, sum;
	struct rig r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		tiny_window = cases[i].window;
		tiny_stream_window = cases[i].stream_window;
		rig_start(&r, &o);
		for (unsigned n = 0; n < cases[i].streams; n++)
			assert_non_null(rig_open(&r.end[0], 1000000));
		rig_flush(&r, 0);
		rig_run(&r, rig_never, NS_PER_S);
		datagrams = r.end[0].datagrams;
		sum = received(&r);
		rig_run(&r, rig_never, NS_PER_S);
		datagrams = r.end[0].datagrams - datagrams;
		sum = received(&r) - sum;
		print_message("%llu bytes in %llu datagrams\n", (unsigned long long)sum,
			      (unsigned long long)datagrams);
		assert_in_range(datagrams, 30, 200);
		assert_in_range(sum, 30 * 60, 100000);
		rig_free(&r);
	}
	tiny_window = 0;
}

static struct flow *small;

static bool
small_arrived(struct rig *r)
{
	(void)r;
	return rig_peer_flow(small)->received == small->to_send;
}

/* What fits into a small window goes as soon as it fits. */
static void
test_small_messages(void **state)
{
	struct rig_options o = {.seed = 1, .path = lan};
	struct rig r;

	(void)state;
	tiny_window = tiny_stream_window = 500;
	rig_start(&r, &o);
	small = rig_open_half(&r.end[0], 400);
	rig_flush(&r, 0);
	rig_run(&r, rig_never, 7 * NS_PER_MS);
	for (int i = 0; i < 100; i++) {
		assert_true(rig_run(&r, small_arrived, 7 * NS_PER_MS));
		small->to_send += 400;
		rig_pump(small);
		rig_flush(&r, 0);
	}
	tiny_window = 0;
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused_streams),
	    cmocka_unit_test(test_tiny_windows),
	    cmocka_unit_test(test_small_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
