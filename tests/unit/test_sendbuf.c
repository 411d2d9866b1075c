#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "quic/sendbuf.h"

/* Write ${len} bytes of a pattern that starts at ${offset}. */
static void
put(struct sendbuf *b, uint64_t offset, size_t len)
{
	struct iovec iov[SENDBUF_AREAS];
	size_t n = 0;
	int cnt = sendbuf_reserve(b, len, iov);

	for (int i = 0; i < cnt; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++, n++)
			((uint8_t *)iov[i].iov_base)[k] =
			    (uint8_t)((offset + n) * 7 >> 2);
	assert_int_equal(n, len);
	sendbuf_commit(b, len);
}

static void
check(const struct sendbuf *b, uint64_t offset, size_t len)
{
	struct iovec iov[64];
	size_t n = 0;
	int cnt = sendbuf_unsent(b, iov, 64);

	for (int i = 0; i < cnt; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++, n++)
			assert_int_equal(((uint8_t *)iov[i].iov_base)[k],
					 (uint8_t)((offset + n) * 7 >> 2));
	assert_int_equal(n, len);
	assert_int_equal(b->unsent, len);
}

static void
test_empty_owns_nothing(void **state)
{
	struct sendbuf_pool pool = {0};
	struct sendbuf b;
	struct iovec iov[SENDBUF_AREAS];

	(void)state;
	sendbuf_init(&b, &pool);
	assert_int_equal(sendbuf_unsent(&b, iov, 2), 0);
	put(&b, 0, 100);
	assert_non_null(b.head);
	sendbuf_sent(&b, 100);
	assert_int_equal(sendbuf_unsent(&b, iov, 2), 0);
	sendbuf_acked(&b, 100);
	assert_null(b.head);
	assert_null(b.tail);
	assert_null(b.cursor);
	assert_int_equal(b.len, 0);
	assert_int_equal(pool.n, 1);
	/* A reservation that is not used leaves nothing behind either. */
	assert_int_equal(sendbuf_reserve(&b, 10, iov), 1);
	sendbuf_commit(&b, 0);
	assert_null(b.spare);
	assert_null(b.head);
	sendbuf_clear(&b);
	sendbuf_pool_clear(&pool);
}

static void
test_reserve_spans_chunks(void **state)
{
	struct sendbuf_pool pool = {0};
	struct sendbuf b;
	struct iovec iov[SENDBUF_AREAS];

	(void)state;
	sendbuf_init(&b, &pool);
	put(&b, 0, SENDBUF_CHUNK_BYTES - 10);
	assert_int_equal(sendbuf_reserve(&b, 30, iov), 2);
	assert_int_equal(iov[0].iov_len, 10);
	assert_int_equal(iov[1].iov_len, 20);
	/* Only a part is filled: the second area is given back. */
	sendbuf_commit(&b, 0);
	put(&b, SENDBUF_CHUNK_BYTES - 10, 10);
	assert_null(b.head == b.tail ? NULL : b.tail);
	put(&b, SENDBUF_CHUNK_BYTES, 25);
	assert_true(b.head != b.tail);
	check(&b, 0, SENDBUF_CHUNK_BYTES + 25);
	assert_int_equal(sendbuf_reserve(&b, SIZE_MAX, iov), SENDBUF_AREAS);
	assert_int_equal(iov[0].iov_len, SENDBUF_CHUNK_BYTES - 25);
	for (int i = 1; i < SENDBUF_AREAS; i++)
		assert_int_equal(iov[i].iov_len, SENDBUF_CHUNK_BYTES);
	sendbuf_commit(&b, 0);
	assert_int_equal(b.len, SENDBUF_CHUNK_BYTES + 25);
	put(&b, SENDBUF_CHUNK_BYTES + 25, 3 * SENDBUF_CHUNK_BYTES);
	check(&b, 0, 4 * SENDBUF_CHUNK_BYTES + 25);
	/* What is reserved goes with the rest. */
	assert_int_equal(sendbuf_reserve(&b, SIZE_MAX, iov), SENDBUF_AREAS);
	sendbuf_clear(&b);
	assert_null(b.spare);
	assert_int_equal(b.len, 0);
	sendbuf_pool_clear(&pool);
}

static void
test_bytes_do_not_move(void **state)
{
	struct sendbuf_pool pool = {0};
	struct sendbuf b;
	struct iovec before[2], after[2];

	(void)state;
	sendbuf_init(&b, &pool);
	put(&b, 0, 1000);
	assert_int_equal(sendbuf_unsent(&b, before, 2), 1);
	for (unsigned i = 0; i < 40; i++)
		put(&b, 1000 + i * 1000, 1000);
	assert_int_equal(sendbuf_unsent(&b, after, 2), 2);
	assert_ptr_equal(before[0].iov_base, after[0].iov_base);
	sendbuf_clear(&b);
	sendbuf_pool_clear(&pool);
}

static uint32_t
next_random(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

/* Any order of writing, sending and acknowledging keeps the bytes and frees memory. */
static void
test_random_walk(void **state)
{
	struct sendbuf_pool pool = {0};
	struct sendbuf b;
	uint64_t written = 0, sent = 0, acked = 0;
	uint32_t x = 1;
	size_t n;

	(void)state;
	sendbuf_init(&b, &pool);
	for (int i = 0; i < 20000; i++) {
		switch (next_random(&x) % 3) {
		case 0:
			n = next_random(&x) % (i % 5 == 0 ? 60000 : 80);
			if (written - acked > 100000)
				break;
			put(&b, written, n);
			written += n;
			break;
		case 1:
			n = next_random(&x) % 20000;
			if (n > written - sent)
				n = written - sent;
			check(&b, sent, written - sent);
			sendbuf_sent(&b, n);
			sent += n;
			break;
		default:
			n = next_random(&x) % 20000;
			if (n > sent - acked)
				n = sent - acked;
			sendbuf_acked(&b, n);
			acked += n;
		}
		assert_int_equal(b.len, written - acked);
		assert_true(pool.n <= SENDBUF_POOL_CHUNKS);
		if (acked == written)
			assert_null(b.head);
	}
	assert_true(written > 1000000);
	sendbuf_clear(&b);
	sendbuf_pool_clear(&pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty_owns_nothing),
	    cmocka_unit_test(test_reserve_spans_chunks),
	    cmocka_unit_test(test_bytes_do_not_move),
	    cmocka_unit_test(test_random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
