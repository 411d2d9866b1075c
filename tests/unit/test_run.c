#include <stdio.h>

#include "base/clock.h"
#include "proxy_rig.h"
#include "tunnel/header.h"
#include "tunnel/run.h"
#include "tunnel/run_peer.h"

/* Programs that alice (0), bob (1) and carol (2) run together, over whole proxies. */

static struct proxy_rig rig;

struct ended {
	bool is;
	enum run_end how;
	uint8_t code;
};

/* What a party's verb would do. */
struct verb {
	struct run *run;
	bool agrees; /* at once to whatever is complete */
	unsigned completed;
	uint32_t set;
	bool begun;
	struct ended ended[RIG_PARTIES_MAX];
	bool lost[RIG_PARTIES_MAX];
	char why[200];
};

static struct verb verb[RIG_PARTIES_MAX];

static void
on_changed(void *arg)
{
	(void)arg;
}

static void
on_complete(void *arg, uint32_t set)
{
	struct verb *v = arg;

	assert_false(v->begun);
	v->completed++;
	v->set = set;
	if (v->agrees)
		run_agree(v->run, set);
}

static void
on_go(void *arg)
{
	struct verb *v = arg;

	assert_false(v->begun);
	v->begun = true;
}

static void
on_ended(void *arg, size_t index, enum run_end how, uint8_t code)
{
	struct verb *v = arg;

	v->ended[index] = (struct ended){true, how, code};
}

static void
on_lost(void *arg, size_t index, const char *why)
{
	struct verb *v = arg;

	assert_true(v->begun);
	assert_false(v->lost[index]);
	v->lost[index] = true;
	snprintf(v->why, sizeof v->why, "%s", why);
}

static void
on_failed(void *arg, const char *why)
{
	(void)arg;
	fail_msg("%s", why);
}

static const struct run_callbacks callbacks = {on_changed, on_complete, on_go,
					       on_ended,   on_lost,     on_failed};

static void
offer(size_t i, const char *program, bool agrees)
{
	static uint8_t nonce;
	struct run_offer o = {.nonce = {++nonce}, .digest = {1}};
	uint8_t out[RUN_OFFER_MAX];
	size_t len;
	struct err err;

	snprintf(o.program, sizeof o.program, "%s", program);
	len = run_offer_encode(&o, out);
	memset(&verb[i], 0, sizeof verb[i]);
	verb[i].agrees = agrees;
	verb[i].run = proxy_run(rig.party[i].proxy, out, len, &callbacks, &verb[i], &err);
	assert_non_null(verb[i].run);
}

static void
finish(size_t i, enum run_end how, uint8_t code)
{
	run_finish(verb[i].run, how, code);
	verb[i].run = NULL;
}

static bool
state_is(size_t i, size_t j, enum run_party_state state)
{
	return run_party_state(verb[i].run, j) == state;
}

static int
setup(void **state)
{
	(void)state;
	memset(verb, 0, sizeof verb);
	rig_init(&rig, 3);
	rig_start_all(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		if (verb[i].run != NULL && rig.party[i].proxy != NULL)
			finish(i, RUN_END_PROGRAM, 0);
	rig_free(&rig);
	return 0;
}

static void
begin_all(void)
{
	for (size_t i = 0; i < 3; i++)
		offer(i, "prog", true);
	RIG_UNTIL(&rig, verb[0].begun && verb[1].begun && verb[2].begun);
}

static void
test_they_begin_together(void **state)
{
	struct run_offer o;
	const uint8_t *data;
	size_t len;
	struct err err;

	(void)state;
	offer(0, "prog-a", true);
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_CONNECTED));
	offer(1, "prog-b", true);
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_OFFERS));
	assert_null(proxy_run(rig.party[1].proxy, (const uint8_t *)"x", 1, &callbacks,
			      NULL, &err));
	assert_int_equal(verb[0].completed, 0);
	/* Carol looks at them first. */
	offer(2, "prog-c", false);
	RIG_UNTIL(&rig, verb[2].completed == 1);
	data = run_party_offer(verb[2].run, 0, &len);
	assert_int_equal(run_offer_parse(&o, data, len), RUN_OFFER_OK);
	assert_string_equal(o.program, "prog-a");
	RIG_UNTIL(&rig,
		  state_is(2, 0, RUN_PARTY_READY) && state_is(2, 1, RUN_PARTY_READY));
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_READY));
	assert_false(verb[0].begun || verb[1].begun || verb[2].begun);
	run_agree(verb[2].run, verb[2].set - 1); /* of another set: ignored */
	run_agree(verb[2].run, verb[2].set);
	RIG_UNTIL(&rig, verb[0].begun && verb[1].begun && verb[2].begun);
	finish(0, RUN_END_PROGRAM, 0);
	RIG_UNTIL(&rig, verb[1].ended[0].is && verb[2].ended[0].is);
	assert_int_equal(verb[1].ended[0].code, 0);
	finish(1, RUN_END_PROGRAM, 3);
	RIG_UNTIL(&rig, verb[2].ended[1].is);
	assert_int_equal(verb[2].ended[1].code, 3);
	assert_false(verb[2].lost[0] || verb[2].lost[1]);
}

