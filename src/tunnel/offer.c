#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "rendezvous/offer.h"
#include "tunnel/offer.h"

/* From the making of a block until its attempt is given up. */
#define PATIENCE_NS (8 * 3600 * NS_PER_S)

/* How often a client that waits for the other side to take its block asks. */
#define ASK_NS (500 * NS_PER_MS)

/* Numbers of such attempts: above all that are counted in a life, and different in each
 * life, so that what is left of an earlier one is not taken for it. */
#define NUMBER_BASE (1U << 30)
#define NUMBER_STEP (1U << 20)

struct offer {
	const struct link_config *cfg;
	struct offer_callbacks cb;
	void *arg;
	const char *name; /* the peer's */
	bool client;
	struct event *ask;  /* whether the other side has our block */
	struct event *reap; /* only ever activated: runs outside of all callbacks */
	/* All of the following is one attempt's. */
	struct attempt *attempt; /* NULL: none */
	struct signal_candidates ours;
	bool made;                        /* sealed, perhaps with the peer by now */
	bool taken;                       /* the peer's is there */
	struct incarnation peer;          /* as in the peer's, once it is taken */
	char ufrag[SIGNAL_UFRAG_MAX + 1]; /* of it */
};

static void
reset(struct offer *o)
{
	o->attempt = NULL;
	memset(&o->ours, 0, sizeof o->ours);
	o->made = o->taken = false;
	memset(&o->peer, 0, sizeof o->peer);
	o->ufrag[0] = '\0';
	event_del(o->ask);
	event_del(o->reap);
}

void
offer_end(struct offer *o)
{
	attempt_free(o->attempt);
	reset(o);
}

/* --- what the path says --- */

static void
on_local_candidates(void *arg, struct attempt *a, const uint8_t *body, size_t len)
{
	struct offer *o = arg;
	struct signal_candidates m;

	(void)a;
	if (signal_decode_candidates(&m, body, len) != 0)
		return;
	for (size_t i = 0; i < m.n && o->ours.n < SIGNAL_CANDIDATES_MAX; i++)
		memcpy(o->ours.candidate[o->ours.n++], m.candidate[i],
		       sizeof m.candidate[i]);
	memcpy(o->ours.ufrag, m.ufrag, sizeof m.ufrag);
	memcpy(o->ours.pwd, m.pwd, sizeof m.pwd);
	o->ours.facts = m.facts;
	o->ours.last = m.last;
}

static void
works(struct offer *o)
{
	struct attempt *a = o->attempt;
	struct incarnation life = o->peer;

	reset(o);
	o->cb.works(o->arg, a, &life);
}

/* Whether the server's path works as well: it answers probes only then. */
static void
ask(struct offer *o)
{
	path_probe(attempt_path(o->attempt), false);
	timer_after(o->ask, ASK_NS);
}

static void
on_ask(evutil_socket_t fd, short what, void *arg)
{
	struct offer *o = arg;

	(void)fd;
	(void)what;
	if (o->attempt != NULL && attempt_is_ready(o->attempt))
		ask(o);
}

static void
on_ready(void *arg, struct attempt *a)
{
	struct offer *o = arg;

	log_debug("peer=%s generation=%u a candidate pair works", o->name,
		  attempt_generation(a));
	/* The other side's agent answers checks before it has our block. */
	if (o->client)
		ask(o);
	else
		works(o);
}

static void
on_alive(void *arg, struct attempt *a)
{
	(void)a;
	works(arg);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	offer_end(arg);
}

static void
on_failed(void *arg, struct attempt *a, const char *why)
{
	struct offer *o = arg;

	(void)a;
	log_warn("peer=%s the blocks have led to no path: %s", o->name, why);
	event_active(o->reap, EV_TIMEOUT, 0);
}

/* Who is ahead of us says it again. */
static void
on_datagram(void *arg, struct attempt *a, uint8_t *data, size_t len)
{
	(void)arg;
	(void)a;
	(void)data;
	(void)len;
}

static void
ignore(void *arg, struct attempt *a)
{
	(void)arg;
	(void)a;
}

static const struct attempt_callbacks attempt_callbacks = {
    .signal = on_local_candidates,
    .ready = on_ready,
    .failed = on_failed,
    .datagram = on_datagram,
    .writable = ignore,
    .alive = on_alive,
    .probed = ignore,
};

/* --- ours --- */

static uint32_t
choose_number(uint32_t newest)
{
	uint32_t random = 0;

	RAND_bytes((unsigned char *)&random, sizeof random);
	return (newest > NUMBER_BASE ? newest : NUMBER_BASE) + 1 + random % NUMBER_STEP;
}

int
offer_begin(struct offer *o, uint32_t newest, struct err *err)
{
	struct attempt_config cfg = {
	    .generation = choose_number(newest),
	    .policy = o->cfg->them->policy,
	    .patience_ns = PATIENCE_NS,
	};

	if (o->attempt == NULL)
		o->attempt = attempt_new(o->cfg, &cfg, &attempt_callbacks, o, err);
	return o->attempt != NULL ? 0 : -1;
}

static void
get_pair(const struct link_config *cfg, struct offer_pair *p)
{
	*p = (struct offer_pair){
	    .self = cfg->identity,
	    .peer = cfg->them->key,
	    .session_name = cfg->session->name,
	    .roster_digest = cfg->session->roster_digest,
	};
	memcpy(p->incarnation.bytes, cfg->incarnation, sizeof p->incarnation.bytes);
}

