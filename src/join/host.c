#include "join/host.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "join/notice.h"
#include "join/words.h"
#include "rendezvous/contact.h"
#include "rendezvous/gate.h"

/* Notices cost a key agreement each, and anybody can ask for them. */
#define NOTICE_BURST  8
#define NOTICE_GAP_NS NS_PER_S

enum phase {
	GATHERING,  /* places are free */
	COMMITTING, /* the roster is out, commitments are due */
	REVEALING,  /* all commitments are out, nonces are due */
	COMPARING,  /* people compare the words */
	FROZEN,
	ABORTED,
};

/* Somebody who knows the ticket. */
struct member {
	struct join_host *host;
	struct pubkey key;
	struct contact *contact;
	struct member *next; /* in the order in which they came */
	char name[SESSION_NAME_MAX + 1];
	bool joined; /* has a place; only then the rest means something */
	bool committed, revealed, stored;
	uint8_t index;
	uint64_t heard_ns;
	bool gone; /* its life has ended: forget it when no callback runs */
};

struct join_host {
	const struct identity *self;
	const struct session *base;
	struct join_host_callbacks cb;
	void *arg;
	uint8_t psk[CONTACT_PSK_BYTES];
	uint8_t incarnation[CONTACT_INCARNATION_BYTES];
	size_t wanted;
	uint64_t expires_ns;
	uint64_t now_ns; /* of the call at hand */
	bool online;
	enum phase phase;
	struct member *members;
	size_t n_members;

	uint32_t waiting_count;
	uint32_t round;
	uint32_t void_round;
	struct session *roster; /* of the round, or frozen */
	uint8_t roster_hash[JOIN_HASH_BYTES];
	uint8_t self_index;
	struct join_values commits, nonces;

	uint64_t full_ns; /* a gate of messages */
	unsigned notices;
	uint64_t notice_ns; /* when the count was last lowered */
};

/* --- telling --- */

static void
tell(struct member *m, const struct join_message *msg, const struct join_values *values,
     const struct join_waiting *waiting)
{
	uint8_t body[CONTACT_BODY_MAX];
	size_t len = join_encode(msg, values, waiting, body);

	contact_send(m->contact, (uint8_t)msg->type, body, len, m->host->now_ns);
}

static void
tell_joined(struct join_host *h, const struct join_message *msg,
	    const struct join_values *values, const struct join_waiting *waiting)
{
	for (struct member *m = h->members; m != NULL; m = m->next)
		if (m->joined)
			tell(m, msg, values, waiting);
}

static void
refuse(struct member *m, enum join_refusal refusal)
{
	const struct join_message msg = {.type = JOIN_REFUSED, .refusal = refusal};

	tell(m, &msg, NULL, NULL);
	m->host->cb.refused(m->host->arg, m->name, refusal);
}

static size_t
count_joined(const struct join_host *h)
{
	size_t n = 0;

	for (const struct member *m = h->members; m != NULL; m = m->next)
		n += m->joined;
	return n;
}

/* Who is there, to all who are. */
static void
tell_waiting(struct join_host *h)
{
	const struct join_message msg = {.type = JOIN_WAITING};
	struct join_waiting w = {
	    .count = ++h->waiting_count,
	    .void_round = h->void_round,
	    .wanted = (uint8_t)(h->base->n_parties + h->wanted),
	};

	strcpy(w.session, h->base->name);
	for (size_t i = 0; i < h->base->n_parties; i++)
		strcpy(w.names[w.n++], h->base->parties[i].name);
	for (struct member *m = h->members; m != NULL; m = m->next)
		if (m->joined)
			strcpy(w.names[w.n++], m->name);
	tell_joined(h, &msg, NULL, &w);
}

/* --- rounds --- */

