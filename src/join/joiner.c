#include "join/joiner.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "join/host.h"
#include "join/notice.h"
#include "join/words.h"
#include "rendezvous/contact.h"
#include "rendezvous/gate.h"

/* Messages that a notice can be the answer to. */
#define SENT_KEPT 16

enum phase {
	ASKING,    /* JOIN goes out as soon as the host is met */
	WAITING,   /* for the others */
	COMMITTED, /* to a nonce, for the roster of this round */
	REVEALED,
	COMPARING,
	FROZEN,
	ENDED,
};

struct joiner {
	struct joiner_config cfg;
	char name[SESSION_NAME_MAX + 1];
	struct joiner_callbacks cb;
	void *arg;
	struct contact *contact;
	uint64_t now_ns; /* of the call at hand */
	uint64_t heard_ns;
	uint64_t full_ns; /* a gate of messages */
	uint64_t present_ns; /* when the next sign of life is due */
	enum phase phase;

	uint32_t waiting_count;
	uint32_t round;
	uint32_t void_round;
	unsigned revealed; /* nonces */
	struct session *roster; /* of the round */
	uint8_t roster_hash[JOIN_HASH_BYTES];
	uint8_t index, host_index;
	uint8_t nonce[JOIN_HASH_BYTES];
	uint8_t commitment[JOIN_HASH_BYTES];
	struct join_values commits;
	struct session *frozen; /* came before the nonces that it stands for */

	uint8_t sent[SENT_KEPT][JOIN_HASH_BYTES]; /* hashes */
	size_t n_sent;
	uint64_t notice_ns; /* when a notice becomes the last word; 0: there is none */
	enum join_refusal notice;
};

static void
tell(struct joiner *j, const struct join_message *m)
{
	uint8_t body[CONTACT_BODY_MAX];
	size_t len = join_encode(m, NULL, NULL, body);

	contact_send(j->contact, (uint8_t)m->type, body, len, j->now_ns);
	j->present_ns = j->now_ns + JOIN_PRESENT_NS;
}

static void
end(struct joiner *j, const char *why)
{
	if (j->phase == ENDED)
		return;
	j->phase = ENDED;
	j->cb.ended(j->arg, why);
}

/* The host, or who passes for it, breaks the protocol. */
static void
broken(struct joiner *j, const char *what)
{
	static const struct join_message leave = {.type = JOIN_LEAVE};

	tell(j, &leave);
	end(j, what);
}

static void
on_waiting(struct joiner *j, const struct join_waiting *w)
{
	if (j->phase >= FROZEN || w->count <= j->waiting_count)
		return;
	j->waiting_count = w->count;
	if (w->void_round > j->void_round)
		j->void_round = w->void_round;
	if (j->phase == ASKING)
		j->phase = WAITING;
	if (j->phase > WAITING && j->round <= j->void_round) {
		if (j->phase == COMPARING)
			j->cb.words_void(j->arg);
		j->phase = WAITING;
	}
	j->cb.waiting(j->arg, w);
}

/* Whether ${s} is a roster of the ticket's host in which we are who we want to be. */
static bool
is_ours(struct joiner *j, const struct session *s)
{
	int index = session_find_key(s, identity_pubkey(j->cfg.self));
	int host = session_find_key(s, &j->cfg.host);

	if (!pubkey_equal(&s->host, &j->cfg.host) || index < 0 || host < 0 ||
	    strcmp(s->parties[index].name, j->name) != 0)
		return false;
	j->index = (uint8_t)index;
	j->host_index = (uint8_t)host;
	return true;
}

static void
on_roster(struct joiner *j, const struct join_message *m)
{
	struct join_message out = {
	    .type = JOIN_COMMIT,
	    .round = m->round,
	    .hash = j->commitment,
	};
	struct session *s;

	if (j->phase >= FROZEN || m->round <= j->round || m->round <= j->void_round)
		return;
	s = roster_decode(m->data, m->len, NULL);
	if (s == NULL || !is_ours(j, s)) {
		session_free(s);
		broken(j, "the host's roster is not one of this ticket's with our name "
			  "and key in it");
		return;
	}
	if (j->phase == COMPARING)
		j->cb.words_void(j->arg);
	session_free(j->roster);
	j->roster = s;
	j->round = m->round;
	j->phase = COMMITTED;
	if (words_roster(j->roster_hash, m->data, m->len) != 0 ||
	    RAND_bytes(j->nonce, sizeof j->nonce) != 1 ||
	    words_commitment(j->commitment, j->roster_hash, j->index, j->nonce) != 0) {
		broken(j, "no random numbers");
		return;
	}
	tell(j, &out);
}

/* The indices are of parties, the host's and ours among them. */
static bool
are_sound(const struct joiner *j, const struct join_values *values)
{
	if (join_value(values, j->index) == NULL ||
	    join_value(values, j->host_index) == NULL)
		return false;
	return values->v[values->n - 1].index < j->roster->n_parties;
}

