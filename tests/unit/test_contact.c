/* The conversations of contact.c, step by step on a network without faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "contact_sim.h"

#define A 0
#define B 1

#define MS NS_PER_MS
#define S  NS_PER_S

#define ONE_WAY_NS (100 * MS)

static int
setup(void **state)
{
	struct sim *s = sim_new(1);

	s->delay_min_ns = s->delay_max_ns = ONE_WAY_NS;
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	sim_free(*state);
	return 0;
}

static void
assert_talk(struct sim_life *a, struct sim_life *b, uint64_t within_ns)
{
	unsigned from_a = a->sent, from_b = b->sent;

	assert_int_equal(sim_send(a), 0);
	assert_int_equal(sim_send(b), 0);
	sim_run(a->sim, within_ns);
	assert_int_equal(b->got[a->index][from_a], 1);
	assert_int_equal(a->got[b->index][from_b], 1);
}

/* B starts when A's hello is long gone: B has met A after two trips, A has met B and has
 * B's first message after the third. */
static void
test_second_to_start_sends_first(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b;

	sim_drop_all(s);
	sim_run(s, 90 * S);
	sim_drop_all(s);
	b = sim_start(s, B, 0);
	b->greet = 1;
	sim_run(s, 400 * MS);
	assert_true(b->met_ns == b->born_ns + 2 * ONE_WAY_NS);
	assert_true(a->met_ns == b->born_ns + 3 * ONE_WAY_NS);
	assert_true(a->first_ns == a->met_ns);
	/* B: hello, message. A: hello, acknowledgement; and its hellos before. */
	assert_int_equal(b->transmitted, 2);
	sim_assert_settled(a, b);
}

/* Where A's hello was kept for B, A has met B after the first trip already. */
static void
test_hello_kept_in_the_box(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b;

	a->greet = 1;
	sim_drop_all(s);
	b = sim_start(s, B, 0);
	sim_replay(s, 0);
	sim_run(s, 2 * S);
	assert_true(a->met_ns == b->born_ns + ONE_WAY_NS);
	assert_true(b->met_ns == b->born_ns + 2 * ONE_WAY_NS);
	assert_true(b->first_ns == b->met_ns);
	sim_assert_settled(a, b);
}

static void
test_nothing_to_say_still_meets(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b;

	sim_drop_all(s);
	b = sim_start(s, B, 0);
	sim_run(s, 2 * S);
	assert_true(b->met_ns == b->born_ns + 2 * ONE_WAY_NS);
	assert_true(a->met_ns == b->born_ns + 3 * ONE_WAY_NS);
	sim_assert_settled(a, b);
	sim_run(s, 3600 * S);
	assert_true(a->transmitted + b->transmitted <= 8);
}

static void
test_simultaneous_start(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b = sim_start(s, B, 0);

	sim_run(s, 1 * S);
	assert_true(a->met_ns == a->born_ns + 2 * ONE_WAY_NS);
	assert_true(b->met_ns == a->met_ns);
	assert_int_equal(a->met + b->met, 2);
	sim_assert_settled(a, b);
	assert_true(a->transmitted <= 4 && b->transmitted <= 4);
}

/* The two of most tests, met and settled. */
static void
meet(struct sim *s, struct sim_life **a, struct sim_life **b)
{
	*a = sim_start(s, A, 0);
	*b = sim_start(s, B, 0);
	sim_run(s, 2 * S);
	sim_assert_settled(*a, *b);
}

static void
test_send_needs_a_life(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b;
	static const uint8_t body[CONTACT_BODY_MAX + 1];

	assert_false(contact_is_met(a->contact));
	assert_int_equal(sim_send(a), -1);
	b = sim_start(s, B, 0);
	sim_run(s, 2 * S);
	assert_int_equal(contact_send(a->contact, 128, body, 1, s->now_ns), -1);
	assert_int_equal(contact_send(a->contact, 1, body, sizeof body, s->now_ns), -1);
	assert_talk(a, b, 1 * S);
}

