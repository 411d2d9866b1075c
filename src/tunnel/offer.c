#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "tunnel/offer.h"

#define NUMBER_BASE (1U << 30)
#define NUMBER_STEP (1U << 20)

uint32_t
offer_number(uint32_t newest)
{
	uint32_t random = 0;

	RAND_bytes((unsigned char *)&random, sizeof random);
	return (newest > NUMBER_BASE ? newest : NUMBER_BASE) + 1 + random % NUMBER_STEP;
}

void
offer_reset(struct offer *o)
{
	memset(o, 0, sizeof *o);
}

void
offer_collect(struct offer *o, const uint8_t *body, size_t len)
{
	struct signal_candidates m;

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
offer_make(struct offer *o, const struct link_config *cfg,
	   uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err)
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
	get_pair(cfg, &pair);
	if (offer_seal(&pair, &content, sealed, len, err) != 0)
		return -1;
	o->made = true;
	return 1;
}

static bool
is_none(const struct incarnation *x)
{
	static const struct incarnation none;

	return incarnation_equal(x, &none);
}

void
offer_describe_age(char out[LINK_AGE_BYTES], uint64_t made_s)
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

int
offer_read(const struct offer *o, const struct link_config *cfg, const uint8_t *sealed,
	   size_t len, struct offer_content *out, struct err *err)
{
	struct offer_pair pair;
	char age[LINK_AGE_BYTES];

	(void)o;
	get_pair(cfg, &pair);
	if (offer_open(&pair, sealed, len, out, err) != 0)
		return -1;
	offer_describe_age(age, out->made_s);
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
			       age, cfg->them->name);
	if (!out->candidates.last)
		return err_set(err, "its block lacks candidates");
	return 0;
}

bool
offer_is_other(const struct offer *o, const struct offer_content *c)
{
	return o->taken && strcmp(o->ufrag, c->candidates.ufrag) != 0;
}

int
offer_take(struct offer *o, const struct offer_content *c, bool renumber, struct err *err)
{
	if (renumber && c->candidates.generation <= NUMBER_BASE)
		return err_set(err, "its block has a number that none has");
	if (renumber)
		attempt_renumber(o->attempt, c->candidates.generation);
	if (attempt_remote(o->attempt, &c->candidates, err) != 0)
		return -1;
	o->peer = c->from;
	o->taken = true;
	memcpy(o->ufrag, c->candidates.ufrag, sizeof o->ufrag);
	return 0;
}
