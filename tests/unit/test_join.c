/* Joining, between a host and joiners with real keys, over a rendezvous that is honest,
 * broken or hostile. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "join/notice.h"
#include "rendezvous/envelope.h"
#include "rendezvous/gate.h"
#include "join_sim.h"

#define MINUTES(n) ((n)*60 * 1000)

static bool
all_stored(struct sim *s)
{
	return s->stored == 2;
}

static bool
both_frozen(struct sim *s)
{
	return s->party[0].frozen && s->party[1].frozen;
}

static bool
has_words(struct sim *s)
{
	return s->words[0] != '\0' && s->party[0].words[0] != '\0' &&
	       s->party[1].words[0] != '\0';
}

static bool
first_ended(struct sim *s)
{
	return s->party[0].ended[0] != '\0';
}

/* Host and the first ${n} joiners have agreed. */
static void
assert_agreed(struct sim *s, size_t n)
{
	assert_true(s->confirmed);
	for (size_t i = 0; i < n; i++) {
		struct sim_party *p = &s->party[i];

		assert_string_equal(p->ended, "");
		assert_true(p->frozen);
		assert_int_equal(p->n_parties, n + 1);
		assert_memory_equal(p->digest, s->digest, sizeof s->digest);
		if (p->compared)
			assert_string_equal(p->words, s->words);
	}
}

static void
three_parties(void **state)
{
	struct sim *s = sim_new(2, 1);

	(void)state;
	sim_join(s, 0, "bob");
	sim_run(s, 2000, NULL);
	assert_int_equal(s->party[0].waiting.n, 2);
	assert_int_equal(s->party[0].waiting.wanted, 3);
	assert_string_equal(s->party[0].waiting.session, "santa");
	assert_string_equal(s->party[0].waiting.names[1], "bob");
	assert_string_equal(s->party[0].words, "");
	sim_join(s, 1, "carol");
	sim_run(s, MINUTES(1), has_words);
	assert_string_equal(s->party[0].words, s->words);
	assert_string_equal(s->party[1].words, s->words);
	/* Nothing is frozen before the host has confirmed. */
	sim_run(s, MINUTES(5), NULL);
	assert_false(s->party[0].frozen);
	assert_int_equal(s->words_n, 1);
	assert_int_equal(join_host_unstored(s->host), 0);
	s->confirmed = join_host_confirm(s->host, s->now_ns, NULL) != NULL;
	assert_int_equal(join_host_unstored(s->host), 2);
	sim_run(s, MINUTES(1), all_stored);
	assert_agreed(s, 2);
	assert_true(s->party[0].compared && s->party[1].compared);
	assert_int_equal(join_host_unstored(s->host), 0);
	sim_free(s);
}

static bool
ten_stored(struct sim *s)
{
	return s->stored == 10;
}

static void
eleven_parties(void **state)
{
	static const char *const names[] = {"b", "c", "d", "e", "f",
					    "g", "h", "i", "j", "k"};
	struct sim *s = sim_new(10, 2);

	(void)state;
	s->confirms = true;
	for (size_t i = 0; i < 10; i++)
		sim_join(s, i, names[i]);
	sim_run(s, MINUTES(2), ten_stored);
	assert_agreed(s, 10);
	sim_free(s);
}

/* Mallory has the rendezvous, and a ticket of her own making. */
static void
hostile_rendezvous(void **state)
{
	const char *seeds = getenv("SEEDS");
	unsigned n = seeds != NULL ? (unsigned)atoi(seeds) : 25;

	(void)state;
	for (uint32_t seed = 1; seed <= n; seed++) {
		struct sim *s = sim_new(2, seed);
		struct sim_party *mallory = &s->party[2];

		s->net = (struct sim_net){
		    .drop = 25,
		    .twice = 20,
		    .alter = 15,
		    .replay = 30,
		    .astray = 10,
		    .delay_ms = 1500,
		};
		s->confirms = true;
		sim_join(s, 0, "bob");
		sim_join(s, 2, "mallory");
		sim_kill(s, 2);
		mallory->psk[0] ^= 1;
		sim_join(s, 2, "mallory");
		sim_join(s, 1, "carol");
		sim_run(s, MINUTES(10), all_stored);
		if (s->stored != 2)
			fail_msg("seed %u: stored %u, bob %s, carol %s", seed, s->stored,
				 s->party[0].ended, s->party[1].ended);
		assert_agreed(s, 2);
		assert_false(mallory->frozen);
		assert_string_equal(mallory->words, "");
		sim_free(s);
	}
}

