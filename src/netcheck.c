#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "netcheck.h"
#include "path/interfaces.h"
#include "path/shims.h"
#include "path/turn_check.h"
#include "rendezvous/rendezvous.h"
#include "tunnel/turn.h"

/* A rendezvous that has not been reached by then counts as out of reach. */
#define RENDEZVOUS_TIMEOUT_S 10

#define HOSTS_MAX 64

/* A question to one server, which ends it. */
struct question {
	struct netcheck *n;
	struct netcheck_server *server;
	struct rendezvous *rendezvous;
	struct turn_check *turn;
	uint64_t started_ns;
	bool over;
};

struct netcheck {
	const struct setup *setup;
	struct netcheck_report *report;
	struct event_base *base;
	struct event *timeout;
	struct identity *stranger;
	struct probe *probe;
	struct shims shims;
	char user[TURN_USER_BYTES], password[TURN_PASSWORD_BYTES];
	struct question question[NETCHECK_SERVERS_MAX];
	size_t n_questions, open;
};

static void
answer(struct question *q, uint64_t rtt_ns, const char *why)
{
	if (q->over)
		return;
	q->over = true;
	q->server->works = why == NULL;
	q->server->rtt_ns = rtt_ns;
	if (why != NULL)
		snprintf(q->server->why, sizeof q->server->why, "%s", why);
	if (--q->n->open == 0)
		event_base_loopbreak(q->n->base);
}

static struct question *
new_question(struct netcheck *n, const char *kind, const struct url *u)
{
	struct netcheck_server *server = &n->report->server[n->report->n_servers++];
	struct question *q = &n->question[n->n_questions++];

	server->kind = kind;
	server->asked = true;
	url_format_public(u, server->name, sizeof server->name);
	q->n = n;
	q->server = server;
	q->started_ns = clock_now_ns();
	n->open++;
	return q;
}

/* --- rendezvous --- */

static void
on_state(void *arg, bool online, const char *why)
{
	struct question *q = arg;

	answer(q, clock_now_ns() - q->started_ns, online ? NULL : why);
}

static void
on_message(void *arg, const uint8_t *sealed, size_t len)
{
	(void)arg;
	(void)sealed;
	(void)len;
}

/* As a stranger: a second connection of ours would take a running proxy's place. */
static void
ask_rendezvous(struct netcheck *n, const struct url *u)
{
	static const struct rendezvous_callbacks cb = {on_state, on_message};
	struct question *q = new_question(n, "rendezvous", u);
	struct err err;

	q->rendezvous =
	    rendezvous_open(n->base, u, web_proxy_for(n->setup->local->proxy, u->host),
			    n->setup->session->name, n->stranger, &cb, q, &err);
	if (q->rendezvous == NULL)
		answer(q, 0, err.text);
}

/* --- TURN --- */

static void
on_turn(void *arg, uint64_t rtt_ns, const char *why)
{
	answer(arg, rtt_ns, why);
}

static void
ask_turn(struct netcheck *n, const struct url *u)
{
	const struct local *local = n->setup->local;
	struct question *q = new_question(n, "turn", u);
	const char *user = n->user[0] != '\0' ? n->user : local->turn_user;
	const char *password = n->user[0] != '\0' ? n->password : local->turn_password;
	struct shim *shim = NULL;
	struct err err;

	q->server->over_tcp = u->tcp;
	if (user == NULL) {
		q->server->asked = false;
		answer(q, 0,
		       "not asked: there is no turn-user or turn-secret in "
		       "local.ini");
		return;
	}
	if (shims_needed(u, local)) {
		shim = shims_get(&n->shims, n->base, AF_INET, u, local, &err);
		if (shim == NULL) {
			answer(q, 0, err.text);
			return;
		}
	}
	q->turn = turn_check_new(n->base, u, shim, user, password, on_turn, q, &err);
	if (q->turn == NULL)
		answer(q, 0, err.text);
}

/* --- STUN --- */

