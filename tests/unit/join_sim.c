#include "join_sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t
sim_random(struct sim *s, uint32_t below)
{
	s->seed = s->seed * 1664525 + 1013904223;
	return (s->seed >> 8) % below;
}

static bool
chance(struct sim *s, unsigned percent)
{
	return percent > 0 && sim_random(s, 100) < percent;
}

static void
enqueue(struct sim *s, const struct pubkey *to, const uint8_t *data, size_t len)
{
	struct sim_message *m = &s->queue[s->n_queue];
	uint64_t ms = s->net.delay_ms > 0 ? sim_random(s, (uint32_t)s->net.delay_ms) : 1;

	if (s->n_queue == SIM_QUEUE_MAX)
		return;
	*m = (struct sim_message){.to = *to, .at_ns = s->now_ns + ms * NS_PER_MS};
	m->len = len;
	m->data = malloc(len);
	memcpy(m->data, data, len);
	if (chance(s, s->net.alter))
		m->data[sim_random(s, (uint32_t)len)] ^= (uint8_t)(1 + sim_random(s, 255));
	s->n_queue++;
}

static struct pubkey
somebody(struct sim *s)
{
	size_t i = sim_random(s, SIM_JOINERS_MAX + 1);

	return i < SIM_JOINERS_MAX && s->party[i].id != NULL
		   ? *identity_pubkey(s->party[i].id)
		   : *identity_pubkey(s->alice);
}

void
sim_post(struct sim *s, const struct pubkey *to, const uint8_t *data, size_t len)
{
	struct pubkey other;

	s->sent++;
	if (s->net.replay > 0 && s->n_kept < SIM_QUEUE_MAX) {
		struct sim_message *k = &s->kept[s->n_kept++];

		*k = (struct sim_message){.to = *to, .len = len, .data = malloc(len)};
		memcpy(k->data, data, len);
	}
	if (chance(s, s->net.replay)) {
		const struct sim_message *k =
		    &s->kept[sim_random(s, (uint32_t)s->n_kept)];

		enqueue(s, &k->to, k->data, k->len);
	}
	if (chance(s, s->net.astray)) {
		other = somebody(s);
		enqueue(s, &other, data, len);
	}
	if (chance(s, s->net.drop))
		return;
	enqueue(s, to, data, len);
	if (chance(s, s->net.twice))
		enqueue(s, to, data, len);
}

/* --- the host --- */

static void
host_send(void *arg, const struct pubkey *to, const uint8_t *msg, size_t len)
{
	sim_post(arg, to, msg, len);
}

static void
host_joined(void *arg, const char *name, size_t n)
{
	(void)arg;
	(void)name;
	(void)n;
}

static void
host_left(void *arg, const char *name, const char *why)
{
	struct sim *s = arg;

	(void)name;
	(void)why;
	s->left++;
	s->words[0] = '\0';
}

static void
host_words(void *arg, const char *words, const struct session *roster)
{
	struct sim *s = arg;

	snprintf(s->words, sizeof s->words, "%s", words);
	s->words_n++;
	memcpy(s->digest, roster->roster_digest, sizeof s->digest);
	if (s->confirms)
		s->confirmed = join_host_confirm(s->host, s->now_ns, NULL) != NULL;
}

static void
host_stored(void *arg, const char *name)
{
	struct sim *s = arg;

	(void)name;
	s->stored++;
}

static void
host_refused(void *arg, const char *name, enum join_refusal refusal)
{
	struct sim *s = arg;

	(void)name;
	s->refused = refusal;
	s->refusals++;
}

static const struct join_host_callbacks host_callbacks = {
    .send = host_send,
    .joined = host_joined,
    .left = host_left,
    .words = host_words,
    .stored = host_stored,
    .refused = host_refused,
};

struct sim *
sim_new(size_t wanted, uint32_t seed)
{
	struct sim *s = calloc(1, sizeof *s);
	struct join_host_config cfg;

	s->seed = seed;
	s->now_ns = 1000 * NS_PER_S;
	s->alice = identity_ephemeral(NULL);
	memset(s->psk, 0x42, sizeof s->psk);
	s->base = calloc(1, sizeof *s->base);
	strcpy(s->base->name, "santa");
	s->base->version = 1;
	s->base->rendezvous = calloc(SESSION_SERVERS_MAX, sizeof *s->base->rendezvous);
	s->base->n_rendezvous = 1;
	url_parse(s->base->rendezvous, URL_KIND_RENDEZVOUS, "dir:/nowhere", NULL);
	s->base->parties = calloc(SESSION_PARTIES_MAX, sizeof *s->base->parties);
	strcpy(s->base->parties[0].name, "alice");
	s->base->parties[0].key = *identity_pubkey(s->alice);
	s->base->n_parties = 1;
	cfg = (struct join_host_config){
	    .self = s->alice,
	    .psk = s->psk,
	    .base = s->base,
	    .wanted = wanted,
	    .expires_ns = s->now_ns + 3600 * NS_PER_S,
	};
	s->host = join_host_new(&cfg, &host_callbacks, s, NULL);
	assert(s->host != NULL);
	join_host_online(s->host, true, s->now_ns);
	return s;
}