int
offer_make(struct offer *o, uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len,
	   struct err *err)
{
	struct offer_content content = {.candidates = o->ours};
	struct offer_pair pair;
	time_t now = time(NULL);

	if (o->attempt == NULL)
		return err_set(err, "there is no offer");
	if (!o->ours.last)
		return 0;
	/* Only what this attempt has taken is answered by it. */
	if (o->taken)
		content.to = o->peer;
	content.made_s = now > 0 ? (uint64_t)now : 0;
	content.candidates.generation = attempt_generation(o->attempt);
	get_pair(o->cfg, &pair);
	if (offer_seal(&pair, &content, sealed, len, err) != 0)
		return -1;
	o->made = true;
	return 1;
}

/* --- theirs --- */

/* For people: "3 hours ago". Clocks differ. */
static void
describe_age(char out[LINK_AGE_BYTES], uint64_t made_s)
{
	time_t now = time(NULL);
	uint64_t age = now > 0 && (uint64_t)now > made_s ? (uint64_t)now - made_s : 0;

	if (age < 120)
		strcpy(out, "just now");
	else if (age < 2 * 3600)
		snprintf(out, LINK_AGE_BYTES, "%u minutes ago", (unsigned)(age / 60));
	else if (age < 48 * 3600)
		snprintf(out, LINK_AGE_BYTES, "%u hours ago", (unsigned)(age / 3600));
	else
		snprintf(out, LINK_AGE_BYTES, "%u days ago", (unsigned)(age / 86400));
}

static bool
is_none(const struct incarnation *x)
{
	static const struct incarnation none;

	return incarnation_equal(x, &none);
}

/* Open the peer's; refuse what answers an earlier process of ours or has another roster. */
static int
read_theirs(const struct offer *o, const uint8_t *sealed, size_t len,
	    struct offer_content *out, char age[LINK_AGE_BYTES], struct err *err)
{
	struct offer_pair pair;

	get_pair(o->cfg, &pair);
	if (offer_open(&pair, sealed, len, out, err) != 0)
		return -1;
	describe_age(age, out->made_s);
	if (out->roster_differs)
		return err_set(err,
			       "its session.ini differs from ours in names, keys or "
			       "their order: give every party the same file (its block "
			       "was made %s)",
			       age);
	if (!is_none(&out->to) && !incarnation_equal(&out->to, &pair.incarnation))
		return err_set(err,
			       "its block, made %s, answers one of an earlier run of "
			       "this proxy: make a new block with `mpcproxy offer`, "
			       "and let %s take that first",
			       age, o->name);
	if (!out->candidates.last)
		return err_set(err, "its block lacks candidates");
	return 0;
}

/* Let the attempt use it; the number is the client's. */
static int
use_theirs(struct offer *o, const struct offer_content *c, struct err *err)
{
	if (!o->client && c->candidates.generation <= NUMBER_BASE)
		return err_set(err, "its block has a number that none has");
	if (!o->client)
		attempt_renumber(o->attempt, c->candidates.generation);
	if (attempt_remote(o->attempt, &c->candidates, err) != 0)
		return -1;
	o->peer = c->from;
	o->taken = true;
	memcpy(o->ufrag, c->candidates.ufrag, sizeof o->ufrag);
	return 0;
}

enum link_taken
offer_take(struct offer *o, const uint8_t *sealed, size_t len, uint32_t newest,
	   char age[LINK_AGE_BYTES], struct err *err)
{
	struct offer_content c;
	bool unanswered;

	if (read_theirs(o, sealed, len, &c, age, err) != 0)
		return LINK_NOT_TAKEN;
	/* Its sender has begun anew, and an agent cannot be told other credentials. */
	if (o->taken && strcmp(o->ufrag, c.candidates.ufrag) != 0)
		offer_end(o);
	unanswered = o->attempt == NULL || !o->made;
	if (offer_begin(o, newest, err) != 0 || use_theirs(o, &c, err) != 0)
		return LINK_NOT_TAKEN;
	return unanswered ? LINK_TAKEN_UNANSWERED : LINK_TAKEN;
}

const char *
offer_state(const struct offer *o)
{
	if (o->taken)
		return "checking candidate pairs";
	if (o->attempt == NULL)
		return NULL;
	return o->made ? "waiting for its block" : "gathering candidates";
}

/* --- life --- */

struct offer *
offer_new(const struct link_config *cfg, const struct offer_callbacks *cb, void *arg,
	  struct err *err)
{
	struct offer *o = calloc(1, sizeof *o);

	if (o == NULL)
		goto err1;
	o->cfg = cfg;
	o->cb = *cb;
	o->arg = arg;
	o->name = cfg->them->name;
	o->client = cfg->self < cfg->peer;
	if ((o->ask = evtimer_new(cfg->base, on_ask, o)) == NULL)
		goto err2;
	if ((o->reap = evtimer_new(cfg->base, on_reap, o)) == NULL)
		goto err3;
	return o;

err3:
	event_free(o->ask);
err2:
	free(o);
err1:
	err_set(err, "out of memory");
	return NULL;
}

void
offer_free(struct offer *o)
{
	if (o == NULL)
		return;
	attempt_free(o->attempt);
	event_free(o->ask);
	event_free(o->reap);
	free(o);
}
