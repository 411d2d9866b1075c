#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rendezvous/contact.h"
#include "rendezvous/envelope.h"

/* Alice and Bob are of the session, Mallory is not; each pair as its first half sees
 * it. */
struct parties {
	struct identity *alice, *bob, *mallory;
	struct envelope_pair *alice_bob, *bob_alice;
	struct envelope m;
	uint8_t sealed[ENVELOPE_SEALED_MAX];
	size_t len;
};

static struct envelope_pair *
pair(const struct identity *self, const struct identity *peer, const char *session)
{
	struct envelope_pair *p =
	    envelope_pair_new(self, identity_pubkey(peer), session, NULL);

	assert_non_null(p);
	return p;
}

static int
setup(void **state)
{
	struct parties *t = calloc(1, sizeof *t);

	assert_non_null(t);
	t->alice = identity_ephemeral(NULL);
	t->bob = identity_ephemeral(NULL);
	t->mallory = identity_ephemeral(NULL);
	assert_true(t->alice != NULL && t->bob != NULL && t->mallory != NULL);
	t->alice_bob = pair(t->alice, t->bob, "santa");
	t->bob_alice = pair(t->bob, t->alice, "santa");
	t->m = (struct envelope){
	    .type = 7,
	    .number = 0x0102030405060708,
	    .seen = {.top = 9, .bits = 0x8000000000000001},
	    .body = (const uint8_t *)"body",
	    .len = 4,
	};
	memset(&t->m.from, 0xaa, sizeof t->m.from);
	memset(&t->m.to, 0xbb, sizeof t->m.to);
	memset(t->m.roster, 0xcc, sizeof t->m.roster);
	assert_int_equal(envelope_seal(t->alice_bob, &t->m, t->sealed, &t->len, NULL), 0);
	*state = t;
	return 0;
}

static int
teardown(void **state)
{
	struct parties *t = *state;

	envelope_pair_free(t->alice_bob);
	envelope_pair_free(t->bob_alice);
	identity_free(t->alice);
	identity_free(t->bob);
	identity_free(t->mallory);
	free(t);
	return 0;
}

static int
opens(const struct envelope_pair *p, const uint8_t *sealed, size_t len)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope m;
	struct err err = {""};
	int r = envelope_open(p, sealed, len, plain, &m, &err);

	assert_true(r == 0 || (r == -1 && err.text[0] != '\0'));
	return r;
}

static void
assert_same(const struct envelope *a, const struct envelope *b)
{
	assert_int_equal(a->type, b->type);
	assert_memory_equal(&a->from, &b->from, sizeof a->from);
	assert_memory_equal(&a->to, &b->to, sizeof a->to);
	assert_true(a->number == b->number);
	assert_true(a->seen.top == b->seen.top && a->seen.bits == b->seen.bits);
	assert_memory_equal(a->roster, b->roster, sizeof a->roster);
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->body, b->body, a->len);
}

static void
test_round_trip(void **state)
{
	struct parties *t = *state;
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope got;
	struct pubkey sender;

	assert_int_equal(envelope_open(t->bob_alice, t->sealed, t->len, plain, &got,
				       NULL),
			 0);
	assert_same(&got, &t->m);
	assert_int_equal(envelope_sender(t->sealed, t->len, &sender), 0);
	assert_true(pubkey_equal(&sender, identity_pubkey(t->alice)));
	assert_int_equal(contact_sender(t->sealed, t->len, &sender), 0);
}

/* The lengths say which of few classes a message is of, and no more. */
static void
test_lengths(void **state)
{
	struct parties *t = *state;
	uint8_t body[CONTACT_BODY_MAX + 1] = {0};
	size_t last = 0;

	assert_int_equal(t->len, 1 + 33 + 65 + 256 + 16);
	t->m.body = body;
	for (t->m.len = 0; t->m.len <= CONTACT_BODY_MAX; t->m.len += 113) {
		assert_int_equal(envelope_seal(t->alice_bob, &t->m, t->sealed, &t->len,
					       NULL),
				 0);
		assert_true(t->len >= last && t->len <= ENVELOPE_SEALED_MAX);
		assert_int_equal((t->len - 1 - 33 - 65 - 16) % ENVELOPE_PAD_BYTES, 0);
		last = t->len;
	}
	t->m.len = CONTACT_BODY_MAX;
	assert_int_equal(envelope_seal(t->alice_bob, &t->m, t->sealed, &t->len, NULL), 0);
	assert_int_equal(t->len, ENVELOPE_SEALED_MAX);
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), 0);
	t->m.len++;
	assert_int_equal(envelope_seal(t->alice_bob, &t->m, t->sealed, &t->len, NULL),
			 -1);
}