static void
on_commits(struct joiner *j, const struct join_message *m,
	   const struct join_values *commits)
{
	struct join_message out = {
	    .type = JOIN_REVEAL,
	    .round = m->round,
	    .hash = j->nonce,
	};

	if (j->phase != COMMITTED || m->round != j->round)
		return;
	if (!are_sound(j, commits) ||
	    memcmp(join_value(commits, j->index), j->commitment, JOIN_HASH_BYTES) != 0) {
		broken(j, "the host's list of commitments does not have ours");
		return;
	}
	/* The nonce tells the host the words, whether it lets them be shown or not. */
	if (++j->revealed > JOINER_WORDS_MAX) {
		broken(j, "the host has begun too many rounds: somebody may be trying "
			  "out words. Ask for a new ticket");
		return;
	}
	j->commits = *commits;
	j->phase = REVEALED;
	tell(j, &out);
}

/* Whether every nonce is what was committed to. */
static bool
are_revealed(const struct joiner *j, const struct join_values *nonces)
{
	uint8_t commitment[JOIN_HASH_BYTES];

	if (nonces->n != j->commits.n)
		return false;
	for (size_t i = 0; i < nonces->n; i++)
		if (nonces->v[i].index != j->commits.v[i].index ||
		    words_commitment(commitment, j->roster_hash, nonces->v[i].index,
				     nonces->v[i].value) != 0 ||
		    memcmp(commitment, j->commits.v[i].value, sizeof commitment) != 0)
			return false;
	return true;
}

/* Whether ${s} is what the words on the screen stand for. */
static bool
is_compared(const struct joiner *j, const struct session *s)
{
	return j->phase == COMPARING && memcmp(s->roster_digest, j->roster->roster_digest,
					       sizeof s->roster_digest) == 0;
}

/* Takes ${s} over. */
static void
freeze(struct joiner *j, struct session *s)
{
	bool compared = is_compared(j, s);

	/* In the middle of a round there is none that could be frozen but its own. */
	if (!compared && j->phase > WAITING) {
		session_free(s);
		broken(j, "the roster that the host has signed is not the one that the "
			  "words stand for");
		return;
	}
	session_free(j->roster);
	j->roster = s;
	j->phase = FROZEN;
	j->cb.frozen(j->arg, s, compared);
}

static void
on_frozen(struct joiner *j, const struct join_message *m)
{
	struct session *s;

	if (j->phase >= FROZEN || j->frozen != NULL)
		return;
	s = roster_unpack(m->data, m->len, &j->cfg.host, NULL);
	if (s == NULL || session_find_key(s, identity_pubkey(j->cfg.self)) < 0) {
		session_free(s);
		broken(j, "the roster that the host has signed is not ours");
		return;
	}
	/* Messages come in any order. */
	if (j->phase == COMMITTED || j->phase == REVEALED)
		j->frozen = s;
	else
		freeze(j, s);
}

static void
on_nonces(struct joiner *j, const struct join_message *m,
	  const struct join_values *nonces)
{
	char words[WORDS_TEXT_MAX];
	struct session *frozen = j->frozen;

	if (j->phase != REVEALED || m->round != j->round)
		return;
	if (!are_revealed(j, nonces)) {
		broken(j, "a nonce is not what its party committed to");
		return;
	}
	if (words_round(words, j->roster_hash, nonces) != 0)
		return;
	j->phase = COMPARING;
	j->cb.words(j->arg, words, j->roster);
	if (frozen != NULL && j->phase == COMPARING) {
		j->frozen = NULL;
		freeze(j, frozen);
	}
}

static void
on_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct joiner *j = arg;
	struct join_values values;
	struct join_waiting waiting = {0};
	struct join_message m;

	j->heard_ns = j->now_ns;
	if (j->phase == ENDED)
		return;
	if (join_decode(&m, true, type, body, len, &values, &waiting) != 0) {
		broken(j, "the host does not speak this version's protocol");
		return;
	}
	switch (m.type) {
	case JOIN_WAITING:
		on_waiting(j, &waiting);
		break;
	case JOIN_ROSTER:
		on_roster(j, &m);
		break;
	case JOIN_COMMITS:
		on_commits(j, &m, &values);
		break;
	case JOIN_NONCES:
		on_nonces(j, &m, &values);
		break;
	case JOIN_FROZEN:
		on_frozen(j, &m);
		break;
	case JOIN_REFUSED:
		if (j->phase < FROZEN)
			end(j, join_refusal_text(m.refusal));
		break;
	case JOIN_ABORTED:
		if (j->phase < FROZEN)
			end(j, "the host has ended the invitation: nothing was agreed "
			       "upon");
		break;
	default: /* PRESENT */
		break;
	}
}

/* --- the contact --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct joiner *j = arg;

	if (notice_hash(j->sent[j->n_sent % SENT_KEPT], sealed, len) == 0)
		j->n_sent++;
	j->cb.send(j->arg, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct joiner *j = arg;
	struct join_message m = {.type = JOIN_JOIN};

	j->heard_ns = j->now_ns;
	j->notice_ns = 0;
	if (j->phase >= FROZEN)
		return;
	if (replaced) {
		/* The host has started anew: what its earlier life said is void. */
		if (j->phase == COMPARING)
			j->cb.words_void(j->arg);
		j->waiting_count = j->round = j->void_round = 0;
		j->phase = ASKING;
	}
	strcpy(m.name, j->name);
	tell(j, &m);
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	(void)arg;
	(void)since_ns;
	return false;
}