static void
on_probed(void *arg)
{
	struct netcheck *n = arg;

	if (--n->open == 0)
		event_base_loopbreak(n->base);
}

static void
take_probe(struct netcheck *n)
{
	struct netcheck_report *report = n->report;
	struct probe_result r;

	probe_get(n->probe, &r);
	report->udp = r.udp;
	report->mapping = r.mapping;
	report->filtering = r.filtering;
	report->hairpin = r.hairpin;
	memcpy(report->public, r.mapped, sizeof report->public);
	for (size_t i = 0; i < r.n_servers; i++) {
		struct netcheck_server *s;

		if (r.server[i].url->scheme != URL_STUN)
			continue;
		s = &report->server[report->n_servers++];
		s->kind = "stun";
		s->asked = true;
		url_format_public(r.server[i].url, s->name, sizeof s->name);
		s->works = r.server[i].state == PROBE_ANSWERED;
		s->rtt_ns = r.server[i].rtt_ns;
		snprintf(s->why, sizeof s->why, "%s", r.server[i].why);
	}
}

/* --- all of it --- */

static void
take_interfaces(struct netcheck_report *report)
{
	union addr a[HOSTS_MAX];
	size_t n = interfaces_addresses(a, HOSTS_MAX);

	for (size_t i = 0; i < n; i++) {
		report->ipv4 |= a[i].sa.sa_family == AF_INET;
		report->ipv6 |= a[i].sa.sa_family == AF_INET6;
	}
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct netcheck *n = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < n->n_questions; i++)
		answer(&n->question[i], 0, "timed out");
}

static int
prepare(struct netcheck *n, struct err *err)
{
	const struct timeval limit = {.tv_sec = RENDEZVOUS_TIMEOUT_S};
	const char *secret = n->setup->local->turn_secret;

	signal(SIGPIPE, SIG_IGN);
	if (secret != NULL &&
	    turn_credentials(secret, (int64_t)time(NULL), n->user, n->password) != 0)
		return err_ssl(err, "turn-secret cannot be used");
	n->stranger = identity_ephemeral(err);
	if (n->stranger == NULL)
		return -1;
	n->base = event_base_new();
	if (n->base == NULL)
		return err_set(err, "cannot make an event loop");
	n->timeout = evtimer_new(n->base, on_timeout, n);
	if (n->timeout == NULL || event_add(n->timeout, &limit) != 0)
		return err_set(err, "out of memory");
	return 0;
}

static void
clean_up(struct netcheck *n)
{
	for (size_t i = 0; i < n->n_questions; i++) {
		rendezvous_close(n->question[i].rendezvous);
		turn_check_free(n->question[i].turn);
	}
	shims_free(&n->shims);
	probe_free(n->probe);
	if (n->timeout != NULL)
		event_free(n->timeout);
	if (n->base != NULL)
		event_base_free(n->base);
	identity_free(n->stranger);
	OPENSSL_cleanse(n->password, sizeof n->password);
	free(n);
}

int
netcheck_run(const struct setup *setup, struct netcheck_report *report, struct err *err)
{
	const struct session *s = setup->session;
	struct netcheck *n = calloc(1, sizeof *n);
	int r = -1;

	memset(report, 0, sizeof *report);
	if (n == NULL)
		return err_set(err, "out of memory");
	n->setup = setup;
	n->report = report;
	report->session = s->name;
	report->party = s->parties[setup->index].name;
	report->upnp = setup->local->upnp;
	take_interfaces(report);
	if (prepare(n, err) != 0)
		goto out;
	n->open = 1; /* the probe */
	n->probe = probe_new(n->base, s, on_probed, n, err);
	if (n->probe == NULL)
		goto out;
	for (size_t i = 0; i < s->n_rendezvous; i++)
		ask_rendezvous(n, &s->rendezvous[i]);
	for (size_t i = 0; i < s->n_turn; i++)
		ask_turn(n, &s->turn[i]);
	event_base_dispatch(n->base);
	take_probe(n);
	r = 0;
out:
	clean_up(n);
	return r;
}
