#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "path/candidate.h"
#include "path/carrier.h"
#include "path/context.h"
#include "path/ice.h"
#include "path/interfaces.h"
#include "path/mapped.h"
#include "path/pulse.h"
#include "path/punch.h"
#include "path/remote.h"
#include "path/udp.h"

/* Interface addresses among which a path looks for its own. */
#define LOCALS_MAX 64

/* How long after the other side's last bundle an earlier one may come, which was lost and
 * sent again. */
#define LATE_BUNDLE_MS 2500

struct path {
	struct path_context *ctx;
	struct path_callbacks cb;
	void *arg;
	enum path_policy policy;
	size_t n_turn; /* TURN servers that are asked */
	uint64_t started_ns;
	struct ice *ice;
	const struct carrier *carrier;
	void *carrier_self;
	struct udp *udp; /* the other carrier, once it has taken over */
	bool controlling;
	struct event *timer;

	/* What has been shown to the other side. */
	struct candidate local[PATH_CANDIDATES_MAX];
	size_t n_local;
	bool local_last;
	uint64_t gather_by_ns;
	uint64_t bundle_ns; /* when to show what has come since the last bundle */
	size_t n_bundles;   /* but for the last */

	struct mapped mapped;
	struct probe_waiter waiter;
	bool gathered;          /* but for these two, */
	uint64_t verdict_by_ns; /* which are waited for until then */

	struct remote remote;

	uint64_t exchanged_ns;  /* when the latest bundle came or went */
	uint64_t answer_by_ns;  /* libnice has failed; checks may save it until then */
	uint64_t connect_by_ns; /* then it has failed in any case */
	uint64_t patience_ns;   /* 0: the context's times */
	struct punch *punch;    /* only with patience */
	bool ready, failed, blocked;
	bool probing; /* with ${token}, until it is answered */
	bool probing_full;
	uint8_t token[PULSE_TOKEN_BYTES];
	struct path_info info;
};

static size_t
agent_send(void *self, const uint8_t *data, size_t len, size_t segment)
{
	return ice_send(self, data, len, segment);
}

static const struct carrier agent_carrier = {"agent", agent_send};

static size_t
socket_send(void *self, const uint8_t *data, size_t len, size_t segment)
{
	return udp_send(self, data, len, segment);
}

static const struct carrier socket_carrier = {"socket", socket_send};

static void
back_to_agent(struct path *p)
{
	udp_free(p->udp);
	p->udp = NULL;
	p->carrier = &agent_carrier;
	p->carrier_self = p->ice;
}

static void
set_timer(struct path *p)
{
	uint64_t when_ns = CLOCK_NEVER;

	if (!p->failed) {
		when_ns = MIN(p->gather_by_ns, p->answer_by_ns);
		when_ns = MIN(when_ns, p->connect_by_ns);
		when_ns = MIN(when_ns, p->bundle_ns);
		when_ns = MIN(when_ns, p->verdict_by_ns);
	}
	timer_at(p->timer, when_ns);
}

/* The last thing its callers do: the path may be freed in the callback. */
static void
fail(struct path *p, const char *why)
{
	if (p->failed)
		return;
	p->failed = true;
	p->ready = false;
	punch_free(p->punch);
	p->punch = NULL;
	set_timer(p);
	p->cb.failed(p->arg, why);
}

static bool
is_shown(const struct path *p, const struct candidate *c)
{
	size_t i;

	for (i = 0; i < p->n_local; i++)
		if (addr_equal(&p->local[i].addr, &c->addr) &&
		    p->local[i].type == c->type)
			return true;
	return false;
}

/* What a STUN server has told libnice, who believes everything. */
static bool
is_a_lie(const struct path *p, const struct candidate *c)
{
	return c->type == PATH_SERVER_REFLEXIVE &&
	       !path_context_plausible(p->ctx, &c->addr);
}

