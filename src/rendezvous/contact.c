/*
 * The states, and what each message does in them, are written down as a table in
 * doc/protocol.md, "Contact"; the names here are those there.
 *
 *   strangers   no life of the peer is known: say hello until one answers
 *   met         a life of the peer has echoed us; say hello until it confirms that we
 *               are the life it talks to
 *   confirmed   nothing but messages and their acknowledgements
 *   challenge   besides met or confirmed: a newcomer has proved that it is live, and
 *               the life we know has two seconds to do the same
 *
 * A peer that takes us for a second copy refuses us: then we are strangers for a while,
 * and try again. Whether we are one is settled elsewhere (twin.h).
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "rendezvous/contact.h"
#include "rendezvous/envelope.h"
#include "rendezvous/gate.h"
#include "rendezvous/lives.h"
#include "rendezvous/outbox.h"
#include "rendezvous/window.h"

_Static_assert(CONTACT_BODY_MAX == ENVELOPE_BODY_MAX, "one bound in two headers");
_Static_assert(CONTACT_PSK_BYTES == ENVELOPE_PSK_BYTES, "the same");
_Static_assert(CONTACT_PENDING_MAX == OUTBOX_MAX, "one bound in two headers");
_Static_assert(CONTACT_INCARNATION_BYTES == ENVELOPE_INCARNATION_BYTES,
	       "one bound in two headers");

/* Types below are the caller's. */
enum {
	TYPE_HELLO = 128, /* answer me */
	TYPE_ACK,         /* you are the life I know */
	TYPE_CHALLENGE,   /* prove that you are live */
	TYPE_ALIVE,       /* the challenge's number */
	TYPE_REFUSED,     /* another live process uses your identity */
};

#define HELLO_FIRST_NS (500 * NS_PER_MS)
/* A peer that starts says hello itself: while nobody is there, slow hellos are needed
 * only in case the place lost both sides' messages. Once it is there they are as quick
 * as any other message. */
#define HELLO_MAX_NS      (30 * NS_PER_S)
#define HELLO_MET_MAX_NS  OUTBOX_RESEND_MAX_NS
#define HELLOS_UNTIL_SLOW 6 /* after 0.5, 1, 2, 4, 8 and 16 seconds */

/* The life we know has CHALLENGE_TRIES * CHALLENGE_RESEND_NS to answer. */
#define CHALLENGE_TRIES     4
#define CHALLENGE_RESEND_NS (500 * NS_PER_MS)
/* What was under way on its path when it died is no sign of life. */
#define CHALLENGE_GRACE_NS (500 * NS_PER_MS)

/* A refused life is told so again, and not challenged again, for this long; and it is
 * silent for longer. */
#define REFUSAL_NS    (4 * NS_PER_S)
#define SILENT_FOR_NS (REFUSAL_NS + NS_PER_S)

/* How often messages that anybody can replay make us send one: those from before our
 * start or from other lives of the peer, and those of its current life. */
#define OLD_REPLY_BURST     8
#define OLD_REPLY_EVERY_NS  (500 * NS_PER_MS)
#define LIFE_REPLY_BURST    16
#define LIFE_REPLY_EVERY_NS (100 * NS_PER_MS)

struct challenge {
	bool running;
	struct incarnation newcomer;
	uint8_t roster[ENVELOPE_ROSTER_BYTES]; /* the newcomer's */
	uint64_t began_ns;
	uint64_t next_ns;
	unsigned tries;
	uint64_t after; /* only answers to later challenges than this number count */
};

struct contact {
	struct envelope_pair *pair;
	struct contact_callbacks cb;
	void *arg;
	struct incarnation self;
	uint8_t roster[ENVELOPE_ROSTER_BYTES];
	uint8_t peer_roster[ENVELOPE_ROSTER_BYTES]; /* of the life we know */
	bool differs;                               /* as last told */
	bool online;