static void
test_changed(void **state)
{
	struct parties *t = *state;

	for (size_t i = 0; i < t->len; i++) {
		t->sealed[i] ^= 1;
		assert_int_equal(opens(t->bob_alice, t->sealed, t->len), -1);
		t->sealed[i] ^= 1;
	}
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), 0);
}

static void
test_cut_or_longer(void **state)
{
	struct parties *t = *state;
	struct pubkey sender;

	for (size_t n = 0; n < t->len; n++) {
		assert_int_equal(opens(t->bob_alice, t->sealed, n), -1);
		assert_int_equal(envelope_sender(t->sealed, n, &sender), -1);
	}
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len + 1), -1);
	assert_int_equal(envelope_sender(t->sealed, ENVELOPE_SEALED_MAX + 1, &sender),
			 -1);
	t->sealed[0]++;
	assert_int_equal(envelope_sender(t->sealed, t->len, &sender), -1);
}

static void
test_wrong_pair_or_session(void **state)
{
	struct parties *t = *state;
	struct envelope_pair *other = pair(t->bob, t->alice, "santb");
	struct envelope_pair *mallory = pair(t->mallory, t->alice, "santa");
	struct envelope_pair *not_from = pair(t->bob, t->mallory, "santa");

	/* For another session; for another recipient; from another sender; to its own
	 * sender. */
	assert_int_equal(opens(other, t->sealed, t->len), -1);
	assert_int_equal(opens(mallory, t->sealed, t->len), -1);
	assert_int_equal(opens(not_from, t->sealed, t->len), -1);
	assert_int_equal(opens(t->alice_bob, t->sealed, t->len), -1);
	/* Mallory's message under Alice's name. */
	envelope_pair_free(other);
	other = pair(t->mallory, t->bob, "santa");
	assert_int_equal(envelope_seal(other, &t->m, t->sealed, &t->len, NULL), 0);
	assert_int_equal(opens(not_from, t->sealed, t->len), 0);
	memcpy(t->sealed + 1, identity_pubkey(t->alice)->point, PUBKEY_BYTES);
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), -1);
	envelope_pair_free(other);
	envelope_pair_free(mallory);
	envelope_pair_free(not_from);
}

static void
test_pair_refused(void **state)
{
	struct parties *t = *state;
	struct pubkey off = *identity_pubkey(t->bob);
	struct err err = {""};

	off.point[0] = 5;
	assert_null(envelope_pair_new(t->alice, &off, "santa", &err));
	assert_string_not_equal(err.text, "");
	assert_null(envelope_pair_new(t->alice, identity_pubkey(t->bob),
				      "a-name-that-is-longer-than-32-byte", NULL));
}

static void
test_decode_is_strict(void **state)
{
	struct parties *t = *state;
	uint8_t plain[ENVELOPE_PLAIN_MAX + 1], again[ENVELOPE_PLAIN_MAX];
	struct envelope m;
	int n = envelope_encode(&t->m, plain);

	assert_int_equal(n, ENVELOPE_PAD_BYTES);
	assert_int_equal(envelope_decode(&m, plain, (size_t)n), 0);
	assert_same(&m, &t->m);
	assert_int_equal(envelope_encode(&m, again), n);
	assert_memory_equal(again, plain, (size_t)n);
	/* Too short, too long, with a byte in the padding. */
	for (size_t i = 0; i < (size_t)n; i++)
		assert_int_equal(envelope_decode(&m, plain, i), -1);
	memset(plain + n, 0, ENVELOPE_PAD_BYTES);
	assert_int_equal(envelope_decode(&m, plain, (size_t)n + ENVELOPE_PAD_BYTES), -1);
	plain[n - 1] = 1;
	assert_int_equal(envelope_decode(&m, plain, (size_t)n), -1);
	plain[n - 1] = 0;
	/* Without a sender's incarnation. */
	memset(plain + 1, 0, ENVELOPE_INCARNATION_BYTES);
	assert_int_equal(envelope_decode(&m, plain, (size_t)n), -1);
	plain[1] = 1;
	/* A body that is longer than what is there, or than any may be. */
	plain[ENVELOPE_INNER_BYTES - 1] = 5;
	assert_int_equal(envelope_decode(&m, plain, (size_t)n), 0);
	plain[ENVELOPE_INNER_BYTES - 1] = 255;
	assert_int_equal(envelope_decode(&m, plain, (size_t)n), -1);
	plain[ENVELOPE_INNER_BYTES - 2] = 255;
	assert_int_equal(envelope_decode(&m, plain, ENVELOPE_PLAIN_MAX), -1);
}

