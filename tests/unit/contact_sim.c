#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contact_sim.h"

static const struct identity party_identity[2] = {
    {.key = {.point = {2, 'A'}}},
    {.key = {.point = {2, 'B'}}},
};

/* splitmix64. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t
sim_below(struct sim *s, uint64_t n)
{
	return next_random(&s->random) % n;
}

struct sim *
sim_new(uint64_t seed)
{
	struct sim *s = calloc(1, sizeof *s);

	assert_non_null(s);
	s->random = seed;
	s->now_ns = 1000 * NS_PER_S;
	return s;
}

void
sim_free(struct sim *s)
{
	for (size_t i = 0; i < s->lives; i++)
		sim_kill(&s->life[i]);
	sim_drop_all(s);
	for (size_t i = 0; i < s->recorded; i++)
		free(s->record[i].data);
	free(s);
}

static uint8_t *
copy_of(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	return copy;
}

static void
fly(struct sim *s, unsigned to, const uint8_t *data, size_t len)
{
	uint64_t spread = s->delay_max_ns - s->delay_min_ns;

	assert_true(s->flying < SIM_FLIGHT_MAX);
	s->flight[s->flying++] = (struct sim_packet){
	    .due_ns = s->now_ns + s->delay_min_ns + sim_below(s, spread + 1),
	    .to = to,
	    .data = copy_of(data, len),
	    .len = len,
	};
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct sim_life *l = arg;
	struct sim *s = l->sim;
	unsigned to = 1 - l->party;

	l->transmitted++;
	if (s->recorded < SIM_RECORD_MAX)
		s->record[s->recorded++] =
		    (struct sim_packet){.to = to,
					.data = copy_of(sealed, len),
					.len = len};
	if (sim_below(s, 100) < s->loss_percent)
		return;
	fly(s, to, sealed, len);
	if (sim_below(s, 100) < s->twice_percent)
		fly(s, to, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct sim_life *l = arg;

	assert_true(contact_is_met(l->contact));
	assert_int_equal(replaced, l->met > 0);
	l->met++;
	l->replaced += replaced;
	l->met_ns = l->sim->now_ns;
	for (unsigned i = 0; i < l->greet; i++)
		assert_int_equal(sim_send(l), 0);
}

static void
on_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct sim_life *l = arg;
	struct fake_sealed f;

	memcpy(&f, l->sim->arriving->data, sizeof f);
	assert_memory_equal(&f.m.to, &l->incarnation, sizeof l->incarnation);
	assert_true(l->met > 0);
	assert_int_equal(type, SIM_TYPE);
	assert_int_equal(len, 2);
	assert_int_equal(l->sim->life[body[0]].party, 1 - l->party);
	assert_int_equal(++l->got[body[0]][body[1]], 1);
	if (l->first_ns == 0)
		l->first_ns = l->sim->now_ns;
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct sim_life *l = arg;

	l->heard_asked++;
	return l->heard && since_ns <= l->sim->now_ns;
}

static void
on_refused(void *arg)
{
	struct sim_life *l = arg;

	assert_false(contact_is_met(l->contact));
	l->met = 0;
	l->refused++;
}

static void
on_roster_differs(void *arg)
{
	struct sim_life *l = arg;

	assert_true(l->met > 0);
	l->differs++;
}

static void
on_roster_agrees(void *arg)
{
	struct sim_life *l = arg;

	l->agrees++;
}

struct sim_life *
sim_start(struct sim *s, unsigned party, uint8_t roster)
{
	static const struct contact_callbacks cb = {
	    on_send, on_met, on_message, on_heard, on_refused, on_roster_differs,
	    on_roster_agrees,
	};
	uint8_t digest[32] = {roster};
	struct sim_life *l = &s->life[s->lives];
	struct contact_config cfg = {
	    .self = &party_identity[party],
	    .peer = party_identity[1 - party].key,
	    .session_name = "santa",
	    .roster_digest = digest,
	    .incarnation = l->incarnation.bytes,
	};

	assert_true(s->lives < SIM_LIVES_MAX);
	*l = (struct sim_life){
	    .sim = s,
	    .party = party,
	    .index = s->lives++,
	    .born_ns = s->now_ns,
	};
	for (size_t i = 0; i < sizeof l->incarnation.bytes; i++)
		l->incarnation.bytes[i] = (uint8_t)next_random(&s->random);
	l->contact = contact_new(&cfg, &cb, l, NULL);
	assert_non_null(l->contact);
	assert_true(contact_expiry(l->contact) == CLOCK_NEVER);
	contact_online(l->contact, s->now_ns);
	return l;
}

void
sim_kill(struct sim_life *l)
{
	contact_free(l->contact);
	l->contact = NULL;
}

int
sim_send(struct sim_life *l)
{
	uint8_t body[2] = {(uint8_t)l->index, (uint8_t)l->sent};

	assert_true(l->sent < SIM_MESSAGES_MAX);
	if (contact_send(l->contact, SIM_TYPE, body, sizeof body, l->sim->now_ns) != 0) {
		assert_false(contact_is_met(l->contact));
		return -1;
	}
	l->sent++;
	return 0;
}

void
sim_drop_all(struct sim *s)
{
	while (s->flying > 0)
		free(s->flight[--s->flying].data);
}

static void
arrive(struct sim *s, const struct sim_packet *p)
{
	s->arriving = p;
	for (size_t i = 0; i < s->lives; i++) {
		struct sim_life *l = &s->life[i];

		if (l->party == p->to && l->contact != NULL)
			assert_int_equal(contact_receive(l->contact, p->data, p->len,
							 s->now_ns, NULL),
					 0);
	}
	s->arriving = NULL;
}

void
sim_replay(struct sim *s, size_t i)
{
	arrive(s, &s->record[i]);
}

/* The earliest packet under way, or SIZE_MAX. */
static size_t
first_flight(const struct sim *s)
{
	size_t first = SIZE_MAX;

	for (size_t i = 0; i < s->flying; i++) {
		if (first == SIZE_MAX || s->flight[i].due_ns < s->flight[first].due_ns)
			first = i;
	}
	return first;
}