static void
late_and_unknown_names(void **state)
{
	struct sim *s = sim_new(2, 3);

	(void)state;
	sim_join(s, 0, "bob");
	sim_run(s, 3000, NULL);
	sim_join(s, 2, "bob");
	sim_join(s, 3, "alice");
	sim_run(s, 3000, NULL);
	assert_contains(s->party[2].ended, "has that name");
	assert_contains(s->party[3].ended, "has that name");
	sim_join(s, 4, "all");
	sim_run(s, 3000, NULL);
	assert_contains(s->party[4].ended, "can have that name");
	/* Refused for its name, welcome under another. */
	sim_kill(s, 2);
	sim_join(s, 2, "dora");
	sim_run(s, 10000, NULL);
	assert_string_equal(s->party[2].ended, "");
	assert_int_equal(s->party[2].waiting.n, 3);
	/* Late: while words are compared, and after. */
	sim_join(s, 5, "eve");
	sim_run(s, 3000, NULL);
	assert_contains(s->party[5].ended, "too late");
	assert_non_null(join_host_confirm(s->host, s->now_ns, NULL));
	sim_run(s, 3000, NULL);
	assert_true(s->party[0].frozen);
	sim_join(s, 6, "frank");
	sim_run(s, 3000, NULL);
	assert_contains(s->party[6].ended, "too late");
	assert_int_equal(s->refused, JOIN_REFUSED_FULL);
	sim_run(s, MINUTES(70), NULL);
	sim_join(s, 7, "gina");
	sim_run(s, 3000, NULL);
	assert_contains(s->party[7].ended, "expired");
	sim_free(s);
}

static void
expired(void **state)
{
	struct sim *s = sim_new(2, 4);

	(void)state;
	sim_join(s, 0, "bob");
	sim_run(s, MINUTES(61), NULL);
	assert_true(join_host_expired(s->host, s->now_ns));
	sim_join(s, 1, "carol");
	sim_run(s, 5000, NULL);
	assert_contains(s->party[1].ended, "expired");
	join_host_abort(s->host, s->now_ns);
	sim_run(s, 5000, NULL);
	assert_contains(s->party[0].ended, "nothing was agreed");
	sim_free(s);
}

/* Bob is killed after ${ms} and comes back at once; whatever had happened until then,
 * it ends well. */
static void
interrupted(void **state)
{
	(void)state;
	for (uint64_t ms = 0; ms < 60; ms += 2) {
		struct sim *s = sim_new(2, 5);

		s->confirms = true;
		s->net.delay_ms = 10;
		sim_join(s, 1, "carol");
		sim_run(s, 1000, NULL);
		sim_join(s, 0, "bob");
		sim_run(s, ms, NULL);
		sim_kill(s, 0);
		sim_join(s, 0, "bob");
		sim_run(s, MINUTES(2), both_frozen);
		if (!both_frozen(s))
			fail_msg("killed after %u ms: %s", (unsigned)ms,
				 s->party[0].ended);
		assert_agreed(s, 2);
		sim_free(s);
	}
}

/* Before he has stored it, and after: he gets the roster again, and is told that these
 * words were not compared now. */
static void
repeated_after_the_end(void **state)
{
	struct sim *s = sim_new(2, 6);

	(void)state;
	s->confirms = true;
	sim_join(s, 0, "bob");
	sim_join(s, 1, "carol");
	sim_run(s, MINUTES(1), all_stored);
	assert_true(s->party[0].compared);
	sim_kill(s, 0);
	sim_join(s, 0, "bob");
	sim_run(s, 10000, NULL);
	assert_true(s->party[0].frozen);
	assert_false(s->party[0].compared);
	assert_agreed(s, 2);
	sim_free(s);
}

