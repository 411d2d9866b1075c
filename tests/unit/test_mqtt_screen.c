#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rendezvous/mqtt_screen.h"

#define INPUT_MAX (4 * MQTT_PUBLISH_MAX)

static uint8_t in[INPUT_MAX], out[INPUT_MAX + MQTT_HEADER_MAX];
static size_t n_in;

static int
set_up(void **state)
{
	(void)state;
	n_in = 0;
	return 0;
}

/* A packet whose rest is ${len} bytes of ${fill}. */
static void
packet(uint8_t first, size_t len, uint8_t fill)
{
	size_t left = len;

	in[n_in++] = first;
	do {
		in[n_in++] = (uint8_t)(left % 128 | (left >= 128 ? 0x80 : 0));
		left /= 128;
	} while (left > 0);
	memset(in + n_in, fill, len);
	n_in += len;
}

/* All of it, ${step} bytes at a time. */
static ptrdiff_t
pass(struct mqtt_screen *s, size_t step)
{
	ptrdiff_t passed = 0;

	mqtt_screen_begin(s);
	for (size_t i = 0; i < n_in; i += step) {
		ptrdiff_t n = mqtt_screen_pass(s, in + i, n_in - i < step ? n_in - i : step,
					       out + passed);

		if (n < 0)
			return -1;
		passed += n;
	}
	return passed;
}

static void
lets_a_broker_s_packets_pass(void **state)
{
	struct mqtt_screen s = {0};

	(void)state;
	packet(0x20, 2, 0);                /* CONNACK */
	packet(0x90, 3, 1);                /* SUBACK */
	packet(0x30, 300, 2);              /* PUBLISH */
	packet(0x39, MQTT_PUBLISH_MAX, 3); /* with DUP and RETAIN */
	packet(0x40, 2, 4);
	packet(0xd0, 0, 0);
	packet(0xe0, MQTT_CONTROL_MAX, 5);
	for (size_t step = 1; step < 700; step += step < 8 ? 1 : 97) {
		assert_int_equal(pass(&s, step), n_in);
		assert_memory_equal(in, out, n_in);
	}
	assert_int_equal(s.dropped, 0);
}

static void
leaves_out_what_is_too_long(void **state)
{
	struct mqtt_screen s = {0};
	size_t before;

	(void)state;
	packet(0x30, 10, 1);
	before = n_in;
	packet(0x30, MQTT_PUBLISH_MAX + 1, 2);
	packet(0x30, 2 * MQTT_PUBLISH_MAX, 2);
	memset(out, 0, sizeof out);
	assert_int_equal(pass(&s, 1000), before);
	assert_int_equal(s.dropped, 2);
	packet(0xd0, 0, 0);
	assert_int_equal(pass(&s, 1), before + 2);
	assert_memory_equal(out, in, before);
	assert_int_equal(out[before], 0xd0);
}

static void
refuses_the_rest(void **state)
{
	static const struct {
		uint8_t first;
		size_t len;
	} bad[] = {
	    {0x00, 0},  {0x10, 10}, /* CONNECT */
	    {0x32, 10}, {0x34, 10}, /* PUBLISH with QoS */
	    {0x50, 2},  {0x62, 2},  {0x70, 2},
	    {0x82, 5},  {0xa2, 5},  {0xb0, 2},
	    {0xc0, 0},  {0xf0, 0},  {0x21, 2}, /* CONNACK with flags */
	    {0x20, MQTT_CONTROL_MAX + 1},
	};
	struct mqtt_screen s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		n_in = 0;
		packet(bad[i].first, bad[i].len, 0);
		assert_int_equal(pass(&s, n_in), -1);
	}
	/* A length of five bytes. */
	memcpy(in, "\x30\xff\xff\xff\xff\x01", 6);
	n_in = 6;
	assert_int_equal(pass(&s, 1), -1);
	/* The longest one is only left out. */
	memcpy(in, "\x30\xff\xff\xff\x7f\x01", 6);
	assert_int_equal(pass(&s, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(lets_a_broker_s_packets_pass, set_up),
	    cmocka_unit_test_setup(leaves_out_what_is_too_long, set_up),
	    cmocka_unit_test_setup(refuses_the_rest, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