/* The roster of those who are there now. */
static int
make_roster(struct join_host *h)
{
	struct session draft = *h->base;
	uint8_t data[ROSTER_MAX];
	int len;

	session_free(h->roster);
	h->roster = NULL;
	draft.host = *identity_pubkey(h->self);
	draft.parties = calloc(SESSION_PARTIES_MAX, sizeof *draft.parties);
	if (draft.parties == NULL)
		return -1;
	memcpy(draft.parties, h->base->parties,
	       h->base->n_parties * sizeof *draft.parties);
	for (struct member *m = h->members; m != NULL; m = m->next) {
		struct party *p = &draft.parties[draft.n_parties];

		if (!m->joined)
			continue;
		m->index = (uint8_t)draft.n_parties++;
		strcpy(p->name, m->name);
		p->key = m->key;
		p->policy = draft.policy;
	}
	len = roster_encode(&draft, data, NULL);
	free(draft.parties);
	if (len < 0 || words_roster(h->roster_hash, data, (size_t)len) != 0)
		return -1;
	h->roster = roster_decode(data, (size_t)len, NULL);
	return h->roster != NULL ? 0 : -1;
}

/* Put ${value} of party ${index} where it belongs, in ascending order. */
static void
values_add(struct join_values *values, uint8_t index, const uint8_t *value)
{
	size_t i = values->n++;

	for (; i > 0 && values->v[i - 1].index > index; i--)
		values->v[i] = values->v[i - 1];
	values->v[i].index = index;
	memcpy(values->v[i].value, value, JOIN_HASH_BYTES);
}

static void
begin_round(struct join_host *h)
{
	uint8_t nonce[JOIN_HASH_BYTES], commitment[JOIN_HASH_BYTES], data[ROSTER_MAX];
	struct join_message msg = {.type = JOIN_ROSTER, .round = ++h->round, .data = data};
	int len;

	h->commits.n = h->nonces.n = 0;
	for (struct member *m = h->members; m != NULL; m = m->next)
		m->committed = m->revealed = false;
	if (make_roster(h) != 0)
		return;
	h->self_index =
	    (uint8_t)session_find_key(h->roster, identity_pubkey(h->self));
	len = roster_encode(h->roster, data, NULL);
	if (len < 0 || RAND_bytes(nonce, sizeof nonce) != 1 ||
	    words_commitment(commitment, h->roster_hash, h->self_index, nonce) != 0)
		return;
	values_add(&h->commits, h->self_index, commitment);
	values_add(&h->nonces, h->self_index, nonce);
	msg.len = (size_t)len;
	h->phase = COMMITTING;
	tell_joined(h, &msg, NULL, NULL);
}

/* Whoever has a place is as far as ${values} says. */
static bool
complete(const struct join_host *h, const struct join_values *values)
{
	return values->n == count_joined(h) + 1;
}

static void
on_commit(struct member *m, const struct join_message *msg)
{
	struct join_host *h = m->host;
	const struct join_message out = {.type = JOIN_COMMITS, .round = h->round};

	if (h->phase != COMMITTING || msg->round != h->round || m->committed)
		return;
	m->committed = true;
	values_add(&h->commits, m->index, msg->hash);
	if (!complete(h, &h->commits))
		return;
	h->phase = REVEALING;
	tell_joined(h, &out, &h->commits, NULL);
}

static void leave(struct member *m, const char *why);

static void
on_reveal(struct member *m, const struct join_message *msg)
{
	struct join_host *h = m->host;
	const struct join_message out = {.type = JOIN_NONCES, .round = h->round};
	uint8_t commitment[JOIN_HASH_BYTES];
	char words[WORDS_TEXT_MAX];

	if (h->phase != REVEALING || msg->round != h->round || m->revealed)
		return;
	if (words_commitment(commitment, h->roster_hash, m->index, msg->hash) != 0)
		return;
	if (CRYPTO_memcmp(commitment, join_value(&h->commits, m->index),
			  sizeof commitment) != 0) {
		refuse(m, JOIN_REFUSED_PROTOCOL);
		leave(m, "it revealed something else than it had committed to");
		return;
	}
	m->revealed = true;
	values_add(&h->nonces, m->index, msg->hash);
	if (!complete(h, &h->nonces) ||
	    words_round(words, h->roster_hash, &h->nonces) != 0)
		return;
	h->phase = COMPARING;
	tell_joined(h, &out, &h->nonces, NULL);
	h->cb.words(h->arg, words, h->roster);
}