	bool met;
	bool confirmed;
	bool ack_due; /* until anything is sent to the life we know */
	struct life life;
	struct incarnation last_hello; /* from whom, when not met: unproven */
	struct outbox outbox;
	uint64_t hello_ns; /* when to say hello again */
	unsigned hellos;   /* said since the schedule began */

	struct challenge challenge;
	uint64_t challenges;      /* sent: each has a number */
	uint64_t challenges_void; /* answers to these come too late */
	struct lives others;

	uint64_t old_reply_ns, life_reply_ns; /* see gate_pass() */
};

static bool
may_answer_old(struct contact *c, uint64_t now_ns)
{
	return gate_pass(&c->old_reply_ns, OLD_REPLY_BURST, OLD_REPLY_EVERY_NS, now_ns);
}

static bool
may_answer_life(struct contact *c, uint64_t now_ns)
{
	return gate_pass(&c->life_reply_ns, LIFE_REPLY_BURST, LIFE_REPLY_EVERY_NS,
			 now_ns);
}

/* A message that cannot be sealed is as good as lost on the way. */
static void
transmit(struct contact *c, uint8_t type, const struct incarnation *to, uint64_t number,
	 const uint8_t *body, size_t len)
{
	uint8_t sealed[ENVELOPE_SEALED_MAX];
	size_t sealed_len;
	struct envelope m = {.type = type,
			     .from = c->self,
			     .to = *to,
			     .number = number,
			     .body = body,
			     .len = len};

	if (!c->online)
		return;
	memcpy(m.roster, c->roster, sizeof m.roster);
	if (c->met && incarnation_equal(to, &c->life.incarnation)) {
		m.seen = c->life.seen;
		c->ack_due = false;
	}
	if (envelope_seal(c->pair, &m, sealed, &sealed_len, NULL) == 0)
		c->cb.send(c->arg, sealed, sealed_len);
}

static void
transmit_control(struct contact *c, uint8_t type, const struct incarnation *to,
		 uint64_t number)
{
	transmit(c, type, to, number, NULL, 0);
}

static void
transmit_message(struct contact *c, struct outbox_message *m, uint64_t now_ns)
{
	outbox_sent(m, now_ns);
	transmit(c, m->type, &c->life.incarnation, m->number, m->body, m->len);
}

/* The next hello: twice as long each time, and up to a quarter earlier by a byte of our
 * incarnation, so that parties that started together drift apart. */
static void
hello_schedule(struct contact *c, uint64_t now_ns)
{
	const uint64_t max_ns = c->met ? HELLO_MET_MAX_NS : HELLO_MAX_NS;
	uint64_t interval_ns = HELLO_FIRST_NS;

	for (unsigned i = 0; i < c->hellos && interval_ns < max_ns; i++)
		interval_ns *= 2;
	if (interval_ns > max_ns)
		interval_ns = max_ns;
	interval_ns -=
	    interval_ns / 1024 * c->self.bytes[c->hellos % sizeof c->self.bytes];
	c->hellos++;
	c->hello_ns = now_ns + interval_ns;
}

static void
hello_send(struct contact *c)
{
	transmit_control(c, TYPE_HELLO, c->met ? &c->life.incarnation : &c->last_hello,
			 0);
}

/* A decision makes all earlier proofs of life worthless: one that is recorded now and
 * replayed later must not count. */
static void
challenge_end(struct contact *c)
{
	c->challenge.running = false;
	c->challenges_void = c->challenges;
}

/* Tell when the two rosters have come to differ, or to agree. */
static void
compare_rosters(struct contact *c)
{
	bool differs = memcmp(c->peer_roster, c->roster, sizeof c->roster) != 0;

	if (differs == c->differs)
		return;
	c->differs = differs;
	if (differs)
		c->cb.roster_differs(c->arg);
	else if (c->cb.roster_agrees != NULL)
		c->cb.roster_agrees(c->arg);
}