static void
test_again_while_another_still_runs(void **state)
{
	(void)state;
	begin_all();
	finish(0, RUN_END_PROGRAM, 0);
	offer(0, "next", true);
	RIG_UNTIL(&rig, verb[1].ended[0].is && verb[2].ended[0].is);
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_BUSY) && state_is(0, 2, RUN_PARTY_BUSY));
	finish(1, RUN_END_PROGRAM, 0);
	finish(2, RUN_END_PROGRAM, 0);
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_CONNECTED));
	offer(1, "next", true);
	offer(2, "next", true);
	RIG_UNTIL(&rig, verb[0].begun && verb[1].begun && verb[2].begun);
}

static void
test_an_offer_is_replaced(void **state)
{
	(void)state;
	offer(0, "prog", true);
	offer(1, "prog", true);
	offer(2, "prog", false);
	RIG_UNTIL(&rig, verb[2].completed == 1);
	RIG_UNTIL(&rig,
		  state_is(1, 0, RUN_PARTY_READY) && state_is(0, 1, RUN_PARTY_READY));
	/* Nobody may begin with what all but carol agreed to. */
	finish(0, RUN_END_GIVEN_UP, 0);
	offer(0, "other", true);
	RIG_UNTIL(&rig, verb[2].completed == 2 && verb[1].completed == 2);
	assert_true(verb[1].ended[0].is);
	assert_int_equal(verb[1].ended[0].how, RUN_END_GIVEN_UP);
	RIG_UNTIL(&rig,
		  state_is(2, 0, RUN_PARTY_READY) && state_is(2, 1, RUN_PARTY_READY));
	assert_false(verb[0].begun || verb[1].begun);
	run_agree(verb[2].run, verb[2].set);
	RIG_UNTIL(&rig, verb[0].begun && verb[1].begun && verb[2].begun);
}

/* Who is last to hear of all offers hears of them although the first have gone. */
static void
test_the_last_learns_what_the_first_refused(void **state)
{
	(void)state;
	offer(0, "prog", false);
	offer(1, "other", false);
	RIG_UNTIL(&rig, state_is(0, 1, RUN_PARTY_OFFERS));
	offer(2, "prog", false);
	RIG_UNTIL(&rig, verb[0].completed == 1);
	finish(0, RUN_END_REFUSED, 0);
	RIG_UNTIL(&rig, verb[1].completed == 1);
	finish(1, RUN_END_REFUSED, 0);
	RIG_UNTIL(&rig, verb[2].ended[0].is && verb[2].ended[1].is);
	rig_stop(&rig, 0);
	RIG_UNTIL(&rig, verb[2].completed == 1);
	run_agree(verb[2].run, verb[2].set);
	RIG_UNTIL(&rig, state_is(2, 0, RUN_PARTY_ABSENT) &&
			    state_is(2, 1, RUN_PARTY_CONNECTED));
	assert_false(verb[2].begun);
	/* Not with the next run. */
	finish(2, RUN_END_GIVEN_UP, 0);
	offer(2, "prog", false);
	for (int i = 0; i < 100; i++)
		rig_turn(&rig);
	assert_int_equal(verb[2].completed, 0);
}

static void
test_a_party_is_lost(void **state)
{
	(void)state;
	begin_all();
	/* In good order, and saying so: but its program goes with it. */
	rig_stop(&rig, 2);
	verb[2].run = NULL;
	RIG_UNTIL(&rig, verb[0].lost[2] && verb[1].lost[2]);
	assert_false(verb[0].lost[1] || verb[1].lost[0]);
	assert_true(strlen(verb[0].why) > 0);
}

static void
test_a_party_leaves_before(void **state)
{
	(void)state;
	offer(0, "prog", true);
	offer(1, "prog", true);
	offer(2, "prog", false);
	RIG_UNTIL(&rig, verb[2].completed == 1);
	rig_stop(&rig, 2);
	verb[2].run = NULL;
	RIG_UNTIL(&rig, state_is(0, 2, RUN_PARTY_ABSENT));
	rig_start(&rig, 2, "");
	offer(2, "prog", true);
	RIG_UNTIL(&rig, verb[0].begun && verb[1].begun && verb[2].begun);
}