static void
test_resent_until_acknowledged(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;
	uint64_t expected_ns = 500 * MS;
	size_t before;

	meet(s, &a, &b);
	s->loss_percent = 100;
	sim_send(a);
	before = a->transmitted;
	/* 0.5, 1, 2, 4, 8, 10, 10 ... seconds apart. */
	for (int i = 0; i < 8; i++) {
		assert_true(contact_expiry(a->contact) == s->now_ns + expected_ns);
		sim_run(s, expected_ns);
		assert_int_equal(a->transmitted, ++before);
		expected_ns = 2 * expected_ns < 10 * S ? 2 * expected_ns : 10 * S;
	}
	s->loss_percent = 0;
	sim_run(s, 10 * S + 200 * MS);
	assert_int_equal(b->got[a->index][0], 1);
	sim_assert_settled(a, b);
}

/* A lost acknowledgement: the message comes again, is not delivered again, and is
 * acknowledged again. */
static void
test_duplicate_is_acknowledged(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;

	meet(s, &a, &b);
	sim_send(a);
	sim_run(s, ONE_WAY_NS);
	assert_int_equal(b->got[a->index][0], 1);
	sim_drop_all(s);
	sim_run(s, 2 * S);
	sim_assert_settled(a, b);
}

static void
test_oldest_gives_way(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;

	meet(s, &a, &b);
	s->loss_percent = 100;
	for (int i = 0; i < CONTACT_PENDING_MAX + 3; i++)
		sim_send(a);
	s->loss_percent = 0;
	sim_run(s, 60 * S);
	assert_int_equal(sim_got(b, a, 3), 0);
	assert_int_equal(sim_got(b, a, CONTACT_PENDING_MAX + 3), CONTACT_PENDING_MAX);
	sim_assert_settled(a, b);
}

static void
test_withdraw(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;

	meet(s, &a, &b);
	s->loss_percent = 100;
	sim_send(a);
	contact_withdraw(a->contact, SIM_TYPE + 1);
	assert_true(contact_expiry(a->contact) != CLOCK_NEVER);
	contact_withdraw(a->contact, SIM_TYPE);
	assert_true(contact_expiry(a->contact) == CLOCK_NEVER);
	s->loss_percent = 0;
	sim_run(s, 60 * S);
	assert_int_equal(b->got[a->index][0], 0);
	assert_talk(a, b, 1 * S);
}

static void
test_offline_is_silent(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;
	size_t before;

	meet(s, &a, &b);
	contact_offline(a->contact);
	before = a->transmitted;
	assert_int_equal(sim_send(a), 0);
	sim_run(s, 600 * S);
	assert_int_equal(a->transmitted, before);
	assert_true(contact_expiry(a->contact) == CLOCK_NEVER);
	contact_online(a->contact, s->now_ns);
	sim_run(s, ONE_WAY_NS);
	assert_int_equal(b->got[a->index][0], 1);
	sim_run(s, 1 * S);
	sim_assert_settled(a, b);
}

static void
test_lone_party_is_patient(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0);

	sim_run(s, 3600 * S);
	assert_in_range(a->transmitted, 3600 / 30, 3600 / 22 + 8);
}

/* Parties that started at one moment do not go on in step. */
static void
test_hellos_drift_apart(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 0), *b = sim_start(s, B, 0);

	assert_in_range(contact_expiry(a->contact), s->now_ns + 375 * MS,
			s->now_ns + 500 * MS);
	assert_true(contact_expiry(a->contact) != contact_expiry(b->contact));
}

static void
test_restart_replaces(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	assert_talk(a, b1, 1 * S);
	sim_kill(b1);
	sim_send(a); /* to B's first life: void */
	b2 = sim_start(s, B, 0);
	b2->greet = a->greet = 1;
	sim_run(s, 5 * S);
	assert_int_equal(a->replaced, 1);
	assert_int_equal(b2->met, 1);
	assert_int_equal(b2->replaced, 0);
	/* One round to prove that it is live, two seconds of grace, one trip. */
	assert_true(a->met_ns == b2->born_ns + 3 * ONE_WAY_NS + 2 * S);
	assert_true(b2->met_ns == a->met_ns + ONE_WAY_NS);
	assert_true(b2->first_ns == b2->met_ns);
	assert_int_equal(b2->got[a->index][1], 0);
	assert_int_equal(b2->got[a->index][2], 1);
	assert_int_equal(a->got[b2->index][0], 1);
	sim_assert_settled(a, b2);
}

