#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rendezvous/frame.h"

static const uint8_t tag[FRAME_TAG_BYTES] = "0123456789abcde";
static const uint8_t to[PUBKEY_BYTES] = {2, 1, 2, 3, [32] = 9};
static uint8_t body[RENDEZVOUS_MESSAGE_MAX];

static const struct frame samples[] = {
    {.type = FRAME_OPEN, .tag = tag},
    {.type = FRAME_SEND, .to = to, .body = body, .len = 1},
    {.type = FRAME_SEND, .to = to, .body = body, .len = sizeof body},
    {.type = FRAME_PING},
    {.type = FRAME_READY, .message_max = 8192, .idle_ms = 90000},
    {.type = FRAME_MESSAGE, .body = body, .len = 77},
    {.type = FRAME_MESSAGE, .body = body, .len = sizeof body},
    {.type = FRAME_PONG},
    {.type = FRAME_ERROR, .code = 4, .body = body, .len = 0},
    {.type = FRAME_ERROR, .code = 4, .body = body, .len = FRAME_TEXT_MAX},
};

#define N_SAMPLES (sizeof samples / sizeof *samples)

static bool
from_mailbox(const struct frame *f)
{
	return (f->type & 0x80) != 0;
}

static void
assert_frames_equal(const struct frame *a, const struct frame *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->message_max, b->message_max);
	assert_int_equal(a->idle_ms, b->idle_ms);
	assert_int_equal(a->code, b->code);
	if (b->tag != NULL)
		assert_memory_equal(a->tag, b->tag, FRAME_TAG_BYTES);
	if (b->to != NULL)
		assert_memory_equal(a->to, b->to, PUBKEY_BYTES);
	if (b->len > 0)
		assert_memory_equal(a->body, b->body, b->len);
}

static void
every_frame_survives_the_wire(void **state)
{
	uint8_t out[FRAME_MAX];
	struct frame f;

	(void)state;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < N_SAMPLES; i++) {
		ssize_t n = frame_encode(&samples[i], out, sizeof out);

		assert_true(n >= FRAME_HEADER_BYTES);
		assert_int_equal(frame_parse(&f, from_mailbox(&samples[i]), out,
					     (size_t)n, NULL),
				 n);
		assert_frames_equal(&f, &samples[i]);
	}
}

static void
the_start_of_a_frame_wants_more(void **state)
{
	uint8_t out[FRAME_MAX];
	struct frame f;

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		ssize_t n = frame_encode(&samples[i], out, sizeof out);

		for (size_t len = 0; len < (size_t)n; len++)
			assert_int_equal(frame_parse(&f, from_mailbox(&samples[i]), out,
						     len, NULL),
					 0);
	}
}

static void
nobody_sends_the_other_side_s_frames(void **state)
{
	uint8_t out[FRAME_MAX];
	struct frame f;

	(void)state;
	for (size_t i = 0; i < N_SAMPLES; i++) {
		ssize_t n = frame_encode(&samples[i], out, sizeof out);

		assert_int_equal(frame_parse(&f, !from_mailbox(&samples[i]), out,
					     (size_t)n, NULL),
				 -1);
	}
}

static void
the_encoder_keeps_the_bounds(void **state)
{
	static uint8_t large[RENDEZVOUS_MESSAGE_MAX + 1];
	static const struct frame bad[] = {
	    {.type = FRAME_SEND, .to = to, .body = large, .len = 0},
	    {.type = FRAME_SEND, .to = to, .body = large, .len = sizeof large},
	    {.type = FRAME_MESSAGE, .body = large, .len = 0},
	    {.type = FRAME_MESSAGE, .body = large, .len = sizeof large},
	    {.type = FRAME_ERROR, .body = large, .len = FRAME_TEXT_MAX + 1},
	};
	uint8_t out[2 * FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(frame_encode(&bad[i], out, sizeof out), -1);
	assert_int_equal(frame_encode(&samples[0], out, 19), -1);
	assert_int_equal(frame_encode(&samples[0], out, 20), 20);
}

static void
malformed_is_known_at_once(void **state)
{
	static const struct {
		size_t len;
		uint8_t bytes[4];
	} bad[] = {
	    {1, {0}}, /* version */
	    {1, {2}},
	    {1, {'G'}},  /* HTTP */
	    {2, {1, 0}}, /* type */
	    {2, {1, 4}},
	    {2, {1, 0x81}},          /* the mailbox's */
	    {4, {1, 1, 0, 15}},      /* OPEN, short */
	    {4, {1, 1, 0, 17}},      /* OPEN, long */
	    {4, {1, 2, 0, 33}},      /* SEND without a message */
	    {4, {1, 2, 0x20, 0x22}}, /* SEND of 8193 bytes */
	    {4, {1, 2, 0xff, 0xff}},
	    {4, {1, 3, 0, 1}}, /* PING with a payload */
	};
	struct frame f;
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err.text[0] = '\0';
		assert_int_equal(frame_parse(&f, false, bad[i].bytes, bad[i].len, &err),
				 -1);
		assert_true(err.text[0] != '\0');
	}
}

static void
a_second_frame_is_left_alone(void **state)
{
	const uint8_t two[] = {1, 3, 0, 0, 1, 3, 0, 0};
	struct frame f;

	(void)state;
	assert_int_equal(frame_parse(&f, false, two, sizeof two, NULL), 4);
}

static void
tags_keep_sessions_apart(void **state)
{
	uint8_t a[FRAME_TAG_BYTES], b[FRAME_TAG_BYTES];

	(void)state;
	assert_int_equal(frame_session_tag(a, "santa"), 0);
	assert_int_equal(frame_session_tag(b, "santa"), 0);
	assert_memory_equal(a, b, sizeof a);
	assert_int_equal(frame_session_tag(b, "santb"), 0);
	assert_memory_not_equal(a, b, sizeof a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_frame_survives_the_wire),
	    cmocka_unit_test(the_start_of_a_frame_wants_more),
	    cmocka_unit_test(nobody_sends_the_other_side_s_frames),
	    cmocka_unit_test(the_encoder_keeps_the_bounds),
	    cmocka_unit_test(malformed_is_known_at_once),
	    cmocka_unit_test(a_second_frame_is_left_alone),
	    cmocka_unit_test(tags_keep_sessions_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
