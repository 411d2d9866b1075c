#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "tunnel/attempt.h"
#include "tunnel/turn.h"

struct attempt {
	struct attempt_callbacks cb;
	void *arg;
	struct path *path;
	uint32_t generation;
	uint64_t started_ns;
	bool ready;
	bool failed;
	bool direct_only;
	struct signal_facts theirs;
	bool peer_concluded;
};

static void
own_facts(const struct attempt *a, struct signal_facts *out)
{
	struct path_facts f;

	path_get_facts(a->path, &f);
	memset(out, 0, sizeof *out);
	out->told = true;
	if (f.udp != PROBE_UNKNOWN)
		out->udp = f.udp == PROBE_YES ? SIGNAL_UDP_WORKS : SIGNAL_UDP_BLOCKED;
	switch (f.mapping) {
	case PROBE_MAPPING_UNKNOWN:
		break;
	case PROBE_MAPPING_NONE:
		out->mapping = SIGNAL_MAPPING_NONE;
		break;
	case PROBE_MAPPING_INDEPENDENT:
		out->mapping = SIGNAL_MAPPING_INDEPENDENT;
		break;
	case PROBE_MAPPING_DEPENDENT:
		out->mapping = SIGNAL_MAPPING_DEPENDENT;
		break;
	}
	out->ipv4 = f.ipv4;
	out->ipv6 = f.ipv6;
	out->reflexive = f.reflexive;
	out->relayed = f.relayed;
	out->turn_servers = (uint8_t)f.turn_servers;
}

static void
on_bundle(void *arg, const struct path_bundle *b)
{
	struct attempt *a = arg;
	struct signal_candidates m = {.generation = a->generation,
				      .last = b->last,
				      .direct = a->direct_only};
	uint8_t body[CONTACT_BODY_MAX];
	int len;

	own_facts(a, &m.facts);
	snprintf(m.ufrag, sizeof m.ufrag, "%s", b->ufrag);
	snprintf(m.pwd, sizeof m.pwd, "%s", b->pwd);
	for (; m.n < b->n && m.n < SIGNAL_CANDIDATES_MAX; m.n++)
		snprintf(m.candidate[m.n], sizeof m.candidate[m.n], "%s",
			 b->candidate[m.n]);
	len = signal_encode_candidates(&m, body, sizeof body);
	if (len > 0)
		a->cb.signal(a->arg, a, body, (size_t)len);
}

static void
on_ready(void *arg)
{
	struct attempt *a = arg;
	bool first = !a->ready;

	a->ready = true;
	if (a->peer_concluded)
		path_take_over(a->path);
	if (first)
		a->cb.ready(a->arg, a);
}

static void
on_failed(void *arg, const char *why)
{
	struct attempt *a = arg;

	a->failed = true;
	a->cb.failed(a->arg, a, why);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct attempt *a = arg;

	a->cb.datagram(a->arg, a, data, len);
}

static void
on_writable(void *arg)
{
	struct attempt *a = arg;

	a->cb.writable(a->arg, a);
}

static void
on_alive(void *arg)
{
	struct attempt *a = arg;

	a->cb.alive(a->arg, a);
}

static void
on_probed(void *arg)
{
	struct attempt *a = arg;

	a->cb.probed(a->arg, a);
}

static const struct path_callbacks path_callbacks = {
    .bundle = on_bundle,
    .ready = on_ready,
    .failed = on_failed,
    .datagram = on_datagram,
    .writable = on_writable,
    .alive = on_alive,
    .probed = on_probed,
};

/* What the path may use besides the session's servers. */
static void
set_turn_credentials(const struct local *local, struct path_config *cfg,
		     char user[TURN_USER_BYTES], char password[TURN_PASSWORD_BYTES])
{
	cfg->turn_user = local->turn_user;
	cfg->turn_password = local->turn_password;
	if (local->turn_secret != NULL &&
	    turn_credentials(local->turn_secret, (int64_t)time(NULL), user, password) ==
		0) {
		cfg->turn_user = user;
		cfg->turn_password = password;
	}
}

static struct path *
make_path(struct attempt *a, const struct link_config *link,
	  const struct attempt_config *cfg, struct err *err)
{
	struct path_config path_cfg = {
	    .controlling = link->self < link->peer,
	    .policy = cfg->policy,
	    .session = link->session,
	    .patience_ns = cfg->patience_ns,
	};
	char user[TURN_USER_BYTES], password[TURN_PASSWORD_BYTES];
	struct path *p;

	set_turn_credentials(link->local, &path_cfg, user, password);
	p = path_new(link->path_ctx, &path_cfg, &path_callbacks, a, err);
	OPENSSL_cleanse(password, sizeof password);
	return p;
}

struct attempt *
attempt_new(const struct link_config *link, const struct attempt_config *cfg,
	    const struct attempt_callbacks *cb, void *arg, struct err *err)
{
	struct attempt *a = calloc(1, sizeof *a);

	if (a == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	a->cb = *cb;
	a->arg = arg;
	a->generation = cfg->generation;
	a->direct_only = cfg->policy == PATH_DIRECT;
	a->started_ns = clock_now_ns();
	a->path = make_path(a, link, cfg, err);
	if (a->path == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

void
attempt_free(struct attempt *a)
{
	if (a == NULL)
		return;
	path_free(a->path);
	free(a);
}

void
attempt_hand_over(struct attempt *a, const struct attempt_callbacks *cb, void *arg)
{
	a->cb = *cb;
	a->arg = arg;
}

int
attempt_remote(struct attempt *a, const struct signal_candidates *m, struct err *err)
{
	const char *line[SIGNAL_CANDIDATES_MAX];

	if (m->facts.told)
		a->theirs = m->facts;
	for (size_t i = 0; i < m->n; i++)
		line[i] = m->candidate[i];
	return path_remote(a->path, m->ufrag, m->pwd, line, m->n, m->last, err);
}

void
attempt_peer_concluded(struct attempt *a)
{
	a->peer_concluded = true;
	if (attempt_is_ready(a))
		path_take_over(a->path);
}

void
attempt_facts(const struct attempt *a, struct signal_facts *ours,
	      struct signal_facts *theirs)
{
	own_facts(a, ours);
	*theirs = a->theirs;
}

bool
attempt_is_behind_same_nat(const struct attempt *a)
{
	struct path_facts f;

	path_get_facts(a->path, &f);
	return f.same_nat;
}

void
attempt_renumber(struct attempt *a, uint32_t generation)
{
	a->generation = generation;
}

struct path *
attempt_path(const struct attempt *a)
{
	return a->path;
}

uint32_t
attempt_generation(const struct attempt *a)
{
	return a->generation;
}

uint64_t
attempt_started_ns(const struct attempt *a)
{
	return a->started_ns;
}

bool
attempt_is_ready(const struct attempt *a)
{
	return a->ready && !a->failed;
}

bool
attempt_has_failed(const struct attempt *a)
{
	return a->failed;
}

bool
attempt_is_relayed(const struct attempt *a)
{
	struct path_info info;

	if (!attempt_is_ready(a))
		return false;
	path_get_info(a->path, &info);
	return info.relayed;
}

bool
attempt_is_direct_only(const struct attempt *a)
{
	return a->direct_only;
}