/* The local candidates that the other side has not seen, into ${bundle}. */
static void
fill_bundle(struct path *p, struct path_bundle *bundle)
{
	/* More than are ever shown: peer-reflexive ones and the like are left out. */
	struct candidate now[2 * PATH_CANDIDATES_MAX];
	size_t i, n;

	bundle->n = 0;
	strcpy(bundle->ufrag, ice_ufrag(p->ice));
	strcpy(bundle->pwd, ice_pwd(p->ice));
	n = ice_local(p->ice, now, 2 * PATH_CANDIDATES_MAX - MAPPED_MAX);
	memcpy(&now[n], p->mapped.candidate, p->mapped.n * sizeof *now);
	n += p->mapped.n;
	for (i = 0; i < n && p->n_local < PATH_CANDIDATES_MAX; i++) {
		/* libnice keeps the sockets of a forced relay in its list. */
		if ((p->policy == PATH_RELAY && now[i].type != PATH_RELAYED) ||
		    is_shown(p, &now[i]) || is_a_lie(p, &now[i]))
			continue;
		p->local[p->n_local++] = now[i];
		candidate_format(&now[i], bundle->candidate[bundle->n++]);
	}
}

/* Whether any pair is of one address family; libnice waits for ever where none is. */
static bool
has_pairs(const struct path *p)
{
	for (size_t i = 0; i < p->n_local; i++)
		if (p->local[i].addr.sa.sa_family == AF_INET ? p->remote.ipv4
							     : p->remote.ipv6)
			return true;
	return false;
}

static uint64_t
patience_ns(const struct path *p, unsigned ms)
{
	return p->patience_ns > 0 ? p->patience_ns : ms * NS_PER_MS;
}

/*
 * libnice has given up. When the other side may still send checks, which revive ours,
 * that is not the end: it is likely to learn our candidates later than we think.
 */
static void
look_at_failure(struct path *p)
{
	if (!p->ready && p->local_last && p->remote.last && !has_pairs(p))
		p->answer_by_ns =
		    p->exchanged_ns +
		    MIN(p->ctx->times.answer_ms, LATE_BUNDLE_MS) * NS_PER_MS;
	else if (p->ready || !p->local_last || !p->remote.last || !ice_failed(p->ice))
		p->answer_by_ns = CLOCK_NEVER;
	else
		p->answer_by_ns =
		    p->exchanged_ns + patience_ns(p, p->ctx->times.answer_ms);
	set_timer(p);
}

static bool
has_own_relayed(const struct path *p)
{
	for (size_t i = 0; i < p->n_local; i++)
		if (p->local[i].type == PATH_RELAYED)
			return true;
	return false;
}

/* Said once, though every path notices it; where only relays are allowed the path fails
 * and says so. */
static void
look_at_relays(struct path *p)
{
	bool none = p->n_turn > 0 && !has_own_relayed(p);

	if (p->n_turn == 0 || p->policy == PATH_RELAY || none == p->ctx->no_relay)
		return;
	p->ctx->no_relay = none;
	if (none)
		log_warn("no TURN server has given a relayed address, so there are "
			 "direct paths only: mpcproxy netcheck says what is wrong");
	else
		log_info("a TURN server gives relayed addresses again");
}

/* The last thing its callers do. */
static void
send_bundle(struct path *p, bool last)
{
	struct path_bundle bundle;

	if (p->local_last)
		return;
	fill_bundle(p, &bundle);
	bundle.last = last;
	if (bundle.n == 0 && !last)
		return;
	if (!last)
		p->n_bundles++;
	p->exchanged_ns = clock_now_ns();
	if (last) {
		p->local_last = true;
		look_at_relays(p);
		p->gather_by_ns = CLOCK_NEVER;
		p->bundle_ns = CLOCK_NEVER;
		p->verdict_by_ns = CLOCK_NEVER;
		look_at_failure(p);
	}
	if (last && p->n_local == 0)
		fail(p, p->policy == PATH_RELAY
			    ? "no TURN server gave a relayed address: is it up, and are "
			      "turn-user and turn-password (or turn-secret, and this "
			      "machine's clock) right?"
			    : "no local candidate");
	else
		p->cb.bundle(p->arg, &bundle);
	explicit_bzero(bundle.pwd, sizeof bundle.pwd);
}

/* What the user can do when there is no relay. */
static const char *
relay_advice(const struct path *p)
{
	if (p->policy == PATH_DIRECT || has_own_relayed(p) || p->remote.relayed)
		return "";
	if (p->n_turn > 0)
		return ", and no TURN server gave a relayed address";
	return ", none relayed: a TURN server would help";
}

