/* Conversations by the thousand on a network with every fault. CONTACT_SEEDS=N runs more
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "contact_sim.h"

#define A 0
#define B 1

#define S NS_PER_S

#define SEEDS 1500
/* With three of five messages lost, an exchange that is tried every ten or thirty
 * seconds takes its time; it must not take for ever. */
#define SETTLE_NS (3600 * S)

static uint64_t
seeds(void)
{
	const char *text = getenv("CONTACT_SEEDS");

	return text != NULL ? strtoull(text, NULL, 10) : SEEDS;
}

static struct sim *
bad_network(uint64_t seed)
{
	struct sim *s = sim_new(seed);

	s->loss_percent = (unsigned)sim_below(s, 60);
	s->twice_percent = (unsigned)sim_below(s, 40);
	s->delay_max_ns = sim_below(s, 3 * S);
	return s;
}

/* Replay ${n} recorded messages over ${for_ns}. */
static void
run_with_replays(struct sim *s, uint64_t for_ns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sim_run(s, for_ns / n);
		if (s->recorded > 0)
			sim_replay(s, sim_below(s, s->recorded));
	}
}

/* Any order, any time apart; both send; all arrives, once. */
static void
test_converge(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct sim *s = bad_network(seed);
		unsigned first = (unsigned)sim_below(s, 2);
		struct sim_life *x = sim_start(s, first, 0), *y;

		x->greet = (unsigned)sim_below(s, 4);
		run_with_replays(s, sim_below(s, 60 * S), 3);
		y = sim_start(s, 1 - first, 0);
		y->greet = (unsigned)sim_below(s, 4);
		for (unsigned i = 0; i < 20; i++) {
			run_with_replays(s, sim_below(s, 20 * S), 3);
			if (x->sent < 16)
				sim_send(x);
			if (y->sent < 16)
				sim_send(y);
		}
		sim_run(s, SETTLE_NS);
		if (x->met != 1 || y->met != 1 || sim_got(y, x, x->sent) != x->sent ||
		    sim_got(x, y, y->sent) != y->sent)
			fail_msg("seed %llu", (unsigned long long)seed);
		sim_assert_settled(x, y);
		assert_int_equal(x->refused + y->refused, 0);
		sim_free(s);
	}
}

/* Lives end and begin at either side, at random, while everything that was ever sent
 * may come again. In the end the last of each know each other. */
static void
test_restarts(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct sim *s = bad_network(seed);
		struct sim_life *l[2] = {sim_start(s, A, 0), sim_start(s, B, 0)};
		unsigned lives[2] = {1, 1};

		while (s->lives < SIM_LIVES_MAX) {
			unsigned p = (unsigned)sim_below(s, 2);

			l[p]->greet = (unsigned)sim_below(s, 3);
			run_with_replays(s, sim_below(s, 40 * S), 20);
			if (l[1 - p]->sent < 32)
				sim_send(l[1 - p]);
			sim_run(s, sim_below(s, 1 * S));
			sim_kill(l[p]);
			run_with_replays(s, sim_below(s, 10 * S), 5);
			l[p] = sim_start(s, p, 0);
			lives[p]++;
		}
		run_with_replays(s, 60 * S, 60);
		sim_run(s, SETTLE_NS);
		for (size_t i = 0; i < s->lives; i++) {
			assert_int_equal(s->life[i].refused, 0);
			if (s->life[i].met > lives[1 - s->life[i].party])
				fail_msg("seed %llu", (unsigned long long)seed);
		}
		l[A]->sent = l[B]->sent = SIM_MESSAGES_MAX / 2;
		if (sim_send(l[A]) != 0 || sim_send(l[B]) != 0)
			fail_msg("seed %llu", (unsigned long long)seed);
		sim_run(s, SETTLE_NS);
		if (l[A]->got[l[B]->index][SIM_MESSAGES_MAX / 2] != 1 ||
		    l[B]->got[l[A]->index][SIM_MESSAGES_MAX / 2] != 1)
			fail_msg("seed %llu", (unsigned long long)seed);
		sim_assert_settled(l[A], l[B]);
		sim_free(s);
	}
}

/* A second copy never disturbs a life that can be heard, and is refused. */
static void
test_second_copy(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		struct sim *s = bad_network(seed);
		struct sim_life *a = sim_start(s, A, 0), *b = sim_start(s, B, 0), *copy;

		sim_run(s, SETTLE_NS);
		sim_assert_settled(a, b);
		a->heard = true;
		copy = sim_start(s, B, 0);
		run_with_replays(s, 400 * S, 100);
		sim_run(s, SETTLE_NS);
		if (copy->refused < 1 || copy->met != 0 || a->met != 1 || b->refused != 0)
			fail_msg("seed %llu", (unsigned long long)seed);
		sim_kill(copy);
		sim_send(a);
		sim_send(b);
		run_with_replays(s, 60 * S, 60);
		sim_run(s, SETTLE_NS);
		if (a->met != 1 || sim_got(a, b, 1) != 1 || sim_got(b, a, 1) != 1)
			fail_msg("seed %llu", (unsigned long long)seed);
		sim_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_converge),
	    cmocka_unit_test(test_restarts),
	    cmocka_unit_test(test_second_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