const struct session *
join_host_confirm(struct join_host *h, uint64_t now_ns, struct err *err)
{
	uint8_t data[ROSTER_SIGNED_MAX];
	struct join_message msg = {.type = JOIN_FROZEN, .data = data};
	int len;

	h->now_ns = now_ns;
	if (h->phase != COMPARING) {
		err_set(err, "there are no words to confirm at the moment");
		return NULL;
	}
	if (roster_sign(h->roster, h->self, err) != 0)
		return NULL;
	len = roster_pack(h->roster, data, err);
	if (len < 0)
		return NULL;
	h->phase = FROZEN;
	msg.len = (size_t)len;
	tell_joined(h, &msg, NULL, NULL);
	return h->roster;
}

/* --- coming and going --- */

/* A place is free again, and the words, if any, are void. */
static void
leave(struct member *m, const char *why)
{
	struct join_host *h = m->host;

	if (!m->joined || h->phase >= FROZEN)
		return;
	m->joined = false;
	h->phase = GATHERING;
	h->void_round = h->round;
	h->cb.left(h->arg, m->name, why);
	tell_waiting(h);
}

static bool
name_is_taken(const struct join_host *h, const struct member *by, const char *name)
{
	if (session_find_name(h->base, name) >= 0)
		return true;
	for (const struct member *m = h->members; m != NULL; m = m->next)
		if (m != by && m->joined && strcmp(m->name, name) == 0)
			return true;
	return false;
}

/* After the roster is frozen only its parties get an answer: the roster. */
static void
join_late(struct member *m)
{
	struct join_host *h = m->host;
	uint8_t data[ROSTER_SIGNED_MAX];
	struct join_message msg = {.type = JOIN_FROZEN, .data = data};
	int len;

	if (session_find_key(h->roster, &m->key) < 0) {
		refuse(m, h->now_ns >= h->expires_ns ? JOIN_REFUSED_EXPIRED
						     : JOIN_REFUSED_FULL);
		return;
	}
	len = roster_pack(h->roster, data, NULL);
	msg.len = (size_t)len;
	if (len > 0)
		tell(m, &msg, NULL, NULL);
}

static void
on_join(struct member *m, const struct join_message *msg)
{
	static const struct join_message aborted = {.type = JOIN_ABORTED};
	struct join_host *h = m->host;
	char name[SESSION_NAME_MAX + 1];

	if (!m->joined)
		strcpy(m->name, msg->name);
	if (h->phase == ABORTED) {
		tell(m, &aborted, NULL, NULL);
	} else if (h->phase == FROZEN) {
		join_late(m);
	} else if (m->joined && strcmp(m->name, msg->name) == 0) {
		tell_waiting(h);
	} else if (h->now_ns >= h->expires_ns) {
		refuse(m, JOIN_REFUSED_EXPIRED);
	} else if (session_find_key(h->base, &m->key) >= 0) {
		refuse(m, JOIN_REFUSED_PARTY);
	} else if (session_name_parse(name, msg->name, NULL) != 0 ||
		   strcmp(name, "all") == 0) {
		refuse(m, JOIN_REFUSED_BAD_NAME);
	} else if (name_is_taken(h, m, name)) {
		refuse(m, JOIN_REFUSED_NAME);
	} else if (m->joined || count_joined(h) == h->wanted) {
		refuse(m, JOIN_REFUSED_FULL);
	} else {
		m->joined = true;
		m->stored = false;
		h->cb.joined(h->arg, m->name, count_joined(h));
		tell_waiting(h);
		if (count_joined(h) == h->wanted)
			begin_round(h);
	}
}

static void
on_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	static const struct join_message present = {.type = JOIN_PRESENT};
	struct member *m = arg;
	struct join_message msg;

	m->heard_ns = m->host->now_ns;
	if (join_decode(&msg, false, type, body, len, NULL, NULL) != 0) {
		refuse(m, JOIN_REFUSED_PROTOCOL);
		leave(m, "it does not speak this version's protocol");
		return;
	}
	switch (msg.type) {
	case JOIN_JOIN:
		on_join(m, &msg);
		break;
	case JOIN_COMMIT:
		if (m->joined)
			on_commit(m, &msg);
		break;
	case JOIN_REVEAL:
		if (m->joined)
			on_reveal(m, &msg);
		break;
	case JOIN_STORED:
		if (m->host->phase == FROZEN && m->joined && !m->stored) {
			m->stored = true;
			m->host->cb.stored(m->host->arg, m->name);
		}
		break;
	case JOIN_LEAVE:
		leave(m, "it has left");
		m->gone = true;
		break;
	default: /* PRESENT */
		tell(m, &present, NULL, NULL);
		break;
	}
}

