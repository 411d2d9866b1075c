#include "check.h"

#include <stdbool.h>

#include "rendezvous/sealed_stream.h"

static struct sealed_stream reader;

static int
set_up(void **state)
{
	(void)state;
	memset(&reader, 0, sizeof reader);
	return 0;
}

/* A message of ${len} bytes that are told from others' by ${first}. */
static size_t
make(uint8_t first, size_t len, uint8_t *out)
{
	uint8_t sealed[ENVELOPE_SEALED_MAX];

	for (size_t i = 0; i < len; i++)
		sealed[i] = (uint8_t)(first + i);
	return sealed_stream_encode(sealed, len, out);
}

static void
check_message(const uint8_t *msg, size_t len, uint8_t first, size_t expected_len)
{
	assert_int_equal(len, expected_len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(msg[i], (uint8_t)(first + i));
}

/* However the stream is cut: the shortest, the longest, another. */
static void
test_pieces(void **state)
{
	static const size_t lengths[] = {ENVELOPE_SEALED_MIN, ENVELOPE_SEALED_MAX, 627};
	static uint8_t all[3 * SEALED_STREAM_MAX];
	size_t total = 0;

	(void)state;
	for (uint8_t i = 0; i < 3; i++)
		total += make(i, lengths[i], all + total);
	for (size_t piece = 1; piece <= total; piece = piece * 2 + 1) {
		uint8_t found = 0;

		for (size_t at = 0; at < total; at += piece) {
			const uint8_t *data = all + at, *msg;
			size_t len = total - at < piece ? total - at : piece, n;
			int rc;

			while ((rc = sealed_stream_next(&reader, &data, &len, &msg, &n)) > 0) {
				assert_in_range(found, 0, 2);
				check_message(msg, n, found, lengths[found]);
				found++;
			}
			assert_int_equal(rc, 0);
			assert_int_equal(len, 0);
		}
		assert_int_equal(found, 3);
	}
}

static void
test_lengths(void **state)
{
	for (unsigned size = 0; size <= 0xffff; size++) {
		uint8_t head[2] = {(uint8_t)(size >> 8), (uint8_t)size};
		const uint8_t *data = head, *msg;
		size_t len = 2, n;
		bool may = size >= ENVELOPE_SEALED_MIN && size <= ENVELOPE_SEALED_MAX;

		set_up(state);
		assert_int_equal(sealed_stream_next(&reader, &data, &len, &msg, &n),
				 may ? 0 : -1);
	}
	assert_int_equal(ENVELOPE_SEALED_MIN, 371);
	assert_int_equal(ENVELOPE_SEALED_MAX, 6515);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_pieces, set_up),
	    cmocka_unit_test_setup(test_lengths, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