static void
second_copy(void **state)
{
	struct sim *s = sim_new(2, 7);
	struct sim_party *copy = &s->party[1];

	(void)state;
	sim_join(s, 0, "bob");
	sim_run(s, 3000, NULL);
	copy->sim = s;
	copy->id = s->party[0].id;
	copy->host = s->party[0].host;
	memcpy(copy->psk, s->psk, sizeof copy->psk);
	sim_join(s, 1, "bobby");
	sim_run(s, 10000, NULL);
	assert_contains(copy->ended, "with this identity");
	assert_string_equal(s->party[0].ended, "");
	copy->id = NULL;
	sim_kill(s, 1);
	sim_free(s);
}

static void
leaving_voids_the_words(void **state)
{
	struct sim *s = sim_new(2, 8);
	char words[WORDS_TEXT_MAX];

	(void)state;
	sim_join(s, 0, "bob");
	sim_join(s, 1, "carol");
	sim_run(s, MINUTES(1), has_words);
	strcpy(words, s->words);
	joiner_leave(s->party[1].joiner, s->now_ns);
	sim_run(s, 2000, NULL);
	assert_int_equal(s->left, 1);
	assert_string_equal(s->words, "");
	assert_string_equal(s->party[0].words, "");
	assert_null(join_host_confirm(s->host, s->now_ns, NULL));
	sim_kill(s, 1);
	sim_join(s, 2, "dave");
	sim_run(s, 5000, NULL);
	assert_string_not_equal(s->words, "");
	assert_string_not_equal(s->words, words);
	assert_string_equal(s->party[0].words, s->words);
	assert_string_equal(s->party[2].words, s->words);
	sim_free(s);
}

static void
silence_frees_the_place(void **state)
{
	struct sim *s = sim_new(2, 9);

	(void)state;
	sim_join(s, 0, "bob");
	sim_run(s, MINUTES(3), NULL);
	assert_int_equal(s->left, 0);
	sim_kill(s, 0);
	sim_run(s, 19000, NULL);
	sim_join(s, 1, "carol");
	sim_join(s, 2, "dave");
	sim_run(s, 10000, NULL);
	assert_int_equal(s->left, 1);
	assert_string_equal(s->party[2].ended, "");
	sim_free(s);
}

static void
wrong_ticket(void **state)
{
	struct sim *s = sim_new(2, 10);
	uint64_t began_ns = s->now_ns;

	(void)state;
	sim_join(s, 0, "bob");
	sim_kill(s, 0);
	s->party[0].psk[5] ^= 1;
	sim_join(s, 0, "bob");
	sim_run(s, MINUTES(1), first_ended);
	assert_contains(s->party[0].ended, "does not know this ticket");
	assert_true(s->now_ns - began_ns < 10 * NS_PER_S);
	sim_free(s);
}

/* Only the host's own notice, and only for a message of ours. */
static void
forged_notice(void **state)
{
	struct sim *s = sim_new(2, 11);
	struct identity *mallory = identity_ephemeral(NULL);
	uint8_t hash[JOIN_HASH_BYTES] = {0}, notice[NOTICE_BYTES];
	struct pubkey bob;

	(void)state;
	join_host_online(s->host, false, s->now_ns);
	s->net.drop = 100;
	sim_join(s, 0, "bob");
	bob = *identity_pubkey(s->party[0].id);
	assert_int_equal(notice_seal(s->alice, &bob, JOIN_REFUSED_TICKET, hash, notice),
			 0);
	joiner_receive(s->party[0].joiner, notice, sizeof notice, s->now_ns);
	assert_int_equal(notice_seal(mallory, &bob, JOIN_REFUSED_TICKET, hash, notice),
			 0);
	memcpy(notice + 1, identity_pubkey(s->alice)->point, PUBKEY_BYTES);
	joiner_receive(s->party[0].joiner, notice, sizeof notice, s->now_ns);
	sim_run(s, MINUTES(1), NULL);
	assert_string_equal(s->party[0].ended, "");
	identity_free(mallory);
	sim_free(s);
}

/*
 * Mallory has replaced the ticket on its way to Bob by one of her own, and joins Alice's
 * session herself, under his name. Everything works, and the words differ.
 */
static void
replaced_ticket(void **state)
{
	struct sim *alice = sim_new(1, 12), *mallory = sim_new(1, 13);

	(void)state;
	sim_join(alice, 0, "bob"); /* it is Mallory */
	sim_join(mallory, 0, "bob");
	sim_run(alice, 5000, NULL);
	sim_run(mallory, 5000, NULL);
	assert_string_not_equal(alice->words, "");
	assert_string_not_equal(mallory->party[0].words, "");
	assert_string_not_equal(alice->words, mallory->party[0].words);
	sim_free(alice);
	sim_free(mallory);
}

