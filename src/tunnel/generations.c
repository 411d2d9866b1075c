#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "rendezvous/gate.h"
#include "tunnel/generations.h"
#include "tunnel/offer.h"
#include "tunnel/searcher.h"
#include "tunnel/signaller.h"

/* Between failed attempts: long enough not to load a relay or the rendezvous, short
 * enough that a person who mends the network need not wait. */
#define RETRY_FIRST_NS (500 * NS_PER_MS)
#define RETRY_MAX_NS   (15 * NS_PER_S)

/* From an attempt's start until it is given up. ICE itself gives up earlier once it has
 * the other side's candidates. */
#define ATTEMPT_LIMIT_NS (60 * NS_PER_S)

/* An attempt that has lasted so long has checked what there was to check. */
#define TRIED_NS (2 * NS_PER_S)

/* Attempts that the peer has begun: each costs sockets, and places at relays. */
#define PROVOKED_BURST 8
#define PROVOKED_EVERY (1 * NS_PER_S)

/* How long a server that wants a path waits before it asks again. */
#define ASK_AGAIN_NS (8 * NS_PER_S)

struct generations {
	struct link_config cfg;
	struct generations_callbacks cb;
	void *arg;
	const char *name; /* the peer's */
	bool client;
	bool reached; /* some rendezvous is */
	bool inband;  /* the connection carries signals as well */
	bool online;  /* one of both */
	bool peer_left;
	bool wanted; /* another path than the active one */
	bool asked;  /* by the server for one attempt, though ours may do */
	struct signaller *signaller;
	uint32_t number; /* of the newest */
	struct attempt *active;
	struct attempt *next;
	struct offer *offer;  /* an attempt that blocks carry, beside all others */
	struct attempt *gone; /* replaced, perhaps from within its own callback */
	bool given_up;        /* ${next} */
	bool searching;       /* ${next} is to replace a relayed path that works */
	bool by_hand;         /* ${next} was an offer, with this life of the peer's */
	struct incarnation offered_by;
	uint64_t retry_ns;
	uint64_t provoked_ns; /* a gate */
	struct log_gate gate; /* for lines that the peer provokes */
	struct event *retry;
	struct searcher *searcher;
	struct event *limit; /* of ${next} */
	struct event *reap;  /* only ever activated: runs outside of all callbacks */
};

static void
reap_soon(struct generations *g)
{
	event_active(g->reap, EV_TIMEOUT, 0);
}

/* --- when to negotiate --- */

static bool
needs_path(const struct generations *g)
{
	return !g->peer_left && (g->wanted || g->asked || g->active == NULL ||
				 attempt_has_failed(g->active));
}

static void
drop_next(struct generations *g)
{
	if (g->next == NULL)
		return;
	g->cb.giving_up(g->arg);
	attempt_free(g->next);
	g->next = NULL;
	g->given_up = g->asked = g->searching = g->by_hand = false;
	event_del(g->limit);
}

/* A search is no reason to wait for it when a path is needed. */
static void
drop_search(struct generations *g)
{
	if (g->searching && !attempt_is_ready(g->next))
		drop_next(g);
}

static const struct attempt_callbacks attempt_callbacks;
static void pursue(struct generations *g);

static enum path_policy
policy(const struct generations *g)
{
	return g->cfg.them->policy;
}

/* Negotiate a path under ${number}, in place of one under negotiation; with ${direct}
 * one without relays, unless our own policy is to show nothing but relays. */
static void
begin(struct generations *g, uint32_t number, bool direct)
{
	struct attempt_config cfg = {
	    .generation = number,
	    .policy = direct && policy(g) != PATH_RELAY ? PATH_DIRECT : policy(g),
	};
	struct err err;

	drop_next(g);
	signaller_supersede(g->signaller);
	g->number = number;
	g->next = attempt_new(&g->cfg, &cfg, &attempt_callbacks, g, &err);
	if (g->next == NULL) {
		log_error("peer=%s cannot gather candidates: %s", g->name, err.text);
		pursue(g);
		return;
	}
	timer_after(g->limit, ATTEMPT_LIMIT_NS);
}

/* Without a rendezvous or a peer behind it there is nobody to negotiate with; the return
 * of either starts an attempt at once. */
static void
start(struct generations *g)
{
	if (!g->client || !needs_path(g))
		return;
	drop_search(g);
	if (g->online && g->next == NULL && signaller_is_met(g->signaller))
		begin(g, g->number + 1, false);
}