/* It said on its path that it ends: its next life need not wait. */
static void
test_shutdown_and_return(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	assert_talk(a, b1, 1 * S);
	contact_forget(a->contact, s->now_ns);
	assert_false(contact_is_met(a->contact));
	assert_int_equal(sim_send(a), -1);
	/* It still runs, and may as well be a recording. */
	sim_send(b1);
	sim_run(s, 60 * S);
	sim_kill(b1);
	assert_false(contact_is_met(a->contact));
	assert_int_equal(a->got[b1->index][1], 0);
	sim_drop_all(s);
	a->met = 0; /* on_met(): this is no replacement */
	b2 = sim_start(s, B, 0);
	b2->greet = 1;
	sim_run(s, 1 * S);
	assert_true(a->met_ns == b2->born_ns + 3 * ONE_WAY_NS);
	assert_true(b2->met_ns == b2->born_ns + 4 * ONE_WAY_NS);
	sim_assert_settled(a, b2);
	assert_talk(a, b2, 1 * S);
}

/* After the end of the life that was known, no earlier one is met again by replays. */
static void
test_replays_after_shutdown(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b0, *b1;
	size_t n;

	meet(s, &a, &b0);
	sim_kill(b0);
	b1 = sim_start(s, B, 0);
	sim_run(s, 10 * S);
	assert_int_equal(a->met, 2);
	sim_kill(b1);
	contact_forget(a->contact, s->now_ns);
	a->met = 0;
	n = s->recorded;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < n; i++)
			sim_replay(s, i);
		sim_run(s, 1 * S);
	}
	assert_int_equal(a->met, 0);
	b1 = sim_start(s, B, 0);
	sim_run(s, 30 * S);
	sim_assert_settled(a, b1);
}

/* The newcomer was there first: it is met at once when the old life's farewell comes. */
static void
test_shutdown_during_challenge(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	sim_kill(b1);
	b2 = sim_start(s, B, 0);
	sim_run(s, 4 * ONE_WAY_NS);
	assert_true(a->heard_asked > 0);
	contact_forget(a->contact, s->now_ns);
	a->met = 0;
	assert_true(contact_expiry(a->contact) == s->now_ns);
	sim_run(s, 1);
	assert_int_equal(a->met, 1);
	sim_run(s, 1 * S);
	sim_assert_settled(a, b2);
}

/* A path leads to a life that nobody has met: the one that was known has been replaced, and
 * the new one is met as if that had ended. */
static void
test_replaced_on_its_path(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	contact_replaced(a->contact, b1->incarnation.bytes, s->now_ns);
	assert_true(contact_is_met(a->contact));
	sim_kill(b1);
	b2 = sim_start(s, B, 0);
	/* What is heard on the path is the new life. */
	a->heard = true;
	contact_replaced(a->contact, b2->incarnation.bytes, s->now_ns);
	assert_false(contact_is_met(a->contact));
	a->met = 0;
	sim_run(s, 1 * S);
	assert_int_equal(b2->refused, 0);
	assert_int_equal(a->replaced, 0);
	sim_assert_settled(a, b2);
	assert_talk(a, b2, 1 * S);
	contact_replaced(a->contact, b2->incarnation.bytes, s->now_ns);
	assert_true(contact_is_met(a->contact));
}

/* It was wrong, and the life that was known proves that it is live. */
static void
test_replaced_and_not_dead(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1;
	static const struct incarnation nobody = {{1}};

	meet(s, &a, &b1);
	contact_replaced(a->contact, nobody.bytes, s->now_ns);
	assert_false(contact_is_met(a->contact));
	a->met = 0;
	contact_online(b1->contact, s->now_ns);
	sim_run(s, 1 * S);
	assert_true(contact_is_met(a->contact));
	assert_talk(a, b1, 1 * S);
}

static void
test_both_restart(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;

	meet(s, &a, &b);
	sim_kill(a);
	sim_kill(b);
	a = sim_start(s, A, 0);
	b = sim_start(s, B, 0);
	for (size_t i = 0, n = s->recorded; i < n; i++)
		sim_replay(s, i);
	sim_run(s, 10 * S);
	sim_assert_settled(a, b);
	assert_talk(a, b, 1 * S);
}