static void
test_a_partner_that_fails(void **state)
{
	(void)state;
	begin_all();
	finish(0, RUN_END_PROGRAM, 1);
	RIG_UNTIL(&rig, verb[1].ended[0].is);
	assert_false(verb[1].lost[0]);
	/* Their programs have never been connected: bob's waits for alice's. */
	RIG_UNTIL(&rig, verb[1].lost[0] && verb[2].lost[0]);
	assert_contains(verb[1].why, "exit code 1");
	assert_false(verb[1].lost[2]);
}

/* --- carol's streams are the test's --- */

static struct raw_party carol;
static struct raw_stream stream;

static const uint8_t run_header[] = {5, 1, 0, 3, 3, 'r', 'u', 'n', 0, 0};

static int
setup_raw(void **state)
{
	(void)state;
	memset(verb, 0, sizeof verb);
	rig_init(&rig, 3);
	rig_start(&rig, 1, "");
	raw_start(&carol, &rig, 2, 1);
	RIG_UNTIL(&rig, link_is_up(carol.link));
	return 0;
}

static int
teardown_raw(void **state)
{
	raw_stop(&carol);
	return teardown(state);
}

static void
open_run(struct raw_stream *s)
{
	raw_open(&carol, s);
	raw_send(&carol, s, run_header, sizeof run_header);
}

static void
say(struct raw_stream *s, struct run_message m)
{
	uint8_t out[RUN_MESSAGE_MAX];

	raw_send(&carol, s, out, run_message_encode(&m, out));
}

static void
say_offer(struct raw_stream *s, uint8_t version)
{
	struct run_offer o = {.program = "p", .nonce = {42}};
	uint8_t out[RUN_OFFER_MAX];
	size_t len = run_offer_encode(&o, out);

	out[0] = version;
	say(s, (struct run_message){.type = RUN_MESSAGE_OFFER, .value = out, .len = len});
}

static void
expect_reset(struct raw_stream *s, uint64_t code)
{
	RIG_UNTIL(&rig, s->reset);
	assert_int_equal(s->code, code);
	if (s->qs != NULL)
		raw_abort(&carol, s);
}

static void
test_nonsense_is_refused(void **state)
{
	static const uint8_t digest[RUN_DIGEST_BYTES];
	const struct run_message ready = {.type = RUN_MESSAGE_READY,
					  .value = digest,
					  .len = sizeof digest};
	const struct run_message end = {.type = RUN_MESSAGE_END};
	static const uint8_t unknown[] = {9, 0, 0};

	(void)state;
	offer(1, "p", true);
	open_run(&stream);
	raw_send(&carol, &stream, unknown, sizeof unknown);
	expect_reset(&stream, QUIC_CODE_PROTOCOL);
	open_run(&stream);
	say(&stream, ready);
	expect_reset(&stream, QUIC_CODE_PROTOCOL);
	open_run(&stream);
	say(&stream, end);
	expect_reset(&stream, QUIC_CODE_PROTOCOL);
	open_run(&stream);
	say_offer(&stream, RUN_OFFER_VERSION);
	say_offer(&stream, RUN_OFFER_VERSION);
	expect_reset(&stream, QUIC_CODE_PROTOCOL);
	open_run(&stream);
	say_offer(&stream, RUN_OFFER_VERSION);
	raw_finish(&carol, &stream);
	expect_reset(&stream, QUIC_CODE_PROTOCOL);
	RIG_UNTIL(&rig, !state_is(1, 2, RUN_PARTY_OFFERS));
}

static void
test_another_version(void **state)
{
	(void)state;
	offer(1, "p", true);
	open_run(&stream);
	say_offer(&stream, RUN_OFFER_VERSION + 1);
	expect_reset(&stream, QUIC_CODE_REFUSED);
	RIG_UNTIL(&rig, state_is(1, 2, RUN_PARTY_UNABLE));
}

static void
test_too_many_offers(void **state)
{
	static struct raw_stream many[RUN_PEER_STREAMS_MAX];

	(void)state;
	for (size_t i = 0; i < RUN_PEER_STREAMS_MAX; i++) {
		open_run(&many[i]);
		say_offer(&many[i], RUN_OFFER_VERSION);
		RIG_UNTIL(&rig, many[i].n_got == HEADER_REPLY_BYTES);
	}
	open_run(&stream);
	expect_reset(&stream, QUIC_CODE_LIMIT);
	for (size_t i = 0; i < RUN_PEER_STREAMS_MAX; i++)
		raw_abort(&carol, &many[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_they_begin_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_again_while_another_still_runs, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_an_offer_is_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_the_last_learns_what_the_first_refused,
					    setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_party_is_lost, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_party_leaves_before, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_a_partner_that_fails, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_nonsense_is_refused, setup_raw,
					    teardown_raw),
	    cmocka_unit_test_setup_teardown(test_another_version, setup_raw,
					    teardown_raw),
	    cmocka_unit_test_setup_teardown(test_too_many_offers, setup_raw,
					    teardown_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