static struct sim_life *
first_timer(struct sim *s, uint64_t *when_ns)
{
	struct sim_life *first = NULL;

	*when_ns = CLOCK_NEVER;
	for (size_t i = 0; i < s->lives; i++) {
		struct sim_life *l = &s->life[i];

		if (l->contact != NULL && contact_expiry(l->contact) < *when_ns) {
			*when_ns = contact_expiry(l->contact);
			first = l;
		}
	}
	return first;
}

void
sim_run(struct sim *s, uint64_t for_ns)
{
	const uint64_t until_ns = s->now_ns + for_ns;

	for (;;) {
		size_t i = first_flight(s);
		uint64_t timer_ns;
		struct sim_life *l = first_timer(s, &timer_ns);

		if (i != SIZE_MAX && s->flight[i].due_ns <= until_ns &&
		    s->flight[i].due_ns <= timer_ns) {
			struct sim_packet p = s->flight[i];

			s->flight[i] = s->flight[--s->flying];
			s->now_ns = p.due_ns;
			arrive(s, &p);
			free(p.data);
		} else if (timer_ns <= until_ns) {
			assert_true(timer_ns >= s->now_ns);
			s->now_ns = timer_ns;
			contact_tick(l->contact, s->now_ns);
			assert_true(contact_expiry(l->contact) > s->now_ns);
		} else {
			break;
		}
	}
	s->now_ns = until_ns;
}

unsigned
sim_got(const struct sim_life *to, const struct sim_life *from, unsigned n)
{
	unsigned got = 0;

	for (unsigned i = 0; i < n; i++)
		got += to->got[from->index][i];
	return got;
}

void
sim_assert_settled(const struct sim_life *a, const struct sim_life *b)
{
	assert_true(contact_is_met(a->contact) && contact_is_met(b->contact));
	assert_true(contact_expiry(a->contact) == CLOCK_NEVER);
	assert_true(contact_expiry(b->contact) == CLOCK_NEVER);
}