static void
test_second_copy_is_refused(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	b2 = sim_start(s, B, 0);
	b2->greet = 1;
	sim_run(s, 2 * S);
	assert_in_range(b2->refused, 1, 3);
	assert_int_equal(b2->met, 0);
	assert_in_range(contact_expiry(b2->contact) - s->now_ns, 2 * S, 5 * S);
	assert_int_equal(sim_send(b2), -1);
	assert_int_equal(a->met, 1);
	assert_int_equal(b1->refused, 0);
	sim_assert_settled(a, b1);
	assert_talk(a, b1, 1 * S);
	sim_kill(b2);
	/* Its hellos, again and again, bother nobody. */
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0, n = s->recorded; i < n; i++)
			sim_replay(s, i);
		sim_run(s, 20 * S);
	}
	assert_int_equal(a->met, 1);
	sim_assert_settled(a, b1);
}

/* A copy that goes on asks from time to time, and is met soon after the other one has
 * ended. */
static void
test_refused_and_then_needed(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	b2 = sim_start(s, B, 0);
	sim_run(s, 60 * S);
	assert_in_range(b2->refused, 6, 15);
	assert_int_equal(a->met, 1);
	assert_in_range(b2->transmitted, 10, 60);
	sim_kill(b1);
	sim_run(s, 20 * S);
	assert_int_equal(a->met, 2);
	assert_int_equal(b2->met, 1);
	sim_assert_settled(a, b2);
	assert_talk(a, b2, 1 * S);
}

/* A peer that refuses the one life there is, out of error or malice, gets nothing by it:
 * they meet again. */
static void
test_refused_without_reason(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b, *b2;

	meet(s, &a, &b);
	b2 = sim_start(s, B, 0);
	sim_run(s, 2 * S);
	assert_in_range(b2->refused, 1, 3);
	sim_kill(b);
	/* All that was ever said, the refusal among it. */
	for (size_t i = 0, n = s->recorded; i < n; i++)
		sim_replay(s, i);
	sim_run(s, 60 * S);
	sim_assert_settled(a, b2);
	for (size_t i = 0, n = s->recorded; i < n; i++)
		sim_replay(s, i);
	sim_run(s, 60 * S);
	sim_assert_settled(a, b2);
	assert_talk(a, b2, 1 * S);
}

/* It is told again when it asks again, at no cost to the life that is known. */
static void
test_lost_refusal(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;
	size_t before;

	meet(s, &a, &b1);
	b2 = sim_start(s, B, 0);
	sim_run(s, 5 * ONE_WAY_NS);
	sim_drop_all(s);
	before = b1->transmitted;
	sim_run(s, 2 * S);
	assert_int_equal(b2->refused, 1);
	assert_int_equal(b1->transmitted, before);
}

/* It does not answer the challenge, but its path shows that it is there. */
static void
test_heard_on_its_path(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	contact_offline(b1->contact);
	a->heard = true;
	b2 = sim_start(s, B, 0);
	sim_run(s, 5 * S);
	assert_int_equal(b2->refused, 1);
	assert_int_equal(a->met, 1);
	/* Asked at once, and when what was under way has passed. */
	assert_int_equal(a->heard_asked, 2);
	contact_online(b1->contact, s->now_ns);
	assert_talk(a, b1, 1 * S);
}

static void
test_going_offline_ends_the_challenge(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1;

	meet(s, &a, &b1);
	contact_offline(b1->contact);
	sim_start(s, B, 0);
	sim_run(s, 1500 * MS);
	assert_true(a->heard_asked > 0);
	contact_offline(a->contact);
	sim_drop_all(s);
	sim_run(s, 60 * S);
	assert_int_equal(a->met, 1);
	contact_online(a->contact, s->now_ns);
	sim_run(s, 1500 * MS);
	assert_int_equal(a->met, 1);
	contact_online(b1->contact, s->now_ns);
	sim_run(s, 60 * S);
	assert_int_equal(a->met, 1);
	sim_assert_settled(a, b1);
}

/* B's first life was cut off when a second copy came; that copy ends, and the first is
 * there still: it is taken back, and none of its messages comes twice. */