/* From now on the peer is its life ${x}, whose roster is ${roster}. */
static void
adopt(struct contact *c, const struct incarnation *x, const uint8_t *roster,
      uint64_t now_ns)
{
	const bool replaced = c->met;

	if (replaced)
		lives_bury(&c->others, &c->life);
	challenge_end(c);
	outbox_clear(&c->outbox);
	lives_resume(&c->others, x, &c->life);
	c->met = true;
	c->confirmed = false;
	c->hellos = 0;
	hello_schedule(c, now_ns);
	c->cb.met(c->arg, replaced);
	memcpy(c->peer_roster, roster, sizeof c->peer_roster);
	c->differs = false;
	compare_rosters(c);
}

/* The peer is no life that we know. */
static void
part(struct contact *c)
{
	lives_bury(&c->others, &c->life);
	c->challenges_void = c->challenges;
	outbox_clear(&c->outbox);
	c->met = false;
	c->confirmed = false;
	memset(&c->last_hello, 0, sizeof c->last_hello);
}

static void
challenge_refuse(struct contact *c, uint64_t now_ns)
{
	lives_refuse(&c->others, &c->challenge.newcomer, now_ns + REFUSAL_NS);
	transmit_control(c, TYPE_REFUSED, &c->challenge.newcomer, 0);
	challenge_end(c);
}

/* Tries are counted rather than time, so that a machine that slept through the
 * challenge still asks before it judges. A life that has ended is not asked. */
static void
challenge_step(struct contact *c, uint64_t now_ns)
{
	struct challenge *ch = &c->challenge;

	if (c->met && c->cb.heard(c->arg, ch->began_ns + CHALLENGE_GRACE_NS)) {
		challenge_refuse(c, now_ns);
	} else if (c->met && ch->tries < CHALLENGE_TRIES) {
		ch->tries++;
		ch->next_ns = now_ns + CHALLENGE_RESEND_NS;
		transmit_control(c, TYPE_CHALLENGE, &c->life.incarnation,
				 ++c->challenges);
	} else {
		struct incarnation newcomer = ch->newcomer;

		c->ack_due = true;
		adopt(c, &newcomer, ch->roster, now_ns);
		if (c->ack_due)
			transmit_control(c, TYPE_ACK, &c->life.incarnation, 0);
	}
}

/* Somebody holds the peer's key and was live when it answered challenge ${m->number}. */
static void
receive_alive(struct contact *c, const struct envelope *m, uint64_t now_ns)
{
	struct challenge *ch = &c->challenge;

	if (m->number > c->challenges || lives_has_ended(&c->others, &m->from))
		return;
	if (c->met && incarnation_equal(&m->from, &c->life.incarnation)) {
		if (ch->running && m->number > ch->after)
			challenge_refuse(c, now_ns);
		return;
	}
	if (ch->running || !c->online || m->number <= c->challenges_void ||
	    lives_is_refused(&c->others, &m->from, now_ns))
		return;
	*ch = (struct challenge){
	    .running = true,
	    .newcomer = m->from,
	    .began_ns = now_ns,
	    .after = c->challenges,
	};
	memcpy(ch->roster, m->roster, sizeof ch->roster);
	challenge_step(c, now_ns);
}

/* A life of the peer that is not the one we know: perhaps a restart, perhaps a second
 * copy, perhaps a replay. Nothing is kept of it until it has proved that it is live. */
static void
receive_from_other(struct contact *c, const struct envelope *m, bool echo,
		   uint64_t now_ns)
{
	if (m->type != TYPE_HELLO && (m->type >= TYPE_HELLO || !echo))
		return;
	if (lives_is_refused(&c->others, &m->from, now_ns)) {
		if (may_answer_old(c, now_ns))
			transmit_control(c, TYPE_REFUSED, &m->from, 0);
	} else if (!c->challenge.running && may_answer_old(c, now_ns)) {
		transmit_control(c, TYPE_CHALLENGE, &m->from, ++c->challenges);
	}
}