void
sim_free(struct sim *s)
{
	join_host_free(s->host);
	for (size_t i = 0; i < SIM_JOINERS_MAX; i++) {
		joiner_free(s->party[i].joiner);
		identity_free(s->party[i].id);
	}
	for (size_t i = 0; i < s->n_queue; i++)
		free(s->queue[i].data);
	for (size_t i = 0; i < s->n_kept; i++)
		free(s->kept[i].data);
	session_free(s->base);
	identity_free(s->alice);
	free(s);
}

/* --- joiners --- */

static void
joiner_send(void *arg, const uint8_t *msg, size_t len)
{
	struct sim_party *p = arg;

	sim_post(p->sim, &p->host, msg, len);
}

static void
joiner_waiting(void *arg, const struct join_waiting *w)
{
	struct sim_party *p = arg;

	p->waiting = *w;
}

static void
joiner_words(void *arg, const char *words, const struct session *roster)
{
	struct sim_party *p = arg;

	snprintf(p->words, sizeof p->words, "%s", words);
	p->words_n++;
	memcpy(p->digest, roster->roster_digest, sizeof p->digest);
}

static void
joiner_words_void(void *arg)
{
	struct sim_party *p = arg;

	p->words[0] = '\0';
}

static void
joiner_frozen(void *arg, const struct session *session, bool compared)
{
	struct sim_party *p = arg;

	p->frozen = true;
	p->compared = compared;
	p->n_parties = session->n_parties;
	memcpy(p->digest, session->roster_digest, sizeof p->digest);
	joiner_stored(p->joiner, p->sim->now_ns);
}

static void
joiner_ended(void *arg, const char *why)
{
	struct sim_party *p = arg;

	snprintf(p->ended, sizeof p->ended, "%s", why);
}

static const struct joiner_callbacks joiner_callbacks = {
    .send = joiner_send,
    .waiting = joiner_waiting,
    .words = joiner_words,
    .words_void = joiner_words_void,
    .frozen = joiner_frozen,
    .ended = joiner_ended,
};

void
sim_join(struct sim *s, size_t i, const char *name)
{
	struct sim_party *p = &s->party[i];
	struct joiner_config cfg;

	if (p->id == NULL) {
		p->sim = s;
		p->id = identity_ephemeral(NULL);
		memcpy(p->psk, s->psk, sizeof p->psk);
		p->host = *identity_pubkey(s->alice);
	}
	p->name = name;
	p->words[0] = p->ended[0] = '\0';
	p->frozen = p->compared = false;
	cfg = (struct joiner_config){
	    .self = p->id,
	    .psk = p->psk,
	    .host = p->host,
	    .name = name,
	};
	p->joiner = joiner_new(&cfg, &joiner_callbacks, p, NULL);
	assert(p->joiner != NULL);
	joiner_online(p->joiner, true, s->now_ns);
}

void
sim_kill(struct sim *s, size_t i)
{
	joiner_free(s->party[i].joiner);
	s->party[i].joiner = NULL;
}

/* --- time --- */

static void
deliver(struct sim *s, const struct sim_message *m)
{
	if (pubkey_equal(&m->to, identity_pubkey(s->alice)))
		join_host_receive(s->host, m->data, m->len, s->now_ns);
	for (size_t i = 0; i < SIM_JOINERS_MAX; i++) {
		struct sim_party *p = &s->party[i];

		if (p->joiner != NULL && pubkey_equal(&m->to, identity_pubkey(p->id)))
			joiner_receive(p->joiner, m->data, m->len, s->now_ns);
	}
}

static uint64_t
next_ns(const struct sim *s)
{
	uint64_t at_ns = join_host_expiry(s->host);

	for (size_t i = 0; i < s->n_queue; i++)
		if (s->queue[i].at_ns < at_ns)
			at_ns = s->queue[i].at_ns;
	for (size_t i = 0; i < SIM_JOINERS_MAX; i++)
		if (s->party[i].joiner != NULL &&
		    joiner_expiry(s->party[i].joiner) < at_ns)
			at_ns = joiner_expiry(s->party[i].joiner);
	return at_ns;
}

static void
step(struct sim *s)
{
	for (size_t i = 0; i < s->n_queue;) {
		struct sim_message m = s->queue[i];

		if (m.at_ns > s->now_ns) {
			i++;
			continue;
		}
		s->queue[i] = s->queue[--s->n_queue];
		deliver(s, &m);
		free(m.data);
	}
	join_host_tick(s->host, s->now_ns);
	for (size_t i = 0; i < SIM_JOINERS_MAX; i++)
		if (s->party[i].joiner != NULL)
			joiner_tick(s->party[i].joiner, s->now_ns);
}

void
sim_run(struct sim *s, uint64_t ms, bool (*done)(struct sim *s))
{
	uint64_t until_ns = s->now_ns + ms * NS_PER_MS;

	while (done == NULL || !done(s)) {
		uint64_t at_ns = next_ns(s);

		if (at_ns >= until_ns) {
			s->now_ns = until_ns;
			return;
		}
		if (at_ns > s->now_ns)
			s->now_ns = at_ns;
		step(s);
	}
}