static void
test_replaced_life_returns(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	assert_talk(a, b1, 1 * S);
	contact_offline(b1->contact);
	b2 = sim_start(s, B, 0);
	sim_run(s, 5 * S);
	assert_int_equal(a->met, 2);
	assert_talk(a, b2, 1 * S);
	sim_kill(b2);
	contact_online(b1->contact, s->now_ns);
	sim_send(b1);
	sim_run(s, 60 * S);
	assert_int_equal(a->met, 3);
	assert_int_equal(sim_got(a, b1, 2), 2);
	for (size_t i = 0, n = s->recorded; i < n; i++)
		sim_replay(s, i);
	sim_run(s, 60 * S);
	assert_int_equal(a->met, 3);
	assert_talk(a, b1, 1 * S);
}

/* The same, but that life has nothing to say: what is sent to the other shows it that it
 * was replaced. */
static void
test_replaced_life_sees_that_it_was(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b1, *b2;

	meet(s, &a, &b1);
	contact_offline(b1->contact);
	b2 = sim_start(s, B, 0);
	sim_run(s, 5 * S);
	assert_int_equal(a->met, 2);
	sim_kill(b2);
	contact_online(b1->contact, s->now_ns);
	sim_drop_all(s);
	sim_run(s, 60 * S);
	assert_int_equal(a->met, 2);
	sim_send(a);
	sim_run(s, 10 * S);
	assert_int_equal(a->met, 3);
	assert_talk(a, b1, 1 * S);
}

/* A hello of a life that is over, while the one we know cannot be reached: nothing. */
static void
test_replayed_hello_knocks_nobody_out(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b0, *b1;
	size_t n;

	meet(s, &a, &b0);
	sim_kill(b0);
	b1 = sim_start(s, B, 0);
	sim_run(s, 10 * S);
	assert_int_equal(a->met, 2);
	contact_offline(b1->contact);
	n = s->recorded;
	for (int round = 0; round < 30; round++) {
		for (size_t i = 0; i < n; i++)
			sim_replay(s, i);
		sim_run(s, 1 * S);
	}
	assert_int_equal(a->met, 2);
	contact_online(b1->contact, s->now_ns);
	assert_talk(a, b1, 2 * S);
}

static void
test_replays_cause_bounded_work(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;
	size_t before, n;

	b = sim_start(s, B, 0);
	sim_run(s, 1 * S);
	sim_kill(b);
	meet(s, &a, &b);
	assert_talk(a, b, 1 * S);
	n = s->recorded;
	before = a->transmitted + b->transmitted;
	for (int i = 0; i < 1000; i++) {
		for (size_t j = 0; j < n; j++)
			sim_replay(s, j);
		sim_drop_all(s);
		sim_run(s, 10 * MS);
	}
	/* Ten seconds; each end may answer 8 and 2 a second, 16 and 10 a second. */
	assert_true(a->transmitted + b->transmitted - before <=
		    2 * (8 + 20 + 16 + 100 + 2));
	assert_int_equal(a->met + b->met, 2);
	sim_run(s, 30 * S);
	assert_talk(a, b, 1 * S);
}

static void
test_roster_differs(void **state)
{
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 1), *b = sim_start(s, B, 2);

	sim_run(s, 2 * S);
	assert_talk(a, b, 2 * S);
	assert_int_equal(a->differs, 1);
	assert_int_equal(b->differs, 1);
	sim_kill(b);
	b = sim_start(s, B, 3);
	sim_run(s, 10 * S);
	assert_int_equal(a->differs, 2);
	sim_kill(b);
	b = sim_start(s, B, 1);
	sim_run(s, 10 * S);
	assert_int_equal(a->met, 3);
	assert_int_equal(a->differs, 2);
	assert_int_equal(b->differs, 0);
}

/* A session.ini that changes while two parties know each other, first at one, then at
 * both. */
static void
test_roster_changes(void **state)
{
	static const uint8_t changed[32] = {2};
	struct sim *s = *state;
	struct sim_life *a = sim_start(s, A, 1), *b = sim_start(s, B, 1);

	sim_run(s, 2 * S);
	assert_int_equal(a->differs + b->differs, 0);
	contact_set_roster(a->contact, changed);
	assert_int_equal(a->differs, 1);
	assert_int_equal(b->differs, 0);
	sim_send(a);
	sim_run(s, 2 * S);
	assert_int_equal(b->differs, 1);
	contact_set_roster(b->contact, changed);
	assert_int_equal(b->agrees, 1);
	sim_send(b);
	sim_run(s, 2 * S);
	assert_int_equal(a->agrees, 1);
	assert_int_equal(a->met + b->met, 2);
	assert_int_equal(a->differs + b->differs, 2);
}