/* Two contacts through real seals: what one sends the other is given at once. */
struct end {
	struct contact *contact;
	uint8_t box[8][ENVELOPE_SEALED_MAX];
	size_t len[8];
	size_t n;
	unsigned met, messages;
};

static void
end_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct end *e = arg;

	assert_true(e->n < 8);
	memcpy(e->box[e->n], sealed, len);
	e->len[e->n++] = len;
}

static void
end_met(void *arg, bool replaced)
{
	struct end *e = arg;

	assert_false(replaced);
	e->met++;
	assert_int_equal(contact_send(e->contact, 3, (const uint8_t *)"hi", 2, 1), 0);
}

static void
end_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct end *e = arg;

	assert_int_equal(type, 3);
	assert_int_equal(len, 2);
	assert_memory_equal(body, "hi", 2);
	e->messages++;
}

static bool
end_heard(void *arg, uint64_t since_ns)
{
	(void)arg;
	(void)since_ns;
	return false;
}

static void
end_never(void *arg)
{
	(void)arg;
	fail();
}

static void
deliver(struct end *from, struct end *to)
{
	for (size_t i = 0; i < from->n; i++)
		assert_int_equal(contact_receive(to->contact, from->box[i], from->len[i],
						 1, NULL),
				 0);
	from->n = 0;
}

static void
test_contact_through_seals(void **state)
{
	static const struct contact_callbacks cb = {
	    end_send,  end_met,	 end_message, end_heard,
	    end_never, end_never, NULL,
	};
	static struct end a, b;
	struct parties *t = *state;
	const uint8_t roster[32] = {1};
	struct contact_config cfg = {
	    .self = t->alice,
	    .peer = *identity_pubkey(t->bob),
	    .session_name = "santa",
	    .roster_digest = roster,
	    .incarnation = (const uint8_t *)"incarnation of A",
	};

	a.contact = contact_new(&cfg, &cb, &a, NULL);
	cfg.self = t->bob;
	cfg.peer = *identity_pubkey(t->alice);
	cfg.incarnation = (const uint8_t *)"incarnation of B";
	b.contact = contact_new(&cfg, &cb, &b, NULL);
	assert_true(a.contact != NULL && b.contact != NULL);
	contact_online(a.contact, 1);
	contact_online(b.contact, 1);
	a.n = 0; /* A's first hello is lost */
	deliver(&b, &a);
	deliver(&a, &b);
	assert_int_equal(b.met, 1);
	deliver(&b, &a);
	assert_int_equal(a.met, 1);
	assert_int_equal(a.messages, 1);
	deliver(&a, &b);
	assert_int_equal(b.messages, 1);
	deliver(&b, &a);
	assert_int_equal(a.n + b.n, 0);
	assert_true(contact_expiry(a.contact) == CLOCK_NEVER);
	assert_true(contact_expiry(b.contact) == CLOCK_NEVER);
	assert_int_equal(contact_receive(a.contact, t->sealed, t->len, 1, NULL), -1);
	contact_free(a.contact);
	contact_free(b.contact);
}

/* Sealed with a psk: opens with the same one only, and not without. */
static void
test_psk(void **state)
{
	static const uint8_t secret[ENVELOPE_PSK_BYTES] = {1};
	static const uint8_t other[ENVELOPE_PSK_BYTES] = {2};
	struct parties *t = *state;

	envelope_pair_set_psk(t->bob_alice, secret);
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), -1);
	envelope_pair_set_psk(t->alice_bob, secret);
	assert_int_equal(envelope_seal(t->alice_bob, &t->m, t->sealed, &t->len, NULL), 0);
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), 0);
	envelope_pair_set_psk(t->bob_alice, other);
	assert_int_equal(opens(t->bob_alice, t->sealed, t->len), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_lengths),
	    TEST(test_changed),
	    TEST(test_cut_or_longer),
	    TEST(test_wrong_pair_or_session),
	    TEST(test_pair_refused),
	    TEST(test_psk),
	    TEST(test_decode_is_strict),
	    TEST(test_contact_through_seals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
