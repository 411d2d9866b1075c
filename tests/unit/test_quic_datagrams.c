#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "quic_rig.h"

/* Unreliable datagrams (RFC 9221). Each that is sent here begins with its number. */

#define NUMBERS_MAX 4096
#define BYTES_MAX   2048

static const struct sim_path wan = {.delay_ns = 25 * NS_PER_MS,
				    .rate = 12500000,
				    .queue_bytes = 1000000};

static struct {
	size_t n, bytes;
	size_t last_len;
	unsigned times[NUMBERS_MAX];
	unsigned last;
	bool in_order, right;
} taken;

static void
fill(uint8_t *data, size_t len, unsigned number)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(number * 7 + i);
	if (len >= 2) {
		data[0] = (uint8_t)(number >> 8);
		data[1] = (uint8_t)number;
	}
}

static void
take(struct rig_end *e, const uint8_t *data, size_t len)
{
	uint8_t expected[BYTES_MAX];
	unsigned number = len >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;

	(void)e;
	assert_in_range(number, 0, NUMBERS_MAX - 1);
	assert_in_range(len, 0, BYTES_MAX);
	fill(expected, len, number);
	taken.right = taken.right && (len == 0 || memcmp(data, expected, len) == 0);
	taken.in_order = taken.in_order && (taken.n == 0 || number > taken.last);
	taken.last = number;
	taken.times[number]++;
	taken.n++;
	taken.bytes += len;
	taken.last_len = len;
}

static void
begin(struct rig *r, const struct rig_options *o)
{
	memset(&taken, 0, sizeof taken);
	taken.in_order = taken.right = true;
	assert_int_equal(rig_init(r, o), 0);
	r->end[0].take = r->end[1].take = take;
}

static void
start(struct rig *r, const struct rig_options *o)
{
	begin(r, o);
	assert_true(rig_run(r, rig_established, 20 * NS_PER_S));
}

static int
send_one(struct rig *r, int end, unsigned number, size_t len)
{
	uint8_t data[BYTES_MAX];
	/* In two parts, as a head and what follows. */
	size_t half = len / 2;
	struct iovec part[2] = {{data, half}, {data + half, len - half}};

	assert_in_range(len, 0, sizeof data);
	fill(data, len, number);
	return quic_datagram_send(r->end[end].q, part, 2);
}

static void
settle(struct rig *r)
{
	rig_run(r, rig_never, NS_PER_S);
}

/* The largest that is taken now. */
static size_t
largest(struct rig *r, int end)
{
	size_t len = BYTES_MAX;

	while (send_one(r, end, 0, len) != 0)
		assert_true(len-- > 0);
	return len;
}

static void
test_only_while_connected(void **state)
{
	struct rig_options o = {.seed = 1, .path = wan};
	struct rig r;

	(void)state;
	begin(&r, &o);
	assert_int_equal(send_one(&r, 0, 1, 10), -1);
	assert_int_equal(send_one(&r, 1, 1, 10), -1);
	assert_true(rig_run(&r, rig_established, 20 * NS_PER_S));
	settle(&r);
	assert_int_equal(taken.n, 0);
	for (int end = 0; end < 2; end++) {
		assert_int_equal(send_one(&r, end, (unsigned)end, 10), 0);
		rig_flush(&r, end);
	}
	settle(&r);
	assert_int_equal(taken.n, 2);
	/* What waits when it ends is lost. */
	assert_int_equal(send_one(&r, 0, 3, 10), 0);
	quic_close(r.end[0].q, QUIC_CODE_SHUTDOWN, "the end", r.net.now_ns);
	assert_int_equal(send_one(&r, 0, 4, 10), -1);
	assert_true(rig_run(&r, rig_ended, NS_PER_S));
	assert_int_equal(send_one(&r, 1, 4, 10), -1);
	assert_int_equal(taken.n, 2);
	rig_free(&r);
}

/* What is taken arrives in one piece, whatever the path's MTU is; one byte more is not. */
static void
test_sizes(void **state)
{
	struct rig_options o = {.seed = 2, .path = wan};
	struct quic_info info;
	struct rig r;
	size_t early, late;

	(void)state;
	start(&r, &o);
	early = largest(&r, 0);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.n, 1);
	assert_int_equal(taken.last_len, early);
	/* RFC 9000, 14: whatever a path carries, it carries 1200 bytes. */
	assert_in_range(early, 1150, 1200);

	/* Meanwhile the path has been found to carry more. */
	late = largest(&r, 0);
	quic_get_info(r.end[0].q, &info);
	assert_true(late > early);
	assert_in_range(info.datagram_bytes - late, 1, 50);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.n, 2);
	assert_int_equal(taken.last_len, late);
	for (size_t len = 0; len < 4; len++) {
		assert_int_equal(send_one(&r, 1, 0, len), 0);
		rig_flush(&r, 1);
		settle(&r);
		assert_int_equal(taken.n, 3 + len);
		assert_int_equal(taken.last_len, len);
	}
	assert_true(taken.right);
	rig_free(&r);
}