/* B takes a dead life of A for live, by a message that was under way for long; the
 * living one goes on saying hello until B knows better. */
static void
test_late_message_of_a_dead_life(void **state)
{
	struct sim *s = *state;
	struct sim_life *a1 = sim_start(s, A, 0), *a2, *b;
	size_t late;

	sim_drop_all(s);
	b = sim_start(s, B, 0);
	sim_run(s, ONE_WAY_NS);
	late = s->recorded - 1; /* A's hello that echoes B */
	assert_int_equal(s->record[late].to, B);
	sim_kill(a1);
	sim_drop_all(s);
	a2 = sim_start(s, A, 0);
	sim_drop_all(s);
	/* A's second life meets B, but what it says to that is lost; the late one comes.
	 */
	contact_online(a2->contact, s->now_ns);
	sim_run(s, 2 * ONE_WAY_NS);
	assert_int_equal(a2->met, 1);
	sim_drop_all(s);
	sim_replay(s, late);
	assert_int_equal(b->met, 1);
	sim_drop_all(s);
	sim_run(s, 10 * S);
	assert_int_equal(b->replaced, 1);
	sim_assert_settled(a2, b);
	assert_talk(a2, b, 1 * S);
}

static void
test_foreign_message(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;
	struct err err = {""};
	struct sim_packet *p;

	meet(s, &a, &b);
	p = &s->record[0];
	/* To its own sender. */
	assert_int_equal(contact_receive(p->to == A ? b->contact : a->contact, p->data,
					 p->len, s->now_ns, &err),
			 -1);
	assert_string_not_equal(err.text, "");
}

/* Types of a later version are authentic and mean nothing. */
static void
test_unknown_type(void **state)
{
	struct sim *s = *state;
	struct sim_life *a, *b;
	struct fake_sealed f;
	struct sim_packet *p;

	meet(s, &a, &b);
	assert_talk(a, b, 1 * S);
	p = &s->record[s->recorded - 1];
	memcpy(&f, p->data, sizeof f);
	for (unsigned type = 133; type < 256; type++) {
		f.m.type = (uint8_t)type;
		assert_int_equal(contact_receive(p->to == A ? a->contact : b->contact,
						 (const uint8_t *)&f, sizeof f, s->now_ns,
						 NULL),
				 f.m.len == 0 ? 0 : -1);
	}
	assert_int_equal(s->flying, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_second_to_start_sends_first),
	    TEST(test_hello_kept_in_the_box),
	    TEST(test_nothing_to_say_still_meets),
	    TEST(test_simultaneous_start),
	    TEST(test_send_needs_a_life),
	    TEST(test_resent_until_acknowledged),
	    TEST(test_duplicate_is_acknowledged),
	    TEST(test_oldest_gives_way),
	    TEST(test_withdraw),
	    TEST(test_offline_is_silent),
	    TEST(test_lone_party_is_patient),
	    TEST(test_hellos_drift_apart),
	    TEST(test_restart_replaces),
	    TEST(test_shutdown_and_return),
	    TEST(test_replays_after_shutdown),
	    TEST(test_shutdown_during_challenge),
	    TEST(test_replaced_on_its_path),
	    TEST(test_replaced_and_not_dead),
	    TEST(test_both_restart),
	    TEST(test_second_copy_is_refused),
	    TEST(test_refused_and_then_needed),
	    TEST(test_refused_without_reason),
	    TEST(test_lost_refusal),
	    TEST(test_heard_on_its_path),
	    TEST(test_going_offline_ends_the_challenge),
	    TEST(test_replaced_life_returns),
	    TEST(test_replaced_life_sees_that_it_was),
	    TEST(test_replayed_hello_knocks_nobody_out),
	    TEST(test_replays_cause_bounded_work),
	    TEST(test_roster_differs),
	    TEST(test_roster_changes),
	    TEST(test_late_message_of_a_dead_life),
	    TEST(test_foreign_message),
	    TEST(test_unknown_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
