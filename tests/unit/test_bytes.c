#include "check.h"

#include "base/bytes.h"

static void
reads_what_was_written(void **state)
{
	uint8_t buf[32];
	uint8_t copy[3];
	struct writer w;
	struct reader r;

	(void)state;
	writer_init(&w, buf, sizeof buf);
	write_u8(&w, 0x01);
	write_u16(&w, 0x0203);
	write_u32(&w, 0x04050607);
	write_u64(&w, 0x08090a0b0c0d0e0f);
	write_bytes(&w, "abcdef", 6);
	write_bytes(&w, NULL, 0);
	assert_true(w.ok);
	assert_int_equal(w.len, 21);
	for (uint8_t i = 0; i < 15; i++)
		assert_int_equal(buf[i], i + 1);

	reader_init(&r, buf, w.len);
	assert_int_equal(read_u8(&r), 0x01);
	assert_int_equal(read_u16(&r), 0x0203);
	assert_int_equal(read_u32(&r), 0x04050607);
	assert_true(read_u64(&r) == 0x08090a0b0c0d0e0f);
	read_copy(&r, copy, 3);
	assert_memory_equal(copy, "abc", 3);
	assert_false(reader_done(&r));
	assert_memory_equal(read_bytes(&r, 3), "def", 3);
	assert_true(reader_done(&r));
}

static void
reader_fails_once_and_for_all(void **state)
{
	uint8_t copy[4] = {1, 2, 3, 4};
	struct reader r;

	(void)state;
	reader_init(&r, "ab", 2);
	assert_int_equal(read_u32(&r), 0);
	assert_false(r.ok);
	/* Two bytes would be there. */
	assert_int_equal(read_u8(&r), 0);
	assert_null(read_bytes(&r, 0));
	read_copy(&r, copy, 4);
	assert_memory_equal(copy, "\0\0\0\0", 4);
	assert_false(reader_done(&r));
}

static void
writer_fails_once_and_for_all(void **state)
{
	uint8_t buf[4] = {0xee, 0xee, 0xee, 0xee};
	struct writer w;

	(void)state;
	writer_init(&w, buf, 3);
	write_u16(&w, 1);
	write_u16(&w, 2);
	assert_false(w.ok);
	write_u8(&w, 3);
	assert_false(w.ok);
	assert_int_equal(w.len, 2);
	assert_memory_equal(buf, "\0\1\xee\xee", 4);
}

static void
lengths_do_not_wrap(void **state)
{
	uint8_t buf[4];
	struct writer w;
	struct reader r;

	(void)state;
	reader_init(&r, "ab", 2);
	assert_null(read_bytes(&r, SIZE_MAX));
	writer_init(&w, buf, sizeof buf);
	write_bytes(&w, buf, SIZE_MAX);
	assert_false(w.ok);
}

/* RFC 9000, A.1, and where the lengths change. */
static void
varints(void **state)
{
	static const struct {
		uint64_t value;
		const char *bytes;
		size_t len;
	} cases[] = {
	    {0, "\0", 1},
	    {37, "\x25", 1},
	    {63, "\x3f", 1},
	    {64, "\x40\x40", 2},
	    {15293, "\x7b\xbd", 2},
	    {16383, "\x7f\xff", 2},
	    {16384, "\x80\0\x40\0", 4},
	    {494878333, "\x9d\x7f\x3e\x7d", 4},
	    {(1 << 30) - 1, "\xbf\xff\xff\xff", 4},
	    {1 << 30, "\xc0\0\0\0\x40\0\0\0", 8},
	    {151288809941952652, "\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8},
	    {(1ULL << 62) - 1, "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
	};
	uint8_t buf[8];
	struct writer w;
	struct reader r;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		writer_init(&w, buf, sizeof buf);
		write_varint(&w, cases[i].value);
		assert_true(w.ok);
		assert_int_equal(w.len, cases[i].len);
		assert_memory_equal(buf, cases[i].bytes, w.len);
		for (size_t len = 0; len < cases[i].len; len++) {
			reader_init(&r, buf, len);
			assert_true(read_varint(&r) == 0);
			assert_false(r.ok);
		}
		reader_init(&r, buf, cases[i].len);
		assert_true(read_varint(&r) == cases[i].value);
		assert_true(reader_done(&r));
	}
	/* In more bytes than it needs. */
	reader_init(&r, "\x40\x25", 2);
	assert_true(read_varint(&r) == 37);
	assert_true(reader_done(&r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_was_written),
	    cmocka_unit_test(reader_fails_once_and_for_all),
	    cmocka_unit_test(writer_fails_once_and_for_all),
	    cmocka_unit_test(lengths_do_not_wrap),
	    cmocka_unit_test(varints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