static void
start_now(struct generations *g)
{
	g->retry_ns = 0;
	event_del(g->retry);
	start(g);
}

/* See to it that there will be a path, as long as one is needed: the client by starting
 * again, with backoff; the server by asking, again and again. */
static void
pursue(struct generations *g)
{
	if (!needs_path(g))
		return;
	drop_search(g);
	if (g->next != NULL || event_pending(g->retry, EV_TIMEOUT, NULL))
		return;
	if (!g->client) {
		/* Nothing that was said before matters now. */
		signaller_supersede(g->signaller);
		signaller_ask_for_restart(g->signaller, g->number);
		timer_after(g->retry, ASK_AGAIN_NS);
		return;
	}
	if (g->retry_ns == 0)
		g->retry_ns = RETRY_FIRST_NS;
	timer_after(g->retry, g->retry_ns);
	g->retry_ns = g->retry_ns * 2 > RETRY_MAX_NS ? RETRY_MAX_NS : g->retry_ns * 2;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct generations *g = arg;

	(void)fd;
	(void)what;
	if (g->client)
		start(g);
	else
		pursue(g);
}

void
generations_want(struct generations *g, bool at_once)
{
	g->wanted = true;
	if (g->client && at_once)
		start_now(g);
	else
		pursue(g);
}

static void
satisfied(struct generations *g)
{
	g->wanted = g->asked = false;
	g->retry_ns = 0;
	event_del(g->retry);
}

void
generations_settle(struct generations *g)
{
	g->wanted = false;
	if (needs_path(g))
		return;
	satisfied(g);
	if (!g->client)
		signaller_withdraw_restart(g->signaller);
	else if (g->next != NULL && !attempt_is_ready(g->next))
		drop_next(g);
}

/* --- from a relay to a direct path --- */

static bool
is_relayed(const struct generations *g)
{
	return g->active != NULL && attempt_is_relayed(g->active);
}

/* The active path is another one. The client has a direct path looked for as long as it
 * is relayed; the server leaves it to the client. */
static void
look_for_relay(struct generations *g)
{
	if (!g->client || policy(g) != PATH_ANY)
		return;
	searcher_path(g->searcher, is_relayed(g));
}

/* The other side shows relayed candidates alone: it wants no other path. */
static bool
peer_hides(const struct generations *g)
{
	struct signal_facts ours, theirs;

	attempt_facts(g->active, &ours, &theirs);
	return signal_facts_hide(&theirs);
}

static enum searcher_did
on_search_due(void *arg)
{
	struct generations *g = arg;

	/* Who needs a path finds one of any kind. */
	if (!g->online || g->next != NULL || needs_path(g) ||
	    !signaller_is_met(g->signaller))
		return SEARCHER_WAITS;
	/* The next path brings the matter up again. */
	if (!is_relayed(g) || peer_hides(g))
		return SEARCHER_STOPS;
	log_debug("peer=%s looking for a direct path", g->name);
	begin(g, g->number + 1, true);
	g->searching = g->next != NULL;
	return SEARCHER_TRIED;
}

static void
retire_active(struct generations *g)
{
	attempt_free(g->gone);
	g->gone = g->active;
	g->active = NULL;
	if (g->gone != NULL)
		reap_soon(g);
}

/* --- by hand --- */

int
generations_offer(struct generations *g, struct err *err)
{
	return offer_begin(g->offer, g->number, err);
}

int
generations_get_offer(struct generations *g, uint8_t sealed[ENVELOPE_SEALED_MAX],
		      size_t *len, struct err *err)
{
	return offer_make(g->offer, sealed, len, err);
}

enum link_taken
generations_take_offer(struct generations *g, const uint8_t *sealed, size_t len,
		       char age[LINK_AGE_BYTES], struct err *err)
{
	return offer_take(g->offer, sealed, len, g->number, age, err);
}

/* From here on it is an attempt like all others. */
static void
on_offer_works(void *arg, struct attempt *a, const struct incarnation *life)
{
	struct generations *g = arg;

	drop_next(g);
	g->next = a;
	g->by_hand = true;
	g->offered_by = *life;
	g->peer_left = false;
	g->number = attempt_generation(a);
	attempt_hand_over(a, &attempt_callbacks, g);
	timer_after(g->limit, ATTEMPT_LIMIT_NS);
	signaller_send_concluded(g->signaller, g->number);
	g->cb.ready(g->arg, a);
}

static const struct offer_callbacks offer_callbacks = {
    .works = on_offer_works,
};