static void
fail_unconnected(struct path *p)
{
	char why[160];

	if (p->remote.n_usable == 0)
		snprintf(why, sizeof why, "the other side offers no usable candidate");
	else
		snprintf(why, sizeof why,
			 "no pair of candidates works (%zu of ours, %zu of theirs%s)",
			 p->n_local, p->remote.n_usable, relay_advice(p));
	fail(p, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct path *p = arg;
	uint64_t now_ns = clock_now_ns();

	(void)fd;
	(void)what;
	if (now_ns >= p->gather_by_ns || now_ns >= p->verdict_by_ns) {
		send_bundle(p, true);
	} else if (now_ns >= p->bundle_ns) {
		p->bundle_ns = CLOCK_NEVER;
		set_timer(p);
		send_bundle(p, false);
	} else if (now_ns >= p->answer_by_ns || now_ns >= p->connect_by_ns) {
		fail_unconnected(p);
	} else {
		set_timer(p);
	}
}

/* A server that does not answer holds back its own candidates only: what others gave is
 * shown in a few bundles in between, each worth waiting for company. */
static void
on_candidate(struct path *p)
{
	static const unsigned wait_ms[] = {20, 200, 1000};

	if (p->local_last || p->bundle_ns != CLOCK_NEVER ||
	    p->n_bundles > sizeof wait_ms / sizeof *wait_ms)
		return;
	p->bundle_ns =
	    clock_now_ns() + wait_ms[p->n_bundles > 0 ? p->n_bundles - 1 : 0] * NS_PER_MS;
	set_timer(p);
}

/* libnice has gathered all; the router may add to it, and what the STUN servers say of
 * our network goes with the last bundle. The last thing its callers do. */
static void
end_gathering(struct path *p)
{
	if (!p->gathered) {
		p->gathered = true;
		path_context_await_probe(p->ctx, &p->waiter);
	}
	if (p->mapped.n_open == 0 && p->waiter.self == NULL) {
		send_bundle(p, true);
		return;
	}
	if (!p->local_last)
		p->verdict_by_ns = p->started_ns + p->ctx->times.verdict_ms * NS_PER_MS;
	on_candidate(p);
	set_timer(p);
}

static void
on_mapped(void *arg)
{
	struct path *p = arg;

	if (p->failed)
		return;
	if (p->gathered)
		end_gathering(p);
	else if (p->mapped.n > 0)
		on_candidate(p);
}

static void
on_probed(void *arg)
{
	struct path *p = arg;

	if (!p->failed && p->gathered)
		end_gathering(p);
}

static void
on_started(struct path *p)
{
	struct candidate host[PATH_CANDIDATES_MAX];
	size_t n = ice_local(p->ice, host, PATH_CANDIDATES_MAX);

	if (p->policy != PATH_RELAY)
		mapped_start(&p->mapped, p->ctx, host, n, on_mapped, p);
	send_bundle(p, false);
}

static void
log_pair(const struct path_info *i)
{
	char local[ADDR_TEXT_BYTES], remote[ADDR_TEXT_BYTES];

	log_debug("local=%s/%s remote=%s/%s pair selected", addr_format(&i->local, local),
		  path_candidate_type_name(i->local_type),
		  addr_format(&i->remote, remote),
		  path_candidate_type_name(i->remote_type));
}

/*
 * A nominated pair is selected. libnice calls the component "ready" only when no
 * better pair is being checked any more, seconds later when one does not answer;
 * with regular nomination this pair stays.
 */
static void
on_selected(struct path *p)
{
	struct path_info before = p->info;

	if (!ice_selected(p->ice, &p->info))
		return;
	log_pair(&p->info);
	if (p->udp != NULL && (!addr_equal(&before.remote, &p->info.remote) ||
			       !addr_equal(&before.local, &p->info.local)))
		back_to_agent(p);
	p->ready = true;
	punch_free(p->punch);
	p->punch = NULL;
	p->answer_by_ns = CLOCK_NEVER;
	p->connect_by_ns = CLOCK_NEVER;
	set_timer(p);
	if (p->blocked)
		ice_tell_writable(p->ice);
	p->cb.ready(p->arg);
}

static void
on_writable(struct path *p)
{
	if (!p->blocked || !p->ready)
		return;
	p->blocked = false;
	p->cb.writable(p->arg);
}

static void
on_change(struct path *p)
{
	struct path_info info;

	/* After a pair was selected libnice fails only when its socket does. */
	if (p->ready && (ice_failed(p->ice) || !ice_selected(p->ice, &info)))
		fail(p, "the selected pair's socket or relay is gone");
	else
		look_at_failure(p);
}

static void
on_news(void *arg, enum ice_news news)
{
	struct path *p = arg;

	if (p->failed)
		return;
	switch (news) {
	case ICE_GATHERED:
		end_gathering(p);
		break;
	case ICE_STARTED:
		on_started(p);
		break;
	case ICE_SELECTED:
		on_selected(p);
		break;
	case ICE_CHANGED:
		on_change(p);
		break;
	case ICE_WRITABLE:
		on_writable(p);
		break;
	case ICE_CANDIDATE:
		on_candidate(p);
		break;
	}
}

static void
send_pulse(struct path *p, enum pulse_type type, const uint8_t *token, const char *pwd)
{
	uint8_t out[PULSE_FULL_BYTES];
	size_t len = pulse_write(out, type, token, pwd);

	/* A lost answer is asked for again. */
	if (len > 0)
		p->carrier->send(p->carrier_self, out, len, len);
}

/* The last thing its callers do. */
static void
on_probe(struct path *p, const uint8_t *data, size_t len)
{
	bool full = len == PULSE_FULL_BYTES;
	uint8_t token[PULSE_TOKEN_BYTES];

	if (!p->ready)
		return;
	if (pulse_read(data, len, full ? PULSE_ASK_FULL : PULSE_ASK, ice_pwd(p->ice),
		       token)) {
		send_pulse(p, full ? PULSE_ANSWER_FULL : PULSE_ANSWER, token,
			   ice_pwd(p->ice));
		p->cb.probed(p->arg);
	} else if (p->probing && full == p->probing_full &&
		   pulse_read(data, len, full ? PULSE_ANSWER_FULL : PULSE_ANSWER,
			      p->remote.pwd, token) &&
		   memcmp(token, p->token, sizeof token) == 0) {
		p->probing = false;
		p->cb.alive(p->arg);
	}
}

void
path_probe(struct path *p, bool full)
{
	if (!p->ready)
		return;
	/* A late answer counts as well. */
	if (!p->probing && RAND_bytes(p->token, sizeof p->token) != 1)
		return;
	p->probing = true;
	p->probing_full = full;
	send_pulse(p, full ? PULSE_ASK_FULL : PULSE_ASK, p->token, p->remote.pwd);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct path *p = arg;

	if (p->failed)
		return;
	if (pulse_is_one(data, len))
		on_probe(p, data, len);
	else
		p->cb.datagram(p->arg, data, len);
}

struct path *
path_new(struct path_context *ctx, const struct path_config *cfg,
	 const struct path_callbacks *cb, void *arg, struct err *err)
{
	static const struct ice_callbacks ice_cb = {on_news, on_datagram};
	struct path *p = calloc(1, sizeof *p);

	if (p == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	p->ctx = ctx;
	p->cb = *cb;
	p->arg = arg;
	p->policy = cfg->policy;
	if (cfg->turn_user != NULL && cfg->policy != PATH_DIRECT)
		p->n_turn = cfg->session->n_turn;
	p->controlling = cfg->controlling;
	p->patience_ns = cfg->patience_ns;
	p->answer_by_ns = CLOCK_NEVER;
	p->connect_by_ns = CLOCK_NEVER;
	p->bundle_ns = CLOCK_NEVER;
	p->verdict_by_ns = CLOCK_NEVER;
	p->started_ns = clock_now_ns();
	p->gather_by_ns = p->started_ns + ctx->times.gather_ms * NS_PER_MS;
	p->waiter = (struct probe_waiter){.probed = on_probed, .arg = p};
	p->timer = evtimer_new(ctx->base, on_timer, p);
	if (p->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	p->ice = ice_new(ctx, cfg, &ice_cb, p, err);
	if (p->ice == NULL)
		goto err2;
	back_to_agent(p);
	if (p->patience_ns > 0) {
		/* Without a bundle of the other side's it ends as well. */
		p->connect_by_ns = p->started_ns + p->patience_ns;
		p->punch = punch_new(ctx->base, p->ice);
	}
	set_timer(p);
	return p;

err2:
	event_free(p->timer);
err1:
	free(p);
	return NULL;
}

void
path_free(struct path *p)
{
	if (p == NULL)
		return;
	mapped_stop(&p->mapped);
	path_context_forget(&p->waiter);
	punch_free(p->punch);
	udp_free(p->udp);
	ice_free(p->ice);
	event_free(p->timer);
	explicit_bzero(p->remote.pwd, sizeof p->remote.pwd);
	free(p);
}

int
path_remote(struct path *p, const char *ufrag, const char *pwd,
	    const char *const *candidate, size_t n, bool last, struct err *err)
{
	struct remote_news news;

	if (p->failed)
		return err_set(err, "the path has failed");
	if (remote_take(&p->remote, ufrag, pwd, candidate, n, last,
			p->policy == PATH_DIRECT, &news, err) != 0)
		return -1;
	if (!news.any)
		return 0;
	p->exchanged_ns = clock_now_ns();
	if (news.credentials)
		ice_remote_credentials(p->ice, ufrag, pwd);
	if (news.n > 0)
		ice_remote_candidates(p->ice, news.candidate, news.n);
	if (p->punch != NULL)
		punch_towards(p->punch, news.candidate, news.n);
	if (news.last) {
		ice_remote_done(p->ice);
		if (!p->ready)
			p->connect_by_ns =
			    p->exchanged_ns + patience_ns(p, p->ctx->times.connect_ms);
	}
	look_at_failure(p);
	return 0;
}

static void
on_socket_writable(void *arg)
{
	on_writable(arg);
}

void
path_take_over(struct path *p)
{
	static const struct udp_callbacks udp_cb = {on_datagram, on_socket_writable};
	struct stun_credentials c = {.controlling = p->controlling};
	struct udp *udp = NULL;
	struct err err;
	int fd;

	if (!p->ready || p->udp != NULL || p->info.relayed)
		return;
	fd = ice_selected_fd(p->ice);
	if (p->ctx->scratch == NULL)
		p->ctx->scratch = udp_scratch_new();
	if (fd < 0 || p->ctx->scratch == NULL)
		return;
	snprintf(c.username, sizeof c.username, "%s:%s", ice_ufrag(p->ice),
		 p->remote.ufrag);
	snprintf(c.password, sizeof c.password, "%s", ice_pwd(p->ice));
	udp = udp_new(p->ctx->base, fd, &p->info.remote, &c, p->ctx->scratch, &udp_cb, p,
		      &err);
	explicit_bzero(&c, sizeof c);
	if (udp == NULL) {
		log_debug("no socket of our own for this path: %s", err.text);
		return;
	}
	p->udp = udp;
	p->carrier = &socket_carrier;
	p->carrier_self = udp;
	on_writable(p);
}

size_t
path_send(struct path *p, const uint8_t *data, size_t len, size_t segment)
{
	size_t taken = 0;

	if (p->ready)
		taken = p->carrier->send(p->carrier_self, data, len, segment);
	if (taken < len)
		p->blocked = true;
	return taken;
}

bool
path_has_lost_address(const struct path *p)
{
	union addr now[LOCALS_MAX], local;
	socklen_t len = sizeof local;
	int fd = p->ready ? ice_selected_fd(p->ice) : -1;
	size_t n;

	if (fd < 0 || p->ctx->n_hosts > 0 || getsockname(fd, &local.sa, &len) != 0)
		return false;
	addr_set_port(&local, 0);
	n = interfaces_addresses(now, LOCALS_MAX);
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&now[i], &local))
			return false;
	return true;
}

void
path_get_info(const struct path *p, struct path_info *info)
{
	*info = p->info;
	info->ready = p->ready;
	info->carrier = p->carrier->name;
}

static bool
is_their_outside(const struct path *p, const union addr *outside)
{
	union addr host = *outside;

	addr_set_port(&host, 0);
	for (size_t i = 0; i < p->remote.n_outside; i++)
		if (addr_equal(&p->remote.outside[i], &host))
			return true;
	return false;
}

void
path_get_facts(const struct path *p, struct path_facts *facts)
{
	struct probe_result r = {0};
	const struct candidate *c;
	size_t i;

	memset(facts, 0, sizeof *facts);
	if (p->ctx->probe != NULL)
		probe_get(p->ctx->probe, &r);
	facts->udp = r.udp;
	facts->mapping = r.mapping;
	facts->turn_servers = p->n_turn;
	for (i = 0; i < p->n_local; i++) {
		c = &p->local[i];
		facts->relayed |= c->type == PATH_RELAYED;
		facts->reflexive |= c->type == PATH_SERVER_REFLEXIVE;
		facts->same_nat |=
		    c->type == PATH_SERVER_REFLEXIVE && is_their_outside(p, &c->addr);
		if (c->type != PATH_HOST)
			continue;
		facts->ipv6 |= c->addr.sa.sa_family == AF_INET6;
		facts->ipv4 |= c->addr.sa.sa_family == AF_INET;
	}
}