/* Messages that anybody can write, and that cost more to look at. */
static void
flood(struct sim *s, const struct pubkey *sender, struct joiner *j)
{
	uint8_t msg[1000] = {ENVELOPE_VERSION};

	memcpy(msg + 1, sender->point, PUBKEY_BYTES);
	for (unsigned i = 0; i < GATE_MESSAGES_BURST; i++)
		if (j != NULL)
			joiner_receive(j, msg, sizeof msg, s->now_ns);
		else
			join_host_receive(s->host, msg, sizeof msg, s->now_ns);
}

static void
flooded(void **state)
{
	struct sim *s = sim_new(2, 16);
	struct identity *mallory = identity_ephemeral(NULL);

	(void)state;
	sim_join(s, 1, "carol");
	sim_run(s, 30, NULL);
	assert_int_equal(s->party[1].waiting.n, 2);
	flood(s, identity_pubkey(mallory), NULL);
	sim_join(s, 0, "bob");
	sim_run(s, 30, NULL);
	assert_int_equal(s->party[1].waiting.n, 2);
	sim_run(s, 10000, NULL);
	assert_int_equal(s->party[0].waiting.n, 3);
	sim_join(s, 2, "dave");
	for (unsigned ms = 0; ms < 30; ms++) {
		flood(s, &s->party[2].host, s->party[2].joiner);
		sim_run(s, 1, NULL);
	}
	assert_int_equal(s->party[2].waiting.n, 0);
	assert_string_equal(s->party[2].ended, "");
	sim_run(s, 10000, NULL);
	assert_string_not_equal(s->party[2].ended, "");
	identity_free(mallory);
	sim_free(s);
}

/* A party with the ticket, and a contact in place of a joiner. */
struct rogue {
	struct sim *s;
	struct identity *id;
	struct contact *contact;
	struct pubkey peer;
	struct join_message last;
	struct join_values values;
	uint8_t body[CONTACT_BODY_MAX];
	bool as_host;
	struct sim_party *victim; /* of a rogue host */
};

static void
rogue_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct rogue *r = arg;

	if (r->as_host)
		joiner_receive(r->victim->joiner, sealed, len, r->s->now_ns);
	else
		join_host_receive(r->s->host, sealed, len, r->s->now_ns);
}

static void
rogue_met(void *arg, bool replaced)
{
	(void)arg;
	(void)replaced;
}

static void
rogue_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct rogue *r = arg;
	static struct join_waiting waiting;

	memcpy(r->body, body, len);
	assert_int_equal(join_decode(&r->last, !r->as_host, type, r->body, len,
				     &r->values, &waiting),
			 0);
}

static bool
rogue_heard(void *arg, uint64_t since_ns)
{
	(void)arg;
	(void)since_ns;
	return false;
}

static void
rogue_nothing(void *arg)
{
	(void)arg;
}

static struct contact *
rogue_contact(struct rogue *r)
{
	static const struct contact_callbacks cb = {
	    .send = rogue_send,
	    .met = rogue_met,
	    .message = rogue_message,
	    .heard = rogue_heard,
	    .refused = rogue_nothing,
	    .roster_differs = rogue_nothing,
	};
	static const uint8_t incarnation[16] = {1}, roster[32];
	const struct contact_config cfg = {
	    .self = r->id,
	    .peer = r->peer,
	    .session_name = JOIN_SESSION_NAME,
	    .roster_digest = roster,
	    .incarnation = incarnation,
	    .psk = r->s->psk,
	};

	return contact_new(&cfg, &cb, r, NULL);
}

static void
rogue_tell(struct rogue *r, const struct join_message *m, const struct join_values *v)
{
	static struct join_waiting waiting = {.session = "santa", .wanted = 2};
	uint8_t body[CONTACT_BODY_MAX];
	size_t len = join_encode(m, v, &waiting, body);

	assert_int_equal(contact_send(r->contact, (uint8_t)m->type, body, len,
				      r->s->now_ns),
			 0);
}