/* A queue that is full takes no more, and says nothing of it: as a path that loses. */
static void
test_full_queue(void **state)
{
	struct rig_options o = {.seed = 3, .path = wan};
	struct rig r;

	(void)state;
	start(&r, &o);
	settle(&r);
	for (unsigned i = 0; i < QUIC_DATAGRAMS_MAX + 10; i++)
		assert_int_equal(send_one(&r, 0, i, 1000), 0);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.n, QUIC_DATAGRAMS_MAX);
	assert_int_equal(taken.last, QUIC_DATAGRAMS_MAX - 1);
	assert_true(taken.in_order && taken.right);
	/* And there is room again. */
	assert_int_equal(send_one(&r, 0, QUIC_DATAGRAMS_MAX, 1000), 0);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.last, QUIC_DATAGRAMS_MAX);
	rig_free(&r);
}

/* Lost ones stay lost and none comes twice, while a stream beside them gets everything. */
static void
test_loss(void **state)
{
	struct rig_options o = {.seed = 4, .path = wan};
	unsigned sent = 0;
	struct flow *f;
	struct rig r;

	(void)state;
	o.path.loss_ppm = 50000;
	o.path.reorder_ppm = 20000;
	o.path.duplicate_ppm = 50000;
	start(&r, &o);
	f = rig_open(&r.end[0], 500000);
	while (sent < 2000) {
		for (int i = 0; i < 10; i++)
			assert_int_equal(send_one(&r, 0, sent++, 500), 0);
		rig_flush(&r, 0);
		rig_run(&r, rig_never, 20 * NS_PER_MS);
	}
	assert_true(rig_run(&r, rig_flows_closed, 60 * NS_PER_S));
	assert_int_equal(rig_peer_flow(f)->received, 500000);
	assert_false(rig_peer_flow(f)->corrupt);
	assert_true(taken.right);
	for (unsigned i = 0; i < sent; i++)
		assert_in_range(taken.times[i], 0, 1);
	/* 95 % expected, with a deviation of half a percent. */
	assert_in_range(taken.n, sent * 92 / 100, sent * 98 / 100);
	rig_free(&r);
}

/* On a new path there may be less room for those that wait already. */
static void
test_smaller_path(void **state)
{
	struct rig_options o = {.seed = 5, .path = wan};
	struct rig r;
	size_t len;

	(void)state;
	start(&r, &o);
	settle(&r);
	len = largest(&r, 0);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.n, 1);
	assert_int_equal(quic_migrate(r.end[0].q, 2, true, r.net.now_ns), 0);
	/* The first packet there tells how large they may be. */
	assert_int_equal(send_one(&r, 0, 1, len), -1);
	assert_int_equal(send_one(&r, 0, 2, 1000), 0);
	rig_flush(&r, 0);
	settle(&r);
	assert_int_equal(taken.n, 2);
	assert_int_equal(taken.last, 2);
	assert_int_equal(r.end[0].ended, 0);
	rig_free(&r);
}

/* UDP knows no congestion: however much of it there is, streams get their half. */
static void
test_flood(void **state)
{
	struct rig_options o = {.seed = 6, .path = wan};
	struct flow *f;
	struct rig r;
	uint64_t from;

	(void)state;
	start(&r, &o);
	f = rig_open(&r.end[0], 5000000);
	from = r.net.now_ns;
	while (!f->closed && r.net.now_ns - from < 5 * NS_PER_S) {
		/* More than the path takes. */
		for (int i = 0; i < QUIC_DATAGRAMS_MAX; i++)
			send_one(&r, 0, 1, 1000);
		rig_flush(&r, 0);
		rig_run(&r, rig_flows_closed, NS_PER_MS);
	}
	/* Alone it would take 0.6 s on this path. */
	assert_true(f->closed);
	assert_in_range(taken.bytes, 2500000, 10000000);
	rig_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_only_while_connected),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_full_queue),
	    cmocka_unit_test(test_loss),
	    cmocka_unit_test(test_smaller_path),
	    cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
