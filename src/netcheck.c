#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "netcheck.h"
#include "path/gateway.h"
#include "path/interfaces.h"
#include "path/portmap.h"
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
	struct portmap *portmap;
	struct mapping *mapping;
	bool mapping_answered;
	int mapped_fd; /* holds the port that is mapped */
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
	static const struct rendezvous_callbacks cb = {.state = on_state,
							    .message = on_message};
	struct question *q = new_question(n, "rendezvous", u);
	struct err err;

	q->rendezvous =
	    rendezvous_open(n->base, u, n->setup->local, n->setup->session->name, n->stranger, &cb, q, &err);
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
one_less(struct netcheck *n)
{
	if (--n->open == 0)
		event_base_loopbreak(n->base);
}

static void
on_probed(void *arg)
{
	one_less(arg);
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

/* --- UPnP --- */

static void
on_mapped(void *arg, const union addr *outside)
{
	struct netcheck *n = arg;

	if (outside != NULL) {
		n->report->upnp = NETCHECK_UPNP_YES;
		n->report->router_outside = *outside;
	}
	n->mapping_answered = true;
	one_less(n);
}

/* A UDP port at the address that leads to the router. */
static int
open_port(const union addr *router, union addr *inside)
{
	union addr to = *router;
	socklen_t len = sizeof *inside;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	addr_set_port(&to, 9);
	if (fd >= 0 && connect(fd, &to.sa, addr_len(&to)) == 0 &&
	    getsockname(fd, &inside->sa, &len) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
ask_router(struct netcheck *n, struct err *err)
{
	struct netcheck_report *r = n->report;
	union addr inside;

	if (!n->setup->local->upnp)
		return 0;
	r->upnp = NETCHECK_UPNP_NO;
	if (gateway_find(&r->router) != 0) {
		snprintf(r->upnp_why, sizeof r->upnp_why, "there is no default gateway");
		return 0;
	}
	n->mapped_fd = open_port(&r->router, &inside);
	if (n->mapped_fd < 0)
		return err_sys(err, "cannot open a UDP port");
	n->portmap = portmap_new(n->base, NULL, NULL, err);
	if (n->portmap == NULL)
		return -1;
	n->mapping = mapping_new(n->portmap, &inside, on_mapped, n);
	if (n->mapping == NULL)
		return err_set(err, "out of memory");
	n->open++;
	return 0;
}

static void
take_router(struct netcheck *n)
{
	struct netcheck_report *r = n->report;
	struct portmap_info info;

	if (n->portmap == NULL)
		return;
	portmap_get(n->portmap, &info);
	if (!n->mapping_answered)
		snprintf(info.why, sizeof info.why, "the router does not answer in time");
	if (r->upnp == NETCHECK_UPNP_YES &&
	    probe_contradicts(n->probe, &r->router_outside)) {
		r->upnp = NETCHECK_UPNP_NO;
		snprintf(info.why, sizeof info.why,
			 "the router gives an outside address at which no STUN server "
			 "sees us");
	}
	if (r->upnp == NETCHECK_UPNP_NO) {
		r->router_outside = info.outside;
		snprintf(r->upnp_why, sizeof r->upnp_why, "%s", info.why);
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
	/* Whatever else is outstanding. */
	event_base_loopbreak(n->base);
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
	mapping_free(n->mapping);
	portmap_free(n->portmap);
	if (n->mapped_fd >= 0)
		close(n->mapped_fd);
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
	n->mapped_fd = -1;
	report->session = s->name;
	report->party = s->parties[setup->index].name;
	take_interfaces(report);
	if (prepare(n, err) != 0)
		goto out;
	if (ask_router(n, err) != 0)
		goto out;
	n->open++;
	n->probe = probe_new(n->base, s, true, on_probed, n, err);
	if (n->probe == NULL)
		goto out;
	for (size_t i = 0; i < s->n_rendezvous; i++)
		ask_rendezvous(n, &s->rendezvous[i]);
	for (size_t i = 0; i < s->n_turn; i++)
		ask_turn(n, &s->turn[i]);
	event_base_dispatch(n->base);
	take_probe(n);
	take_router(n);
	r = 0;
out:
	clean_up(n);
	return r;
}