/* The life we know, and it knows us. */
static void
receive_from_life(struct contact *c, const struct envelope *m, uint64_t now_ns)
{
	outbox_acknowledge(&c->outbox, &m->seen);
	if (m->type != TYPE_HELLO)
		c->confirmed = true;
	if (m->type < TYPE_HELLO) {
		if (window_add(&c->life.seen, m->number)) {
			c->ack_due = true;
			memcpy(c->peer_roster, m->roster, sizeof c->peer_roster);
			compare_rosters(c);
			c->cb.message(c->arg, m->type, m->body, m->len);
		} else {
			c->ack_due = may_answer_life(c, now_ns);
		}
	}
	if (c->ack_due)
		transmit_control(c, TYPE_ACK, &c->life.incarnation, 0);
	c->ack_due = false;
}

/* A hello, an acknowledgement or a message of the caller's. */
static void
receive_ordinary(struct contact *c, const struct envelope *m, bool echo, uint64_t now_ns)
{
	const bool hello = m->type == TYPE_HELLO;

	if (lives_has_ended(&c->others, &m->from))
		return;
	/* Who comes after a life we knew must prove that it is no replay. */
	if (!c->met && c->others.n_past > 0) {
		receive_from_other(c, m, echo, now_ns);
		return;
	}
	if (!c->met && !echo) {
		if (!hello)
			return;
		c->last_hello = m->from;
		if (may_answer_old(c, now_ns))
			hello_send(c);
		return;
	}
	if (!c->met) {
		/* Whatever met() sends is the answer to the hello. */
		c->ack_due = hello;
		adopt(c, &m->from, m->roster, now_ns);
	} else if (!incarnation_equal(&m->from, &c->life.incarnation)) {
		receive_from_other(c, m, echo, now_ns);
		return;
	} else if (!echo) {
		/* It does not know us yet, or takes another life of ours for live. */
		if (may_answer_old(c, now_ns))
			transmit_control(c, hello ? TYPE_ACK : TYPE_HELLO, &m->from, 0);
		return;
	} else if (hello) {
		c->ack_due = may_answer_life(c, now_ns);
	}
	receive_from_life(c, m, now_ns);
}

/* The peer talks to another process of ours, or says so. Perhaps it does not any more
 * when we ask again. */
static void
receive_refused(struct contact *c, uint64_t now_ns)
{
	if (c->met)
		part(c);
	challenge_end(c);
	c->hellos = HELLOS_UNTIL_SLOW;
	c->hello_ns = now_ns + SILENT_FOR_NS;
	c->cb.refused(c->arg);
}

static void
receive(struct contact *c, const struct envelope *m, uint64_t now_ns)
{
	const bool echo = incarnation_equal(&m->to, &c->self);

	switch (m->type) {
	case TYPE_CHALLENGE:
		if (echo && may_answer_life(c, now_ns))
			transmit_control(c, TYPE_ALIVE, &m->from, m->number);
		break;
	case TYPE_ALIVE:
		if (echo)
			receive_alive(c, m, now_ns);
		break;
	case TYPE_REFUSED:
		if (echo)
			receive_refused(c, now_ns);
		break;
	default:
		/* Types above TYPE_REFUSED are of a later version. */
		if (m->type < TYPE_CHALLENGE)
			receive_ordinary(c, m, echo, now_ns);
		break;
	}
}

int
contact_receive(struct contact *c, const uint8_t *sealed, size_t len, uint64_t now_ns,
		struct err *err)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope m;

	if (envelope_open(c->pair, sealed, len, plain, &m, err) != 0)
		return -1;
	receive(c, &m, now_ns);
	OPENSSL_cleanse(plain, sizeof plain);
	return 0;
}

int
contact_sender(const uint8_t *sealed, size_t len, struct pubkey *sender)
{
	return envelope_sender(sealed, len, sender);
}

struct contact *
contact_new(const struct contact_config *cfg, const struct contact_callbacks *cb,
	    void *arg, struct err *err)
{
	struct contact *c = calloc(1, sizeof *c);

	if (c == NULL) {
		err_sys(err, "a contact");
		return NULL;
	}
	c->pair = envelope_pair_new(cfg->self, &cfg->peer, cfg->session_name, err);
	if (c->pair == NULL) {
		free(c);
		return NULL;
	}
	if (cfg->psk != NULL)
		envelope_pair_set_psk(c->pair, cfg->psk);
	c->cb = *cb;
	c->arg = arg;
	memcpy(c->self.bytes, cfg->incarnation, sizeof c->self.bytes);
	memcpy(c->roster, cfg->roster_digest, sizeof c->roster);
	return c;
}

