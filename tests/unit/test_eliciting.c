#include "check.h"

#include "quic/eliciting.h"

/* Not a string's end. */
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static void
test_acknowledgements_alone(void **state)
{
	(void)state;
	assert_false(packet_elicits_ack(BYTES("")));
	assert_false(packet_elicits_ack(BYTES("\x00\x00\x00")));
	/* Up to 37, 5 units late, no more ranges, 3 packets. */
	assert_false(packet_elicits_ack(BYTES("\x02\x25\x05\x00\x02")));
	/* Two more ranges, a number of four bytes, and padding. */
	assert_false(packet_elicits_ack(
	    BYTES("\x02\x9d\x7f\x3e\x7d\x05\x02\x02\x00\x01\x7b\xbd\x00\x00\x00")));
	/* ECN counts. */
	assert_false(
	    packet_elicits_ack(BYTES("\x00\x03\x25\x05\x00\x02\x01\x02\x40\x40")));
}

static void
test_anything_else(void **state)
{
	(void)state;
	assert_true(packet_elicits_ack(BYTES("\x01")));
	assert_true(packet_elicits_ack(BYTES("\x00\x00\x01")));
	assert_true(packet_elicits_ack(BYTES("\x02\x25\x05\x00\x02\x01")));
	assert_true(packet_elicits_ack(BYTES("\x02\x25\x05\x00\x02\x0a\x00\x01\x61")));
	assert_true(packet_elicits_ack(BYTES("\x10\x7b\xbd")));
	/* The counts of 0x03 are not frames, but after 0x02 they are. */
	assert_true(packet_elicits_ack(BYTES("\x02\x25\x05\x00\x02\x01\x02\x40\x40")));
}

/* Every truncation, and a count of ranges that nothing follows. */
static void
test_unreadable(void **state)
{
	static const char ack[] = "\x03\x9d\x7f\x3e\x7d\x05\x01\x02\x00\x01\x01\x02\x03";

	(void)state;
	assert_false(packet_elicits_ack(BYTES(ack)));
	for (size_t len = 1; len < sizeof ack - 1; len++)
		assert_true(packet_elicits_ack((const uint8_t *)ack, len));
	assert_true(packet_elicits_ack(
	    BYTES("\x02\x25\x05\xff\xff\xff\xff\xff\xff\xff\xff\x02")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_acknowledgements_alone),
	    cmocka_unit_test(test_anything_else),
	    cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