void
generations_promote(struct generations *g)
{
	offer_end(g->offer);
	retire_active(g);
	g->active = g->next;
	g->next = NULL;
	if (g->searching)
		log_info("peer=%s moved from a relay to a direct path", g->name);
	/* Now that the path is authenticated: nobody met this life, only its block. */
	if (g->by_hand)
		signaller_replaced(g->signaller, &g->offered_by);
	g->given_up = g->searching = g->by_hand = false;
	event_del(g->limit);
	satisfied(g);
	look_for_relay(g);
}

void
generations_give_up(struct generations *g)
{
	if (g->next == NULL)
		return;
	g->given_up = true;
	reap_soon(g);
}

void
generations_drop_active(struct generations *g)
{
	retire_active(g);
}

void
generations_peer_left(struct generations *g)
{
	signaller_forget(g->signaller);
	/* Its next life may be here already. */
	if (g->by_hand)
		return;
	g->peer_left = true;
	drop_next(g);
	satisfied(g);
}

static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct generations *g = arg;

	(void)fd;
	(void)what;
	attempt_free(g->gone);
	g->gone = NULL;
	if (g->next != NULL && (g->given_up || attempt_has_failed(g->next)))
		drop_next(g);
	pursue(g);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	generations_give_up(arg);
}

/* --- what the paths say --- */

static void
on_local_candidates(void *arg, struct attempt *a, const uint8_t *body, size_t len)
{
	struct generations *g = arg;

	(void)a;
	signaller_send_candidates(g->signaller, body, len);
}

static void
on_ready(void *arg, struct attempt *a)
{
	struct generations *g = arg;

	if (a == g->gone)
		return;
	log_debug("peer=%s generation=%u a candidate pair works", g->name,
		  attempt_generation(a));
	signaller_send_concluded(g->signaller, attempt_generation(a));
	g->cb.ready(g->arg, a);
}

static void
on_failed(void *arg, struct attempt *a, const char *why)
{
	struct generations *g = arg;

	if (a == g->gone)
		return;
	g->cb.failed(g->arg, a, why);
	reap_soon(g);
}

static void
on_datagram(void *arg, struct attempt *a, uint8_t *data, size_t len)
{
	struct generations *g = arg;

	if (a != g->gone)
		g->cb.datagram(g->arg, a, data, len);
}

static void
on_writable(void *arg, struct attempt *a)
{
	struct generations *g = arg;

	g->cb.writable(g->arg, a);
}

static void
on_alive(void *arg, struct attempt *a)
{
	struct generations *g = arg;

	g->cb.alive(g->arg, a);
}

static void
on_probed(void *arg, struct attempt *a)
{
	struct generations *g = arg;

	g->cb.probed(g->arg, a);
}

static const struct attempt_callbacks attempt_callbacks = {
    .signal = on_local_candidates,
    .ready = on_ready,
    .failed = on_failed,
    .datagram = on_datagram,
    .writable = on_writable,
    .alive = on_alive,
    .probed = on_probed,
};

/* --- what the peer says --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct generations *g = arg;

	g->cb.send(g->arg, sealed, len);
}

/* Whether the peer may have an attempt begun at once. */
static bool
may_provoke(struct generations *g)
{
	return gate_pass(&g->provoked_ns, PROVOKED_BURST, PROVOKED_EVERY, clock_now_ns());
}

/* The client counts: our number is whatever its next message says. If it has not counted yet,
 * that is 1, and our candidates can be on their way before its message is here. If it has,
 * it ignores them. */
static void
meet_client(struct generations *g)
{
	/* Where there is a path, it says what the client has counted to. */
	if (g->active == NULL)
		g->number = 0;
	if (g->next == NULL && needs_path(g) && may_provoke(g))
		begin(g, 1, false);
}

/* What works may do so since before it could be said. */
static void
say_concluded(struct generations *g, const struct attempt *a)
{
	if (a != NULL && attempt_is_ready(a))
		signaller_send_concluded(g->signaller, attempt_generation(a));
}

static void
on_met(void *arg, bool replaced)
{
	struct generations *g = arg;

	g->peer_left = false;
	if (replaced)
		drop_next(g);
	g->cb.met(g->arg, replaced);
	if (replaced)
		generations_drop_active(g);
	g->asked = false;
	say_concluded(g, g->active);
	say_concluded(g, g->next);
	if (!g->client)
		meet_client(g);
	else if (may_provoke(g))
		start_now(g);
	else
		pursue(g);
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct generations *g = arg;

	return g->cb.heard(g->arg, since_ns);
}

