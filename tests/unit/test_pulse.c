#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "path/pulse.h"
#include "path_rig.h"

static const uint8_t token[PULSE_TOKEN_BYTES] = "fifteen letters";

static void
reads_what_was_written(void **state)
{
	uint8_t data[PULSE_FULL_BYTES], back[PULSE_TOKEN_BYTES];

	(void)state;
	for (unsigned type = PULSE_ASK; type <= PULSE_ANSWER_FULL; type++) {
		size_t len = pulse_write(data, type, token, "password");

		assert_int_equal(len, type >= PULSE_ASK_FULL ? 1200 : 33);
		assert_true(pulse_is_one(data, len));
		assert_true(pulse_read(data, len, type, "password", back));
		assert_memory_equal(back, token, sizeof token);
	}
}

static void
refuses_everything_else(void **state)
{
	uint8_t data[PULSE_FULL_BYTES + 1] = {0}, back[PULSE_TOKEN_BYTES];

	(void)state;
	assert_int_equal(pulse_write(data, PULSE_ASK, token, "password"), PULSE_BYTES);
	assert_false(pulse_read(data, PULSE_BYTES, PULSE_ANSWER, "password", back));
	assert_false(pulse_read(data, PULSE_BYTES, PULSE_ASK, "passwort", back));
	assert_false(pulse_read(data, PULSE_BYTES - 1, PULSE_ASK, "password", back));
	assert_false(pulse_read(data, PULSE_BYTES + 1, PULSE_ASK, "password", back));
	assert_false(pulse_read(data, PULSE_FULL_BYTES, PULSE_ASK, "password", back));
	assert_false(pulse_is_one(data, 0));
	for (size_t i = 0; i < PULSE_BYTES; i++) {
		data[i] ^= 0x10;
		assert_false(pulse_read(data, PULSE_BYTES, PULSE_ASK, "password", back));
		data[i] ^= 0x10;
	}
	data[0] = PULSE_ANSWER; /* nobody's question is an answer */
	assert_false(pulse_read(data, PULSE_BYTES, PULSE_ANSWER, "password", back));
	data[0] = PULSE_ASK_FULL; /* nor one of full size */
	assert_false(pulse_read(data, PULSE_FULL_BYTES, PULSE_ASK_FULL, "password", back));
	/* QUIC and STUN are none. */
	for (unsigned i = 0; i < 256; i++) {
		data[0] = (uint8_t)i;
		assert_int_equal(pulse_is_one(data, PULSE_BYTES),
				 i == PULSE_ASK || i == PULSE_ANSWER);
		assert_int_equal(pulse_is_one(data, PULSE_FULL_BYTES),
				 i == PULSE_ASK_FULL || i == PULSE_ANSWER_FULL);
	}
}

static bool
is_alive(void *arg)
{
	return ((struct end *)arg)->n_alive > 0;
}

static void
probe(struct end *from, struct end *to)
{
	for (int full = 0; full <= 1; full++) {
		from->n_alive = to->n_probed = 0;
		path_probe(from->path, full);
		rig_run_until(is_alive, from);
		assert_int_equal(to->n_probed, 1);
		assert_int_equal(from->n_alive, 1);
	}
}

/* Through the agents, through sockets, and through one of each. */
static void
paths_answer_probes(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	path_probe(e[0].path, false); /* too early: nothing happens */
	rig_run_until(rig_all_ready, &all);
	probe(&e[0], &e[1]);
	probe(&e[1], &e[0]);
	path_take_over(e[0].path);
	probe(&e[0], &e[1]);
	probe(&e[1], &e[0]);
	path_take_over(e[1].path);
	probe(&e[0], &e[1]);
	probe(&e[1], &e[0]);
	assert_int_equal(e[0].n_datagrams + e[1].n_datagrams, 0);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

/* An answer counts once, and several questions have one. */
static void
paths_hear_an_answer_once(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	for (int i = 0; i < 5; i++)
		path_probe(e[0].path, false);
	rig_run_until(is_alive, &e[0]);
	rig_exchange(&e[0], &e[1]); /* behind the other four */
	assert_int_equal(e[1].n_probed, 5);
	assert_int_equal(e[0].n_alive, 1);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_was_written),
	    cmocka_unit_test(refuses_everything_else),
	    cmocka_unit_test_setup_teardown(paths_answer_probes, rig_set_up,
					    rig_tear_down),
	    cmocka_unit_test_setup_teardown(paths_hear_an_answer_once, rig_set_up,
					    rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