static void
on_refused(void *arg)
{
	end(arg, join_refusal_text(JOIN_REFUSED_SECOND));
}

static void
on_nothing(void *arg)
{
	(void)arg;
}

static const struct contact_callbacks contact_callbacks = {
    .send = on_send,
    .met = on_met,
    .message = on_message,
    .heard = on_heard,
    .refused = on_refused,
    .roster_differs = on_nothing,
};

static void
take_notice(struct joiner *j, const uint8_t *msg, size_t len)
{
	uint8_t hash[JOIN_HASH_BYTES];
	enum join_refusal refusal;

	if (j->phase != ASKING || j->notice_ns != 0 || contact_is_met(j->contact) ||
	    notice_open(j->cfg.self, &j->cfg.host, msg, len, &refusal, hash) != 0)
		return;
	for (size_t i = 0; i < SENT_KEPT && i < j->n_sent; i++)
		if (memcmp(hash, j->sent[i], sizeof hash) == 0) {
			j->notice = refusal;
			j->notice_ns = j->now_ns + JOINER_NOTICE_NS;
			return;
		}
}

void
joiner_receive(struct joiner *j, const uint8_t *msg, size_t len, uint64_t now_ns)
{
	struct pubkey sender;
	bool notice = len == NOTICE_BYTES;

	j->now_ns = now_ns;
	if (!notice && (contact_sender(msg, len, &sender) != 0 ||
			memcmp(sender.point, j->cfg.host.point, PUBKEY_BYTES) != 0))
		return;
	if (!gate_pass_message(&j->full_ns, now_ns))
		return;
	if (notice)
		take_notice(j, msg, len);
	else
		contact_receive(j->contact, msg, len, now_ns, NULL);
}

struct joiner *
joiner_new(const struct joiner_config *cfg, const struct joiner_callbacks *cb, void *arg,
	   struct err *err)
{
	static const uint8_t no_roster[32];
	uint8_t incarnation[CONTACT_INCARNATION_BYTES];
	struct joiner *j = calloc(1, sizeof *j);
	const struct contact_config contact_cfg = {
	    .self = cfg->self,
	    .peer = cfg->host,
	    .session_name = JOIN_SESSION_NAME,
	    .roster_digest = no_roster,
	    .incarnation = incarnation,
	    .psk = cfg->psk,
	};

	if (j == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	j->cfg = *cfg;
	j->cb = *cb;
	j->arg = arg;
	j->present_ns = CLOCK_NEVER;
	if (session_name_parse(j->name, cfg->name, err) != 0)
		goto fail;
	if (RAND_bytes(incarnation, sizeof incarnation) != 1) {
		err_ssl(err, "no random numbers");
		goto fail;
	}
	j->contact = contact_new(&contact_cfg, &contact_callbacks, j, err);
	if (j->contact == NULL)
		goto fail;
	return j;

fail:
	free(j);
	return NULL;
}

void
joiner_free(struct joiner *j)
{
	if (j == NULL)
		return;
	contact_free(j->contact);
	session_free(j->roster);
	session_free(j->frozen);
	OPENSSL_cleanse(j->nonce, sizeof j->nonce);
	free(j);
}

void
joiner_online(struct joiner *j, bool online, uint64_t now_ns)
{
	j->now_ns = now_ns;
	if (online)
		contact_online(j->contact, now_ns);
	else
		contact_offline(j->contact);
}

uint64_t
joiner_expiry(const struct joiner *j)
{
	uint64_t at_ns = contact_expiry(j->contact);

	if (j->phase < FROZEN && j->present_ns < at_ns)
		at_ns = j->present_ns;
	if (j->notice_ns != 0 && j->phase == ASKING && j->notice_ns < at_ns)
		at_ns = j->notice_ns;
	return at_ns;
}

void
joiner_tick(struct joiner *j, uint64_t now_ns)
{
	static const struct join_message present = {.type = JOIN_PRESENT};

	j->now_ns = now_ns;
	contact_tick(j->contact, now_ns);
	if (j->phase < FROZEN && now_ns >= j->present_ns)
		tell(j, &present);
	if (j->phase == ASKING && j->notice_ns != 0 && now_ns >= j->notice_ns) {
		j->notice_ns = 0;
		end(j, join_refusal_text(j->notice));
	}
}

void
joiner_stored(struct joiner *j, uint64_t now_ns)
{
	static const struct join_message stored = {.type = JOIN_STORED};

	j->now_ns = now_ns;
	tell(j, &stored);
}

void
joiner_leave(struct joiner *j, uint64_t now_ns)
{
	static const struct join_message leave = {.type = JOIN_LEAVE};

	j->now_ns = now_ns;
	if (j->phase < FROZEN)
		tell(j, &leave);
	j->phase = ENDED;
}

uint64_t
joiner_heard_ns(const struct joiner *j)
{
	return j->heard_ns;
}