static void
on_refused(void *arg)
{
	struct generations *g = arg;

	g->cb.refused(g->arg);
}

static void
on_roster_differs(void *arg)
{
	struct generations *g = arg;

	g->cb.roster_differs(g->arg);
}

static void
on_roster_agrees(void *arg)
{
	struct generations *g = arg;

	g->cb.roster_agrees(g->arg);
}

/* The other side has given up what is under negotiation. Where there is no path at all,
 * it has failed here as well, unless it was not even tried: status says why at both
 * sides. */
static void
given_up_by_peer(struct generations *g)
{
	if (g->next != NULL && g->active == NULL && !attempt_is_ready(g->next) &&
	    !attempt_has_failed(g->next) &&
	    clock_now_ns() - attempt_started_ns(g->next) > TRIED_NS)
		g->cb.failed(g->arg, g->next, "the other side found none");
}

static void
on_roster(void *arg, const uint8_t *data, size_t len)
{
	struct generations *g = arg;

	g->cb.roster(g->arg, data, len);
}

/* The client has begun attempt ${m->generation}. */
static void
follow(struct generations *g, const struct signal_candidates *m)
{
	given_up_by_peer(g);
	if (may_provoke(g)) {
		begin(g, m->generation, m->direct);
		g->searching = m->direct && g->next != NULL && !needs_path(g);
		return;
	}
	/* What was under way it has given up. It is asked for the next in a while. */
	drop_next(g);
	g->number = m->generation;
	if (!m->direct)
		generations_want(g, false);
}

static void
on_candidates(void *arg, const struct signal_candidates *m)
{
	struct generations *g = arg;
	struct attempt *a;
	struct err err;

	if (!g->client && m->generation > g->number)
		follow(g, m);
	a = generations_find(g, m->generation);
	if (a != NULL && !attempt_has_failed(a) && attempt_remote(a, m, &err) != 0 &&
	    log_gate_pass(&g->gate, (long long)clock_now_ns(), NULL))
		log_warn("peer=%s its candidates are refused: %s", g->name, err.text);
}

/* The server has no use for generation ${number} any more. One that is newer answers the
 * complaint. */
static void
on_restart(void *arg, uint32_t number)
{
	struct generations *g = arg;

	if (!g->client || number < g->number)
		return;
	drop_search(g);
	if (g->next != NULL) {
		given_up_by_peer(g);
		drop_next(g);
		g->asked = true;
		pursue(g);
	} else if (!event_pending(g->retry, EV_TIMEOUT, NULL)) {
		g->asked = true;
		start(g);
	}
}

static void
on_search(void *arg, uint32_t number)
{
	struct generations *g = arg;

	(void)number;
	if (!g->client || !may_provoke(g))
		return;
	/* What is under way meets addresses of before. */
	drop_search(g);
	searcher_now(g->searcher);
}

static void
on_concluded(void *arg, uint32_t number)
{
	struct generations *g = arg;
	struct attempt *a = generations_find(g, number);

	if (a != NULL && g->cfg.local->fast_path)
		attempt_peer_concluded(a);
}

static const struct signaller_callbacks signaller_callbacks = {
    .send = on_send,
    .met = on_met,
    .heard = on_heard,
    .refused = on_refused,
    .roster_differs = on_roster_differs,
    .roster_agrees = on_roster_agrees,
    .roster = on_roster,
    .candidates = on_candidates,
    .restart = on_restart,
    .concluded = on_concluded,
    .search = on_search,
};

/* Who is met need not be told that there is one more way. */
static void
update_online(struct generations *g, bool afresh)
{
	bool online = g->reached || g->inband;

	if (online && (afresh || !g->online || !signaller_is_met(g->signaller)))
		signaller_set_online(g->signaller, true);
	else if (!online && g->online)
		signaller_set_online(g->signaller, false);
	g->online = online;
}

void
generations_set_online(struct generations *g, bool online)
{
	g->reached = online;
	update_online(g, online);
	if (online)
		start_now(g);
}

void
generations_set_inband(struct generations *g, bool open)
{
	g->inband = open;
	update_online(g, false);
	if (open)
		start(g);
}

/* This machine's network is another one. */
static void
ask_for_search(struct generations *g)
{
	if (g->client)
		searcher_now(g->searcher);
	else
		signaller_ask_for_search(g->signaller, g->number);
}

void
generations_set_roster(struct generations *g, const uint8_t *digest)
{
	signaller_set_roster(g->signaller, digest);
	signaller_tell_roster(g->signaller, g->cfg.session);
}