/* --- contacts --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct member *m = arg;

	m->host->cb.send(m->host->arg, &m->key, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct member *m = arg;

	m->heard_ns = m->host->now_ns;
	if (replaced)
		leave(m, "it has started anew");
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	(void)arg;
	(void)since_ns;
	return false; /* There is no path besides: its own answer decides. */
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
    .refused = on_nothing,
    .roster_differs = on_nothing,
};

static struct contact *
make_contact(struct join_host *h, struct member *m)
{
	static const uint8_t no_roster[32];
	const struct contact_config cfg = {
	    .self = h->self,
	    .peer = m->key,
	    .session_name = JOIN_SESSION_NAME,
	    .roster_digest = no_roster,
	    .incarnation = h->incarnation,
	    .psk = h->psk,
	};

	return contact_new(&cfg, &contact_callbacks, m, NULL);
}

static void
member_free(struct member *m)
{
	contact_free(m->contact);
	free(m);
}

/* Forget the one without a place that has been silent longest. */
static int
make_room(struct join_host *h)
{
	struct member **oldest = NULL, *m;

	for (struct member **p = &h->members; *p != NULL; p = &(*p)->next)
		if (!(*p)->joined &&
		    (oldest == NULL || (*p)->heard_ns < (*oldest)->heard_ns))
			oldest = p;
	if (oldest == NULL)
		return -1;
	m = *oldest;
	*oldest = m->next;
	h->n_members--;
	member_free(m);
	return 0;
}

static struct member *
find(const struct join_host *h, const struct pubkey *key)
{
	for (struct member *m = h->members; m != NULL; m = m->next)
		if (memcmp(m->key.point, key->point, PUBKEY_BYTES) == 0)
			return m;
	return NULL;
}

/* Something that the ticket's secret has not sealed: its sender may have another ticket. */
static void
notify(struct join_host *h, const struct pubkey *key, const uint8_t *sealed, size_t len)
{
	uint8_t hash[JOIN_HASH_BYTES], notice[NOTICE_BYTES];

	while (h->notices > 0 && h->now_ns - h->notice_ns >= NOTICE_GAP_NS) {
		h->notices--;
		h->notice_ns += NOTICE_GAP_NS;
	}
	if (h->notices == 0)
		h->notice_ns = h->now_ns;
	if (h->notices == NOTICE_BURST || notice_hash(hash, sealed, len) != 0 ||
	    notice_seal(h->self, key, JOIN_REFUSED_TICKET, hash, notice) != 0)
		return;
	h->notices++;
	h->cb.send(h->arg, key, notice, sizeof notice);
}

/* A first message. 0 when it was sealed with the ticket's secret. */
static int
meet(struct join_host *h, const struct pubkey *key, const uint8_t *sealed, size_t len)
{
	struct member *m = calloc(1, sizeof *m), **last = &h->members;

	if (m == NULL)
		return 0;
	m->host = h;
	m->key = *key;
	m->heard_ns = h->now_ns;
	m->contact = make_contact(h, m);
	if (m->contact == NULL ||
	    contact_receive(m->contact, sealed, len, h->now_ns, NULL) != 0) {
		member_free(m);
		return -1;
	}
	if (h->n_members == JOIN_HOST_CONTACTS_MAX && make_room(h) != 0) {
		member_free(m);
		return 0;
	}
	while (*last != NULL)
		last = &(*last)->next;
	*last = m;
	h->n_members++;
	contact_online(m->contact, h->now_ns);
	return 0;
}

/* What could not be done while a contact was calling. */
static void
settle(struct join_host *h)
{
	for (struct member *m = h->members; m != NULL; m = m->next)
		if (m->gone) {
			m->gone = false;
			contact_forget(m->contact, h->now_ns);
		}
}

