#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "rendezvous/envelope.h"
#include "rendezvous/gate.h"
#include "rendezvous/twin.h"

/* Types, with contact.c's numbers. All have a body: a question and a claim. ${number} is
 * that of the question answered. */
enum {
	TYPE_HELLO = 128,   /* is there another one? */
	TYPE_ALIVE = 131,   /* yes */
	TYPE_REFUSED = 132, /* I have compared: you end */
};

#define BODY_BYTES 16

/* Somebody who lives has ASK_TRIES * ASK_RESEND_NS to answer. */
#define ASK_TRIES     6
#define ASK_RESEND_NS (500 * NS_PER_MS)

/* What messages that anybody can replay make us send. */
#define REPLY_BURST    8
#define REPLY_EVERY_NS (250 * NS_PER_MS)

/* Only what answers a recent question was said by somebody who lives now. The questions of
 * a burst of replies are all remembered. */
#define QUESTIONS    16
#define ANSWER_IN_NS (10 * NS_PER_S)

/* Whom we told to end: claims change, a judgement does not. */
#define LOSERS_MAX 4

/* A claim in one number: refusals in the upper 16 bits, milliseconds of life below. */
#define AGE_BITS 48
#define AGE_MAX  ((UINT64_C(1) << AGE_BITS) - 1)

struct twin {
	struct envelope_pair *pair;
	struct twin_callbacks cb;
	void *arg;
	struct incarnation self;
	uint8_t roster[ENVELOPE_ROSTER_BYTES];
	uint64_t started_ns;
	bool over;
	bool asking;
	bool answered; /* since we asked */
	unsigned tries;
	uint64_t next_ns;
	uint64_t reply_ns; /* see gate_pass() */
	uint64_t question; /* the number of the last */
	uint64_t asked_ns[QUESTIONS];
	struct incarnation loser[LOSERS_MAX];
	size_t losers; /* so far */
};

static uint64_t
claim(const struct twin *t, uint64_t now_ns)
{
	uint64_t refusals = t->cb.refusals(t->arg);
	uint64_t age_ms = (now_ns - t->started_ns) / NS_PER_MS;

	if (refusals > UINT16_MAX)
		refusals = UINT16_MAX;
	return refusals << AGE_BITS | (age_ms < AGE_MAX ? age_ms : AGE_MAX);
}

/* Equal claims are the comparing side's, which is one of two. */
static bool
is_better(uint64_t a, uint64_t b)
{
	if (a >> AGE_BITS != b >> AGE_BITS)
		return a >> AGE_BITS < b >> AGE_BITS;
	return (a & AGE_MAX) >= (b & AGE_MAX);
}

/* ${answered} is 0 in a message that answers nothing. */
static void
transmit(struct twin *t, uint8_t type, const struct incarnation *to, uint64_t answered,
	 uint64_t now_ns)
{
	uint8_t sealed[ENVELOPE_SEALED_MAX], body[BODY_BYTES];
	struct envelope m = {.type = type,
			     .from = t->self,
			     .to = *to,
			     .number = answered,
			     .body = body,
			     .len = sizeof body};
	struct writer w;
	size_t len;

	t->asked_ns[++t->question % QUESTIONS] = now_ns;
	writer_init(&w, body, sizeof body);
	write_u64(&w, t->question);
	write_u64(&w, claim(t, now_ns));
	memcpy(m.roster, t->roster, sizeof m.roster);
	if (envelope_seal(t->pair, &m, sealed, &len, NULL) == 0)
		t->cb.send(t->arg, sealed, len);
}

static bool
answers_now(const struct twin *t, uint64_t number, uint64_t now_ns)
{
	return number > 0 && number <= t->question && t->question - number < QUESTIONS &&
	       now_ns - t->asked_ns[number % QUESTIONS] <= ANSWER_IN_NS;
}

static void
reply(struct twin *t, uint8_t type, const struct incarnation *to, uint64_t question,
      uint64_t now_ns)
{
	if (gate_pass(&t->reply_ns, REPLY_BURST, REPLY_EVERY_NS, now_ns))
		transmit(t, type, to, question, now_ns);
}