void
generations_tell_roster(struct generations *g)
{
	signaller_tell_roster(g->signaller, g->cfg.session);
}

void
generations_network_changed(struct generations *g)
{
	bool stale =
	    g->active != NULL && (attempt_has_failed(g->active) ||
				  path_has_lost_address(attempt_path(g->active)));

	/* What is under negotiation offers addresses of before. */
	if (g->searching)
		drop_next(g);
	if (!stale && g->next == NULL && !needs_path(g)) {
		if (is_relayed(g))
			ask_for_search(g);
		return;
	}
	if (stale)
		log_info("peer=%s the local address of its path is gone, looking for "
			 "another path",
			 g->name);
	drop_next(g);
	event_del(g->retry);
	generations_want(g, true);
}

void
generations_receive(struct generations *g, const uint8_t *sealed, size_t len)
{
	signaller_receive(g->signaller, sealed, len);
}

/* --- life, and what is there --- */

static int
make_events(struct generations *g)
{
	g->retry = evtimer_new(g->cfg.base, on_retry, g);
	g->limit = evtimer_new(g->cfg.base, on_limit, g);
	g->reap = evtimer_new(g->cfg.base, on_reap, g);
	return g->retry != NULL && g->limit != NULL && g->reap != NULL ? 0 : -1;
}

static void
free_event(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

struct generations *
generations_new(const struct link_config *cfg, const struct generations_callbacks *cb,
		void *arg, struct err *err)
{
	struct generations *g = calloc(1, sizeof *g);
	struct contact_config contact_cfg = {
	    .self = cfg->identity,
	    .peer = cfg->them->key,
	    .session_name = cfg->session->name,
	    .roster_digest = cfg->session->roster_digest,
	    .incarnation = cfg->incarnation,
	};

	if (g == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	g->cfg = *cfg;
	g->cb = *cb;
	g->arg = arg;
	g->name = cfg->them->name;
	g->client = cfg->self < cfg->peer;
	if (make_events(g) != 0) {
		err_set(err, "out of memory");
		goto err1;
	}
	g->searcher = searcher_new(cfg->base, on_search_due, g, err);
	if (g->searcher == NULL)
		goto err1;
	g->offer = offer_new(&g->cfg, &offer_callbacks, g, err);
	if (g->offer == NULL)
		goto err1;
	g->signaller =
	    signaller_new(cfg->base, g->name, &contact_cfg, &signaller_callbacks, g, err);
	if (g->signaller == NULL)
		goto err1;
	return g;

err1:
	generations_free(g);
	return NULL;
}

void
generations_free(struct generations *g)
{
	if (g == NULL)
		return;
	offer_free(g->offer);
	attempt_free(g->next);
	attempt_free(g->active);
	attempt_free(g->gone);
	free_event(g->retry);
	free_event(g->limit);
	free_event(g->reap);
	searcher_free(g->searcher);
	signaller_free(g->signaller);
	free(g);
}

struct attempt *
generations_active(const struct generations *g)
{
	return g->active;
}

struct attempt *
generations_next(const struct generations *g)
{
	return g->next;
}

struct attempt *
generations_find(const struct generations *g, uint32_t number)
{
	if (g->active != NULL && attempt_generation(g->active) == number)
		return g->active;
	if (g->next != NULL && attempt_generation(g->next) == number)
		return g->next;
	return NULL;
}

size_t
generations_send(struct generations *g, uint32_t number, const uint8_t *data, size_t len,
		 size_t segment)
{
	struct attempt *a = generations_find(g, number);

	if (a == NULL || attempt_has_failed(a))
		return len;
	return path_send(attempt_path(a), data, len, segment);
}

bool
generations_is_searching(const struct generations *g)
{
	return g->searching;
}

bool
generations_is_of_other_life(const struct generations *g)
{
	return g->by_hand && !signaller_knows(g->signaller, &g->offered_by);
}

const char *
generations_state(const struct generations *g)
{
	if (g->next != NULL)
		return "checking candidate pairs";
	if (offer_state(g->offer) != NULL)
		return offer_state(g->offer);
	if (g->peer_left)
		return "has shut down";
	if (g->cfg.session->n_rendezvous == 0 && !signaller_is_met(g->signaller))
		return "no block exchanged yet";
	if (!g->online)
		return "no rendezvous";
	return signaller_is_met(g->signaller) ? "about to try again" : "not seen yet";
}