/* What the host sends to the rogue, who is no party of the simulation. */
static void
rogue_run(struct rogue *r)
{
	for (unsigned i = 0; i < 200; i++) {
		for (size_t k = 0; k < r->s->n_queue; k++) {
			struct sim_message *m = &r->s->queue[k];

			if (!pubkey_equal(&m->to, identity_pubkey(r->id)))
				continue;
			contact_receive(r->contact, m->data, m->len, r->s->now_ns, NULL);
			m->to = (struct pubkey){{0}};
		}
		sim_run(r->s, 10, NULL);
	}
}

/* Commits to one nonce and reveals another. */
static void
joiner_that_changes_its_mind(void **state)
{
	struct sim *s = sim_new(2, 14);
	struct rogue r = {
	    .s = s,
	    .id = identity_ephemeral(NULL),
	    .peer = *identity_pubkey(s->alice),
	};
	static const uint8_t nonce[JOIN_HASH_BYTES] = {7};
	struct join_message m = {.type = JOIN_JOIN, .name = "mallory"};

	(void)state;
	r.contact = rogue_contact(&r);
	sim_join(s, 0, "bob");
	sim_run(s, 2000, NULL);
	contact_online(r.contact, s->now_ns);
	rogue_run(&r);
	rogue_tell(&r, &m, NULL);
	rogue_run(&r);
	assert_int_equal(r.last.type, JOIN_ROSTER);
	m = (struct join_message){.type = JOIN_COMMIT, .round = 1, .hash = nonce};
	rogue_tell(&r, &m, NULL);
	rogue_run(&r);
	assert_int_equal(r.last.type, JOIN_COMMITS);
	m.type = JOIN_REVEAL;
	rogue_tell(&r, &m, NULL);
	rogue_run(&r);
	assert_int_equal(s->refused, JOIN_REFUSED_PROTOCOL);
	assert_int_equal(s->left, 1);
	assert_string_equal(s->words, "");
	contact_free(r.contact);
	identity_free(r.id);
	sim_free(s);
}

/* A host that does not play by the rules, and Bob, who notices. */
struct rogue_host {
	struct rogue r;
	uint8_t roster[ROSTER_MAX];
	size_t roster_len;
	uint8_t hash[JOIN_HASH_BYTES];
	uint8_t nonce[JOIN_HASH_BYTES];
};

static struct session *
rogue_session(struct rogue_host *h, const char *bob)
{
	char text[1024], a[PUBKEY_TEXT_BYTES], b[PUBKEY_TEXT_BYTES];
	struct session *s;

	pubkey_format(identity_pubkey(h->r.id), a);
	pubkey_format(identity_pubkey(h->r.victim->id), b);
	snprintf(text, sizeof text,
		 "[session]\nname = santa\nversion = 1\nhost = %s\nrendezvous = dir:/x\n"
		 "[party alice]\nkey = %s\n[party %s]\nkey = %s\n",
		 a, a, bob, b);
	s = session_parse_draft("f", text, strlen(text), NULL);
	assert_non_null(s);
	return s;
}

static void
rogue_round(struct rogue_host *h, uint32_t round, const char *bob)
{
	struct session *s = rogue_session(h, bob);
	struct join_message m = {.type = JOIN_ROSTER, .round = round, .data = h->roster};

	h->roster_len = (size_t)roster_encode(s, h->roster, NULL);
	assert_int_equal(words_roster(h->hash, h->roster, h->roster_len), 0);
	m.len = h->roster_len;
	rogue_tell(&h->r, &m, NULL);
	session_free(s);
}

static void
rogue_commits(struct rogue_host *h, uint32_t round)
{
	struct join_message m = {.type = JOIN_COMMITS, .round = round};
	struct join_values v = {.n = 2};

	assert_int_equal(h->r.last.type, JOIN_COMMIT);
	v.v[1].index = 1;
	memcpy(v.v[1].value, h->r.last.hash, JOIN_HASH_BYTES);
	words_commitment(v.v[0].value, h->hash, 0, h->nonce);
	rogue_tell(&h->r, &m, &v);
}