static bool
has_lost(const struct twin *t, const struct incarnation *x)
{
	for (size_t i = 0; i < LOSERS_MAX && i < t->losers; i++)
		if (incarnation_equal(&t->loser[i], x))
			return true;
	return false;
}

static void
lose(struct twin *t)
{
	t->over = true;
	t->cb.lost(t->arg);
}

/* The other one, ${m->from}, lives: settle it. */
static void
settle(struct twin *t, const struct envelope *m, uint64_t question, uint64_t theirs,
       uint64_t now_ns)
{
	bool compares = memcmp(&t->self, &m->from, sizeof t->self) < 0;

	t->answered = true;
	if (m->type == TYPE_REFUSED) {
		if (!compares)
			lose(t);
	} else if (!compares) {
		reply(t, TYPE_ALIVE, &m->from, question, now_ns);
	} else if (has_lost(t, &m->from)) {
		reply(t, TYPE_REFUSED, &m->from, question, now_ns);
	} else if (is_better(claim(t, now_ns), theirs)) {
		t->loser[t->losers++ % LOSERS_MAX] = m->from;
		reply(t, TYPE_REFUSED, &m->from, question, now_ns);
	} else {
		lose(t);
	}
}

static void
receive(struct twin *t, const struct envelope *m, uint64_t now_ns)
{
	uint64_t question, theirs;
	struct reader r;

	/* Our own come back to us. */
	if (t->over || incarnation_equal(&m->from, &t->self) || m->len != BODY_BYTES)
		return;
	reader_init(&r, m->body, m->len);
	question = read_u64(&r);
	theirs = read_u64(&r);
	if (m->type == TYPE_HELLO)
		reply(t, TYPE_ALIVE, &m->from, question, now_ns);
	else if ((m->type == TYPE_ALIVE || m->type == TYPE_REFUSED) &&
		 incarnation_equal(&m->to, &t->self) &&
		 answers_now(t, m->number, now_ns))
		settle(t, m, question, theirs, now_ns);
}

int
twin_receive(struct twin *t, const uint8_t *sealed, size_t len, uint64_t now_ns,
	     struct err *err)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope m;

	if (envelope_open(t->pair, sealed, len, plain, &m, err) != 0)
		return -1;
	receive(t, &m, now_ns);
	OPENSSL_cleanse(plain, sizeof plain);
	return 0;
}

struct twin *
twin_new(const struct twin_config *cfg, const struct twin_callbacks *cb, void *arg,
	 struct err *err)
{
	struct twin *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_sys(err, "sealed messages to ourselves");
		return NULL;
	}
	t->pair = envelope_pair_new(cfg->self, identity_pubkey(cfg->self),
				    cfg->session_name, err);
	if (t->pair == NULL) {
		free(t);
		return NULL;
	}
	t->cb = *cb;
	t->arg = arg;
	t->started_ns = cfg->started_ns;
	memcpy(t->self.bytes, cfg->incarnation, sizeof t->self.bytes);
	memcpy(t->roster, cfg->roster_digest, sizeof t->roster);
	return t;
}

void
twin_free(struct twin *t)
{
	if (t == NULL)
		return;
	envelope_pair_free(t->pair);
	free(t);
}

static void
ask(struct twin *t, uint64_t now_ns)
{
	static const struct incarnation anybody;

	t->tries++;
	t->next_ns = now_ns + ASK_RESEND_NS;
	transmit(t, TYPE_HELLO, &anybody, 0, now_ns);
}

void
twin_ask(struct twin *t, uint64_t now_ns)
{
	if (t->over || t->asking)
		return;
	t->asking = true;
	t->answered = false;
	t->tries = 0;
	ask(t, now_ns);
}

uint64_t
twin_expiry(const struct twin *t)
{
	return t->asking && !t->over ? t->next_ns : CLOCK_NEVER;
}

void
twin_tick(struct twin *t, uint64_t now_ns)
{
	if (!t->asking || t->over || now_ns < t->next_ns)
		return;
	if (t->tries < ASK_TRIES) {
		ask(t, now_ns);
		return;
	}
	t->asking = false;
	if (!t->answered)
		t->cb.alone(t->arg);
}