void
join_host_receive(struct join_host *h, const uint8_t *msg, size_t len, uint64_t now_ns)
{
	struct pubkey sender;
	struct member *m;

	h->now_ns = now_ns;
	if (contact_sender(msg, len, &sender) != 0 ||
	    pubkey_equal(&sender, identity_pubkey(h->self)) ||
	    !gate_pass_message(&h->full_ns, now_ns))
		return;
	m = find(h, &sender);
	if (m != NULL ? contact_receive(m->contact, msg, len, now_ns, NULL) != 0
		      : meet(h, &sender, msg, len) != 0)
		notify(h, &sender, msg, len);
	settle(h);
}

/* --- life --- */

struct join_host *
join_host_new(const struct join_host_config *cfg, const struct join_host_callbacks *cb,
	      void *arg, struct err *err)
{
	struct join_host *h = calloc(1, sizeof *h);
	uint8_t data[ROSTER_MAX];
	int len = 0;

	if (h == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	h->self = cfg->self;
	h->base = cfg->base;
	h->cb = *cb;
	h->arg = arg;
	memcpy(h->psk, cfg->psk, sizeof h->psk);
	h->wanted = cfg->wanted;
	h->expires_ns = cfg->expires_ns;
	if (cfg->wanted == 0) {
		h->phase = FROZEN;
		len = roster_encode(cfg->base, data, err);
		h->roster = len >= 0 ? roster_decode(data, (size_t)len, err) : NULL;
		if (h->roster == NULL ||
		    roster_set_signature(h->roster, cfg->base->signature,
					 cfg->base->signature_len, err) != 0)
			goto fail;
	}
	if (RAND_bytes(h->incarnation, sizeof h->incarnation) != 1) {
		err_ssl(err, "no random numbers");
		goto fail;
	}
	return h;

fail:
	join_host_free(h);
	return NULL;
}

void
join_host_free(struct join_host *h)
{
	if (h == NULL)
		return;
	while (h->members != NULL) {
		struct member *m = h->members;

		h->members = m->next;
		member_free(m);
	}
	session_free(h->roster);
	OPENSSL_cleanse(h->psk, sizeof h->psk);
	free(h);
}

void
join_host_online(struct join_host *h, bool online, uint64_t now_ns)
{
	h->now_ns = now_ns;
	h->online = online;
	for (struct member *m = h->members; m != NULL; m = m->next) {
		m->heard_ns = now_ns; /* it could not be, before */
		if (online)
			contact_online(m->contact, now_ns);
		else
			contact_offline(m->contact);
	}
	settle(h);
}

/* Silence counts while there is something to wait for. */
static bool
watched(const struct join_host *h, const struct member *m)
{
	return m->joined && h->phase < FROZEN && h->online;
}

uint64_t
join_host_expiry(const struct join_host *h)
{
	uint64_t at_ns = CLOCK_NEVER;

	for (const struct member *m = h->members; m != NULL; m = m->next) {
		uint64_t due_ns = contact_expiry(m->contact);

		if (due_ns < at_ns)
			at_ns = due_ns;
		if (watched(h, m) && m->heard_ns + JOIN_SILENT_NS < at_ns)
			at_ns = m->heard_ns + JOIN_SILENT_NS;
	}
	return at_ns;
}

void
join_host_tick(struct join_host *h, uint64_t now_ns)
{
	h->now_ns = now_ns;
	for (struct member *m = h->members; m != NULL; m = m->next) {
		contact_tick(m->contact, now_ns);
		if (watched(h, m) && now_ns >= m->heard_ns + JOIN_SILENT_NS)
			leave(m, "nothing is heard of it any more");
	}
	settle(h);
}

void
join_host_abort(struct join_host *h, uint64_t now_ns)
{
	static const struct join_message msg = {.type = JOIN_ABORTED};

	h->now_ns = now_ns;
	if (h->phase >= FROZEN)
		return;
	h->phase = ABORTED;
	tell_joined(h, &msg, NULL, NULL);
}

size_t
join_host_unstored(const struct join_host *h)
{
	size_t n = 0;

	for (const struct member *m = h->members; m != NULL; m = m->next)
		n += h->phase == FROZEN && m->joined && !m->stored;
	return n;
}

bool
join_host_expired(const struct join_host *h, uint64_t now_ns)
{
	return h->phase == GATHERING && now_ns >= h->expires_ns;
}