static void
rogue_nonces(struct rogue_host *h, uint32_t round)
{
	struct join_message m = {.type = JOIN_NONCES, .round = round};
	struct join_values v = {.n = 2};

	assert_int_equal(h->r.last.type, JOIN_REVEAL);
	v.v[1].index = 1;
	memcpy(v.v[1].value, h->r.last.hash, JOIN_HASH_BYTES);
	memcpy(v.v[0].value, h->nonce, JOIN_HASH_BYTES);
	rogue_tell(&h->r, &m, &v);
}

static void
rogue_host_new(struct rogue_host *h)
{
	struct sim *s = sim_new(1, 15);

	memset(h, 0, sizeof *h);
	h->r.s = s;
	h->r.as_host = true;
	h->r.id = identity_ephemeral(NULL);
	h->r.victim = &s->party[0];
	sim_join(s, 0, "bob");
	sim_kill(s, 0);
	h->r.peer = *identity_pubkey(s->party[0].id);
	h->r.contact = rogue_contact(&h->r);
	/* Bob again, this time with a ticket of the rogue's. */
	s->party[0].host = *identity_pubkey(h->r.id);
	sim_join(s, 0, "bob");
	contact_online(h->r.contact, s->now_ns);
	rogue_run(&h->r);
	assert_int_equal(h->r.last.type, JOIN_JOIN);
}

static void
rogue_host_free(struct rogue_host *h)
{
	contact_free(h->r.contact);
	identity_free(h->r.id);
	sim_free(h->r.s);
}

static void
honest_as_a_control(void **state)
{
	struct rogue_host h;

	(void)state;
	rogue_host_new(&h);
	rogue_round(&h, 1, "bob");
	rogue_run(&h.r);
	rogue_commits(&h, 1);
	rogue_run(&h.r);
	rogue_nonces(&h, 1);
	rogue_run(&h.r);
	assert_string_equal(h.r.victim->ended, "");
	assert_string_not_equal(h.r.victim->words, "");
	rogue_host_free(&h);
}

static void
host_that_renames(void **state)
{
	struct rogue_host h;

	(void)state;
	rogue_host_new(&h);
	rogue_round(&h, 1, "bobby");
	rogue_run(&h.r);
	assert_contains(h.r.victim->ended, "with our name and key");
	rogue_host_free(&h);
}

static void
host_that_changes_its_mind(void **state)
{
	struct rogue_host h;

	(void)state;
	rogue_host_new(&h);
	rogue_round(&h, 1, "bob");
	rogue_run(&h.r);
	rogue_commits(&h, 1);
	rogue_run(&h.r);
	h.nonce[0]++;
	rogue_nonces(&h, 1);
	rogue_run(&h.r);
	assert_contains(h.r.victim->ended, "committed to");
	assert_string_equal(h.r.victim->words, "");
	rogue_host_free(&h);
}

static void
host_that_hides_our_commitment(void **state)
{
	struct rogue_host h;
	uint8_t other[JOIN_HASH_BYTES] = {3};

	(void)state;
	rogue_host_new(&h);
	rogue_round(&h, 1, "bob");
	rogue_run(&h.r);
	h.r.last.hash = other;
	rogue_commits(&h, 1);
	rogue_run(&h.r);
	assert_contains(h.r.victim->ended, "does not have ours");
	rogue_host_free(&h);
}

/* It signs another roster than the one whose words were compared. */
static void
host_that_signs_another(void **state)
{
	struct rogue_host h;
	struct session *s;
	uint8_t data[ROSTER_SIGNED_MAX];
	struct join_message m = {.type = JOIN_FROZEN, .data = data};

	(void)state;
	rogue_host_new(&h);
	rogue_round(&h, 1, "bob");
	rogue_run(&h.r);
	rogue_commits(&h, 1);
	rogue_run(&h.r);
	rogue_nonces(&h, 1);
	rogue_run(&h.r);
	s = rogue_session(&h, "bob");
	s->version = 2;
	assert_int_equal(roster_sign(s, h.r.id, NULL), 0);
	m.len = (size_t)roster_pack(s, data, NULL);
	rogue_tell(&h.r, &m, NULL);
	rogue_run(&h.r);
	assert_contains(h.r.victim->ended, "not the one that the words stand for");
	assert_false(h.r.victim->frozen);
	session_free(s);
	rogue_host_free(&h);
}