void
contact_free(struct contact *c)
{
	if (c == NULL)
		return;
	outbox_clear(&c->outbox);
	envelope_pair_free(c->pair);
	free(c);
}

void
contact_online(struct contact *c, uint64_t now_ns)
{
	c->online = true;
	/* Even when confirmed: the peer may have started anew while we were away. */
	hello_send(c);
	c->hellos = 0;
	hello_schedule(c, now_ns);
	outbox_renew(&c->outbox, now_ns);
	contact_tick(c, now_ns);
}

void
contact_offline(struct contact *c)
{
	c->online = false;
	/* The life we know cannot be heard now: nobody is judged unheard. */
	challenge_end(c);
}

int
contact_send(struct contact *c, uint8_t type, const uint8_t *body, size_t len,
	     uint64_t now_ns)
{
	struct outbox_message *m;

	if (!contact_is_met(c) || type >= TYPE_HELLO || len > CONTACT_BODY_MAX)
		return -1;
	m = outbox_add(&c->outbox, type, body, len, now_ns);
	if (m == NULL)
		return -1;
	if (c->online)
		transmit_message(c, m, now_ns);
	return 0;
}

/* Make room for the next life. */
static void
vacate(struct contact *c, uint64_t now_ns)
{
	part(c);
	/* A newcomer that waits for this is met by the next tick; another one says
	 * hello by itself when it starts. */
	c->challenge.next_ns = now_ns;
	c->hellos = HELLOS_UNTIL_SLOW;
	hello_schedule(c, now_ns);
}

void
contact_forget(struct contact *c, uint64_t now_ns)
{
	if (!c->met)
		return;
	c->life.ended = true;
	vacate(c, now_ns);
}

void
contact_replaced(struct contact *c, const uint8_t incarnation[CONTACT_INCARNATION_BYTES],
		 uint64_t now_ns)
{
	if (c->met && !contact_knows(c, incarnation))
		vacate(c, now_ns);
}

uint64_t
contact_expiry(const struct contact *c)
{
	uint64_t first = CLOCK_NEVER;

	if (!c->online)
		return CLOCK_NEVER;
	if (c->met)
		first = outbox_expiry(&c->outbox);
	if (!c->confirmed && c->hello_ns < first)
		first = c->hello_ns;
	if (c->challenge.running && c->challenge.next_ns < first)
		first = c->challenge.next_ns;
	return first;
}

void
contact_tick(struct contact *c, uint64_t now_ns)
{
	if (!c->online)
		return;
	if (c->challenge.running && c->challenge.next_ns <= now_ns)
		challenge_step(c, now_ns);
	if (!c->confirmed && c->hello_ns <= now_ns) {
		hello_send(c);
		hello_schedule(c, now_ns);
	}
	for (size_t i = 0; i < c->outbox.n; i++) {
		if (c->outbox.message[i].due_ns <= now_ns)
			transmit_message(c, &c->outbox.message[i], now_ns);
	}
}

void
contact_set_roster(struct contact *c, const uint8_t *digest)
{
	memcpy(c->roster, digest, sizeof c->roster);
	if (c->met)
		compare_rosters(c);
}

bool
contact_knows(const struct contact *c,
	      const uint8_t incarnation[CONTACT_INCARNATION_BYTES])
{
	return c->met && memcmp(c->life.incarnation.bytes, incarnation,
				sizeof c->life.incarnation.bytes) == 0;
}

void
contact_withdraw(struct contact *c, uint8_t type)
{
	outbox_withdraw(&c->outbox, type);
}

bool
contact_is_met(const struct contact *c)
{
	return c->met;
}
