#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/candidate.h"
#include "path/carrier.h"
#include "path/context.h"
#include "path/ice.h"

#define UFRAG_MIN 4 /* RFC 8839, 5.4 */
#define PWD_MIN   22

struct path {
	struct path_context *ctx;
	struct path_callbacks cb;
	void *arg;
	enum path_policy policy;
	struct ice *ice;
	const struct carrier *carrier;
	struct event *timer;
	bool *freed; /* set by path_free() for who called back */

	/* What has been shown to the other side. */
	struct candidate local[PATH_CANDIDATES_MAX];
	size_t n_local;
	bool local_last;
	uint64_t gather_by_ns;

	/* What the other side has shown. */
	char ufrag[257], pwd[257];
	char seen[PATH_CANDIDATES_MAX][PATH_CANDIDATE_MAX];
	size_t n_seen;
	size_t n_remote; /* of these usable */
	bool remote_relayed;
	bool remote_last;

	uint64_t answer_by_ns;  /* libnice has failed: the other side may save it until then */
	uint64_t connect_by_ns; /* then it has failed in any case */
	uint64_t exchanged_ns;  /* when the latest bundle came or went */
	bool ready, failed, blocked;
	struct path_info info;
};

static size_t
agent_send(void *self, const uint8_t *data, size_t len, size_t segment)
{
	return ice_send(self, data, len, segment);
}

static const struct carrier agent_carrier = {"agent", agent_send};

static void
set_timer(struct path *p)
{
	uint64_t when_ns = CLOCK_NEVER;
	struct timeval tv;

	if (!p->failed) {
		when_ns = MIN(p->gather_by_ns, p->answer_by_ns);
		when_ns = MIN(when_ns, p->connect_by_ns);
	}
	if (when_ns == CLOCK_NEVER) {
		event_del(p->timer);
		return;
	}
	clock_until(&tv, when_ns, clock_now_ns());
	event_add(p->timer, &tv);
}

/* The last thing its callers do: the path may be freed in the callback. */
static void
fail(struct path *p, const char *why)
{
	if (p->failed)
		return;
	p->failed = true;
	p->ready = false;
	set_timer(p);
	p->cb.failed(p->arg, why);
}

static bool
is_shown(const struct path *p, const struct candidate *c)
{
	size_t i;

	for (i = 0; i < p->n_local; i++)
		if (addr_equal(&p->local[i].addr, &c->addr) && p->local[i].type == c->type)
			return true;
	return false;
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
	n = ice_local(p->ice, now, 2 * PATH_CANDIDATES_MAX);
	for (i = 0; i < n && p->n_local < PATH_CANDIDATES_MAX; i++) {
		/* libnice keeps the sockets of a forced relay in its list. */
		if ((p->policy == PATH_RELAY && now[i].type != PATH_RELAYED) ||
		    is_shown(p, &now[i]))
			continue;
		p->local[p->n_local++] = now[i];
		candidate_format(&now[i], bundle->candidate[bundle->n++]);
	}
}

/* The last thing its callers do, or they look at ${freed}. */
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
	p->exchanged_ns = clock_now_ns();
	if (last) {
		p->local_last = true;
		p->gather_by_ns = CLOCK_NEVER;
		set_timer(p);
	}
	if (last && p->n_local == 0)
		fail(p, p->policy == PATH_RELAY
			    ? "no TURN server gave a relayed address: is it up, and are "
			      "turn-user and turn-password right?"
			    : "no local candidate");
	else
		p->cb.bundle(p->arg, &bundle);
	explicit_bzero(bundle.pwd, sizeof bundle.pwd);
}

static bool
has_relayed(const struct path *p)
{
	size_t i;

	for (i = 0; i < p->n_local; i++)
		if (p->local[i].type == PATH_RELAYED)
			return true;
	return p->remote_relayed;
}

static void
fail_unconnected(struct path *p)
{
	char why[160];

	if (p->n_remote == 0)
		snprintf(why, sizeof why, "the other side offers no usable candidate");
	else
		snprintf(why, sizeof why,
			 "no pair of candidates works (%zu of ours, %zu of theirs%s)",
			 p->n_local, p->n_remote,
			 has_relayed(p) ? ""
					: ", none relayed: a TURN server would help");
	fail(p, why);
}

/*
 * libnice has given up. When the other side may still send checks, which revive ours,
 * that is not the end: it is likely to learn our candidates later than we think.
 */
static void
look_at_failure(struct path *p)
{
	if (p->ready || !p->local_last || !p->remote_last || !ice_failed(p->ice))
		p->answer_by_ns = CLOCK_NEVER;
	else
		p->answer_by_ns = p->exchanged_ns + p->ctx->times.answer_ms * NS_PER_MS;
	set_timer(p);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct path *p = arg;
	uint64_t now_ns = clock_now_ns();

	(void)fd;
	(void)what;
	if (now_ns >= p->gather_by_ns)
		send_bundle(p, true);
	else if (now_ns >= p->answer_by_ns || now_ns >= p->connect_by_ns)
		fail_unconnected(p);
	else
		set_timer(p);
}