static void
host_that_tries_out_words(void **state)
{
	struct rogue_host h;

	(void)state;
	rogue_host_new(&h);
	for (uint32_t round = 1; round <= JOINER_WORDS_MAX + 1; round++) {
		rogue_round(&h, round, "bob");
		rogue_run(&h.r);
		rogue_commits(&h, round);
		rogue_run(&h.r);
		if (h.r.last.type != JOIN_REVEAL)
			break;
		rogue_nonces(&h, round);
		rogue_run(&h.r);
	}
	assert_contains(h.r.victim->ended, "too many rounds");
	assert_int_equal(h.r.victim->words_n, JOINER_WORDS_MAX);
	rogue_host_free(&h);
}

/* It learns the words from our nonce, and begins anew without showing them. */
static void
host_that_tries_out_words_in_silence(void **state)
{
	struct rogue_host h;
	unsigned reveals = 0;

	(void)state;
	rogue_host_new(&h);
	for (uint32_t round = 1; round <= JOINER_WORDS_MAX + 1; round++) {
		rogue_round(&h, round, "bob");
		rogue_run(&h.r);
		rogue_commits(&h, round);
		rogue_run(&h.r);
		reveals += h.r.last.type == JOIN_REVEAL;
	}
	assert_int_equal(reveals, JOINER_WORDS_MAX);
	assert_contains(h.r.victim->ended, "too many rounds");
	assert_int_equal(h.r.victim->words_n, 0);
	rogue_host_free(&h);
}

/* The list is what it has to be: plain, different, and different early. */
static void
word_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < WORDS_LIST_N; i++) {
		size_t len = strlen(words_list[i]);

		assert_true(len >= 4 && len <= 7);
		assert_int_equal(strspn(words_list[i], "abcdefghijklmnopqrstuvwxyz"), len);
		assert_true(i == 0 || strcmp(words_list[i - 1], words_list[i]) < 0);
		assert_true(i == 0 || strncmp(words_list[i - 1], words_list[i], 5) != 0);
	}
}

/* Every nonce, its place and the roster change the words. */
static void
words_depend_on_all(void **state)
{
	struct join_values v = {.n = 2, .v = {{0, {1}}, {1, {2}}}};
	uint8_t roster[JOIN_HASH_BYTES] = {9};
	char first[WORDS_TEXT_MAX], words[WORDS_TEXT_MAX];

	(void)state;
	assert_int_equal(words_round(first, roster, &v), 0);
	assert_int_equal(words_round(words, roster, &v), 0);
	assert_string_equal(words, first);
	v.v[1].value[31] ^= 1;
	assert_int_equal(words_round(words, roster, &v), 0);
	assert_string_not_equal(words, first);
	v.v[1].value[31] ^= 1;
	v.v[1].index = 2;
	assert_int_equal(words_round(words, roster, &v), 0);
	assert_string_not_equal(words, first);
	v.v[1].index = 1;
	roster[0]++;
	assert_int_equal(words_round(words, roster, &v), 0);
	assert_string_not_equal(words, first);
	assert_int_equal(words_of_roster(words, roster), 0);
	assert_true(strlen(words) < WORDS_TEXT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(three_parties),
	    cmocka_unit_test(eleven_parties),
	    cmocka_unit_test(late_and_unknown_names),
	    cmocka_unit_test(expired),
	    cmocka_unit_test(interrupted),
	    cmocka_unit_test(repeated_after_the_end),
	    cmocka_unit_test(second_copy),
	    cmocka_unit_test(leaving_voids_the_words),
	    cmocka_unit_test(silence_frees_the_place),
	    cmocka_unit_test(wrong_ticket),
	    cmocka_unit_test(forged_notice),
	    cmocka_unit_test(replaced_ticket),
	    cmocka_unit_test(flooded),
	    cmocka_unit_test(joiner_that_changes_its_mind),
	    cmocka_unit_test(honest_as_a_control),
	    cmocka_unit_test(host_that_renames),
	    cmocka_unit_test(host_that_changes_its_mind),
	    cmocka_unit_test(host_that_hides_our_commitment),
	    cmocka_unit_test(host_that_signs_another),
	    cmocka_unit_test(host_that_tries_out_words),
	    cmocka_unit_test(host_that_tries_out_words_in_silence),
	    cmocka_unit_test(word_list),
	    cmocka_unit_test(words_depend_on_all),
	    cmocka_unit_test(hostile_rendezvous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