static void
log_pair(const struct path_info *i)
{
	char local[ADDR_TEXT_BYTES], remote[ADDR_TEXT_BYTES];

	log_debug("local=%s/%s remote=%s/%s pair selected", addr_format(&i->local, local),
		  path_candidate_type_name(i->local_type), addr_format(&i->remote, remote),
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
	if (!ice_selected(p->ice, &p->info))
		return;
	log_pair(&p->info);
	p->ready = true;
	p->answer_by_ns = CLOCK_NEVER;
	p->connect_by_ns = CLOCK_NEVER;
	set_timer(p);
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
on_change(struct path *p, unsigned news)
{
	struct path_info info;

	/* After a pair was selected libnice fails only when its socket does. */
	if (p->ready && ((news & ICE_FAILED) || !ice_selected(p->ice, &info)))
		fail(p, "the selected pair's socket or relay is gone");
	else
		look_at_failure(p);
}

/* Each step may free the path, or fail it. */
static void
on_news(void *arg, unsigned news)
{
	struct path *p = arg;
	bool freed = false;

	if (p->failed)
		return;
	p->freed = &freed;
	if (news & (ICE_STARTED | ICE_GATHERED))
		send_bundle(p, (news & ICE_GATHERED) != 0);
	if (!freed && !p->failed && (news & ICE_SELECTED))
		on_selected(p);
	if (!freed && !p->failed && (news & (ICE_CHANGED | ICE_FAILED)))
		on_change(p, news);
	if (!freed && !p->failed && (news & (ICE_WRITABLE | ICE_SELECTED)))
		on_writable(p);
	if (!freed)
		p->freed = NULL;
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct path *p = arg;

	if (!p->failed)
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
	p->carrier = &agent_carrier;
	p->answer_by_ns = CLOCK_NEVER;
	p->connect_by_ns = CLOCK_NEVER;
	p->gather_by_ns = clock_now_ns() + ctx->times.gather_ms * NS_PER_MS;
	p->timer = evtimer_new(ctx->base, on_timer, p);
	if (p->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	p->ice = ice_new(ctx, cfg, &ice_cb, p, err);
	if (p->ice == NULL)
		goto err2;
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
	if (p->freed != NULL)
		*p->freed = true;
	ice_free(p->ice);
	event_free(p->timer);
	explicit_bzero(p->pwd, sizeof p->pwd);
	free(p);
}

static int
check_credentials(const struct path *p, const char *ufrag, const char *pwd,
		  struct err *err)
{
	if (!candidate_ice_chars(ufrag, UFRAG_MIN) || !candidate_ice_chars(pwd, PWD_MIN))
		return err_set(err, "malformed ICE credentials");
	if (p->ufrag[0] != '\0' &&
	    (strcmp(p->ufrag, ufrag) != 0 || strcmp(p->pwd, pwd) != 0))
		return err_set(err, "ICE credentials that differ from the first ones");
	return 0;
}

static bool
is_among(const char *line, const char (*lines)[PATH_CANDIDATE_MAX], size_t n)
{
	while (n > 0)
		if (strcmp(lines[--n], line) == 0)
			return true;
	return false;
}

/* A bundle while it is looked at: nothing of it counts until all of it is good. */
struct incoming {
	char line[PATH_CANDIDATES_MAX][PATH_CANDIDATE_MAX];
	size_t n;
	struct candidate usable[PATH_CANDIDATES_MAX];
	size_t n_usable;
	bool relayed;
};

static int
take_line(const struct path *p, struct incoming *in, const char *line, struct err *err)
{
	struct candidate c;
	int r = candidate_parse(&c, line, err);

	if (r < 0)
		return -1;
	if (is_among(line, p->seen, p->n_seen) || is_among(line, in->line, in->n))
		return 0;
	if (p->n_seen + in->n == PATH_CANDIDATES_MAX)
		return err_set(err, "more than %d candidates", PATH_CANDIDATES_MAX);
	strcpy(in->line[in->n++], line);
	if (r == 0 || (c.type == PATH_RELAYED && p->policy == PATH_DIRECT))
		return 0;
	in->relayed |= c.type == PATH_RELAYED;
	in->usable[in->n_usable++] = c;
	return 0;
}

static void
apply(struct path *p, const struct incoming *in)
{
	if (in->n > 0)
		memcpy(p->seen[p->n_seen], in->line, in->n * sizeof *in->line);
	p->n_seen += in->n;
	p->n_remote += in->n_usable;
	p->remote_relayed |= in->relayed;
	if (in->n_usable > 0)
		ice_remote_candidates(p->ice, in->usable, in->n_usable);
}

int
path_remote(struct path *p, const char *ufrag, const char *pwd,
	    const char *const *candidate, size_t n, bool last, struct err *err)
{
	struct incoming in;
	size_t i;

	in.n = in.n_usable = 0;
	in.relayed = false;
	if (p->failed)
		return err_set(err, "the path has failed");
	if (check_credentials(p, ufrag, pwd, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (take_line(p, &in, candidate[i], err) != 0)
			return -1;
	if (p->ufrag[0] == '\0') {
		strcpy(p->ufrag, ufrag);
		strcpy(p->pwd, pwd);
		ice_remote_credentials(p->ice, ufrag, pwd);
	} else if (in.n == 0 && (!last || p->remote_last)) {
		return 0;
	}
	apply(p, &in);
	p->exchanged_ns = clock_now_ns();
	if (last && !p->remote_last) {
		p->remote_last = true;
		ice_remote_done(p->ice);
		if (!p->ready)
			p->connect_by_ns = p->exchanged_ns +
					   p->ctx->times.connect_ms * NS_PER_MS;
	}
	look_at_failure(p);
	return 0;
}

size_t
path_send(struct path *p, const uint8_t *data, size_t len, size_t segment)
{
	size_t taken = 0;

	if (p->ready)
		taken = p->carrier->send(p->ice, data, len, segment);
	if (taken < len)
		p->blocked = true;
	return taken;
}

void
path_get_info(const struct path *p, struct path_info *info)
{
	*info = p->info;
	info->ready = p->ready;
	info->carrier = p->carrier->name;
}
