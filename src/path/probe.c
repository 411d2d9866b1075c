/* First: it makes struct in6_pktinfo and the like visible. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/resolve.h"
#include "base/timer.h"
#include "path/candidate.h"
#include "path/interfaces.h"
#include "path/probe.h"
#include "path/stun_query.h"

/* When to send a request again, from its first sending on, and when to give it up: RFC
 * 8489, 6.2.1 waits longer, for servers that this has no use for. */
static const unsigned resend_ms[] = {0, 200, 600, 1400};
#define SENDS_MAX  (sizeof resend_ms / sizeof *resend_ms)
#define GIVE_UP_MS 3000

/* Interface addresses that a mapped address is compared with. */
#define LOCALS_MAX 32

enum ask_kind {
	ASK_SERVER,
	ASK_MAPPING,     /* the server's other address: RFC 5780, 4.3, test II */
	ASK_FILTER_ALL,  /* an answer from another address: 4.4, test II */
	ASK_FILTER_PORT, /* and from another port: 4.4, test III */
	ASK_HAIRPIN,     /* ourselves: 4.5 */
};

/* One server in each family, and one of each other kind. */
#define ASKS_MAX (PROBE_SERVERS_MAX * PROBE_FAMILIES + 4)

enum sock { SOCK_IPV4 = PROBE_IPV4, SOCK_IPV6 = PROBE_IPV6, SOCK_SECOND, SOCKS };

struct ask {
	enum ask_kind kind;
	enum sock sock;
	size_t server;
	union addr to;
	enum stun_change change;
	uint8_t id[STUN_QUERY_ID];
	size_t sends;
	uint64_t started_ns, sent_ns;
	bool over, answered;
	union addr mapped;
};

struct lookup {
	struct probe *probe;
	size_t server;
	struct resolve *resolve;
};

struct probe {
	struct event_base *base;
	probe_done *done;
	void *arg;
	uint64_t started_ns;
	struct probe_server server[PROBE_SERVERS_MAX];
	struct lookup lookup[PROBE_SERVERS_MAX];
	size_t n_servers, looking_up;
	int fd[SOCKS];
	struct event *readable[SOCKS];
	struct event *timer;
	struct ask ask[ASKS_MAX];
	size_t n_asks;
	union addr local[LOCALS_MAX];
	size_t n_local;
	bool thorough, over, tests_begun;
};

static enum probe_family
family_of(const union addr *a)
{
	return a->sa.sa_family == AF_INET6 ? PROBE_IPV6 : PROBE_IPV4;
}

static bool
same_host(const union addr *a, const union addr *b)
{
	union addr x = *a, y = *b;

	addr_set_port(&x, 0);
	addr_set_port(&y, 0);
	return addr_equal(&x, &y);
}

static bool
is_local(const struct probe *p, const union addr *a)
{
	for (size_t i = 0; i < p->n_local; i++)
		if (same_host(&p->local[i], a))
			return true;
	return addr_is_loopback(a);
}

/* --- asking --- */

/* The end of one way to a server; the last one's reason stays. */
static void
server_failed(struct probe *p, size_t i, const char *why)
{
	struct probe_server *s = &p->server[i];

	if (s->state == PROBE_ANSWERED)
		return;
	for (size_t k = 0; k < p->n_asks; k++)
		if (p->ask[k].kind == ASK_SERVER && p->ask[k].server == i &&
		    !p->ask[k].over)
			return;
	s->state = PROBE_FAILED;
	snprintf(s->why, sizeof s->why, "%s", why);
}

static void
ask_failed(struct probe *p, struct ask *a, const char *why)
{
	a->over = true;
	if (a->kind == ASK_SERVER)
		server_failed(p, a->server, why);
}

static void
transmit(struct probe *p, struct ask *a, uint64_t now_ns)
{
	uint8_t query[STUN_QUERY_MAX];
	size_t len = stun_query(query, a->id, a->change);
	char why[128];
	ssize_t n;

	n = sendto(p->fd[a->sock], query, len, 0, &a->to.sa, addr_len(&a->to));
	if (n < 0 && errno == ECONNREFUSED) /* an earlier one's, reported here */
		n = sendto(p->fd[a->sock], query, len, 0, &a->to.sa, addr_len(&a->to));
	if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
		snprintf(why, sizeof why, "cannot send: %s", strerror(errno));
		ask_failed(p, a, why);
		return;
	}
	a->sent_ns = now_ns;
	a->sends++;
}

static void
advance(struct probe *p)
{
	uint64_t now_ns = clock_now_ns(), next_ns = CLOCK_NEVER, due_ns;

	for (size_t i = 0; i < p->n_asks; i++) {
		struct ask *a = &p->ask[i];

		if (a->over)
			continue;
		if (now_ns >= a->started_ns + GIVE_UP_MS * NS_PER_MS) {
			ask_failed(p, a, "timed out: no answer within 3 s");
			continue;
		}
		if (a->sends < SENDS_MAX &&
		    now_ns >= a->started_ns + resend_ms[a->sends] * NS_PER_MS)
			transmit(p, a, now_ns);
		if (a->over)
			continue;
		due_ns =
		    a->started_ns +
		    (a->sends < SENDS_MAX ? resend_ms[a->sends] : GIVE_UP_MS) * NS_PER_MS;
		next_ns = clock_earlier(next_ns, due_ns);
	}
	if (next_ns != CLOCK_NEVER) {
		timer_at(p->timer, next_ns);
	} else if (p->looking_up == 0 && !p->over) {
		p->over = true;
		p->done(p->arg);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	advance(arg);
}

static struct ask *
add_ask(struct probe *p, enum ask_kind kind, enum sock sock, size_t server,
	const union addr *to)
{
	struct ask *a;

	if (p->n_asks == ASKS_MAX || p->fd[sock] < 0)
		return NULL;
	a = &p->ask[p->n_asks];
	memset(a, 0, sizeof *a);
	if (RAND_bytes(a->id, sizeof a->id) != 1)
		return NULL;
	a->kind = kind;
	a->sock = sock;
	a->server = server;
	a->to = *to;
	a->started_ns = clock_now_ns();
	p->n_asks++;
	return a;
}

/* --- what a server with two addresses can tell (RFC 5780, 4) --- */

static void
begin_tests(struct probe *p, const struct ask *first, const union addr *other)
{
	union addr to = *other;
	struct ask *a;

	if (p->tests_begun || first->sock != SOCK_IPV4 ||
	    other->sa.sa_family != AF_INET || same_host(other, &first->to) ||
	    addr_is_loopback(other) != addr_is_loopback(&first->to))
		return;
	p->tests_begun = true;
	addr_set_port(&to, addr_port(&first->to));
	add_ask(p, ASK_MAPPING, SOCK_IPV4, first->server, &to);
	if (!p->thorough)
		return;
	a = add_ask(p, ASK_FILTER_ALL, SOCK_SECOND, first->server, &first->to);
	if (a != NULL)
		a->change = STUN_CHANGE_IP_AND_PORT;
	a = add_ask(p, ASK_FILTER_PORT, SOCK_SECOND, first->server, &first->to);
	if (a != NULL)
		a->change = STUN_CHANGE_PORT;
}

static void
begin_hairpin(struct probe *p, const struct ask *first)
{
	if (!p->thorough || first->sock != SOCK_IPV4 || is_local(p, &first->mapped))
		return;
	for (size_t i = 0; i < p->n_asks; i++)
		if (p->ask[i].kind == ASK_HAIRPIN)
			return;
	add_ask(p, ASK_HAIRPIN, SOCK_SECOND, first->server, &first->mapped);
}

static void
server_answered(struct probe *p, struct ask *a, const union addr *other)
{
	struct probe_server *s = &p->server[a->server];
	enum probe_family f = family_of(&a->to);

	if (s->state != PROBE_ANSWERED)
		s->rtt_ns = clock_now_ns() - a->sent_ns;
	s->state = PROBE_ANSWERED;
	s->answered[f] = true;
	s->mapped[f] = a->mapped;
	begin_tests(p, a, other);
	begin_hairpin(p, a);
}

/* --- what cannot be true --- */

static bool
has_loopback_only(const struct probe *p)
{
	return p->n_local > 0 && addr_is_loopback(&p->local[0]);
}

/* Whether ${server} may be right in saying that others see us at ${mapped}. One that is
 * in a private network itself may see us at an address of that. */
static bool
can_be_ours(const struct probe *p, const union addr *mapped, const union addr *server)
{
	if (!candidate_addr_usable(mapped) || addr_port(mapped) == 0)
		return false;
	if (addr_is_loopback(mapped))
		return addr_is_loopback(server) || has_loopback_only(p);
	return addr_is_public(mapped) || is_local(p, mapped) || !addr_is_public(server);
}

bool
probe_plausible(const struct probe *p, const union addr *mapped)
{
	enum probe_family f = family_of(mapped);
	bool any = false;

	for (size_t i = 0; i < p->n_servers; i++) {
		if (p->server[i].addr[f].sa.sa_family == AF_UNSPEC)
			continue;
		if (can_be_ours(p, mapped, &p->server[i].addr[f]))
			return true;
		any = true;
	}
	return !any;
}

static void
server_lies(struct probe *p, struct ask *a, const union addr *mapped)
{
	char text[ADDR_TEXT_BYTES], why[96];

	if (a->kind == ASK_SERVER)
		p->server[a->server].lies = true;
	snprintf(why, sizeof why, "it says that we are at %s, which cannot be",
		 addr_format(mapped, text));
	ask_failed(p, a, why);
}

/* --- receiving --- */

static struct ask *
find_ask(struct probe *p, enum sock sock, const uint8_t *id)
{
	for (size_t i = 0; i < p->n_asks; i++)
		if (p->ask[i].sock == sock && !p->ask[i].over &&
		    memcmp(p->ask[i].id, id, STUN_QUERY_ID) == 0)
			return &p->ask[i];
	return NULL;
}

/* Who answers has seen the random id; where from says something in the filter tests
 * only. */
static void
take_reply(struct probe *p, enum sock sock, const uint8_t *data, size_t len,
	   const union addr *from)
{
	struct stun_reply r;
	struct ask *a;
	char why[64];

	if (stun_reply_parse(&r, data, len) != 0 || (a = find_ask(p, sock, r.id)) == NULL)
		return;
	if (a->kind == ASK_FILTER_ALL
		? same_host(from, &a->to)
		: a->kind != ASK_FILTER_PORT && !addr_equal(from, &a->to))
		return;
	if (!r.success) {
		snprintf(why, sizeof why, "it answers with error %u", r.error);
		ask_failed(p, a, why);
		return;
	}
	if (r.mapped.sa.sa_family != a->to.sa.sa_family) {
		ask_failed(p, a, "its answer makes no sense");
		return;
	}
	if (!can_be_ours(p, &r.mapped, &a->to)) {
		server_lies(p, a, &r.mapped);
		return;
	}
	a->over = a->answered = true;
	a->mapped = r.mapped;
	if (a->kind == ASK_SERVER)
		server_answered(p, a, &r.other);
}

/* Our own request, back through the NAT. */
static void
take_hairpin(struct probe *p, enum sock sock, const uint8_t *data, size_t len)
{
	uint8_t query[STUN_QUERY_MAX];

	for (size_t i = 0; i < p->n_asks; i++) {
		struct ask *a = &p->ask[i];

		if (a->kind == ASK_HAIRPIN && sock == SOCK_IPV4 &&
		    len == stun_query(query, a->id, a->change) &&
		    memcmp(data, query, len) == 0)
			a->over = a->answered = true;
	}
}

/* ICMP says that nobody listens there, or that there is no way. */
static void
take_error(struct probe *p, enum sock sock)
{
	char control[512], why[128];
	union addr to = {0};
	struct msghdr m = {.msg_name = &to,
			   .msg_namelen = sizeof to,
			   .msg_control = control,
			   .msg_controllen = sizeof control};
	struct sock_extended_err e;
	struct cmsghdr *c;

	if (recvmsg(p->fd[sock], &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
		    !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&e, CMSG_DATA(c), sizeof e);
		for (size_t i = 0; i < p->n_asks; i++) {
			struct ask *a = &p->ask[i];

			if (a->over || a->sock != sock || !addr_equal(&a->to, &to))
				continue;
			snprintf(why, sizeof why, "%s", strerror((int)e.ee_errno));
			ask_failed(p, a, why);
		}
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	uint8_t data[STUN_REPLY_MAX + 1];
	enum sock sock = SOCK_IPV4;
	union addr from = {0};
	socklen_t len = sizeof from;
	ssize_t n;

	(void)what;
	while (p->fd[sock] != fd)
		sock++;
	n = recvfrom(fd, data, sizeof data, MSG_DONTWAIT, &from.sa, &len);
	if (n >= 0) {
		take_reply(p, sock, data, (size_t)n, &from);
		take_hairpin(p, sock, data, (size_t)n);
	}
	take_error(p, sock);
	if (!p->over)
		advance(p);
}

/* --- life --- */

static void
on_looked_up(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct lookup *l = arg;
	struct probe *p = l->probe;
	struct probe_server *s = &p->server[l->server];
	char text[160];

	l->resolve = NULL;
	p->looking_up--;
	s->found = n > 0;
	/* The first of each family. */
	for (size_t i = 0; i < n; i++) {
		enum probe_family f = family_of(&addrs[i]);

		if (s->addr[f].sa.sa_family != AF_UNSPEC ||
		    add_ask(p, ASK_SERVER, (enum sock)f, l->server, &addrs[i]) == NULL)
			continue;
		s->addr[f] = addrs[i];
	}
	if (n == 0) {
		snprintf(text, sizeof text, "name not found: %s", why);
		server_failed(p, l->server, text);
	} else if (s->addr[0].sa.sa_family == AF_UNSPEC &&
		   s->addr[1].sa.sa_family == AF_UNSPEC) {
		server_failed(p, l->server, "no socket of its address family");
	}
	advance(p);
}

static int
open_socket(struct probe *p, enum sock sock)
{
	int family = sock == SOCK_IPV6 ? AF_INET6 : AF_INET, on = 1;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union addr any = {.sa.sa_family = (sa_family_t)family};

	p->fd[sock] = fd;
	if (fd < 0) /* a kernel without IPv6 */
		return 0;
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
	} else {
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
	}
	if (bind(fd, &any.sa, addr_len(&any)) != 0) {
		close(fd);
		p->fd[sock] = -1;
		return 0;
	}
	p->readable[sock] = event_new(p->base, fd, EV_READ | EV_PERSIST, on_readable, p);
	if (p->readable[sock] == NULL)
		return -1;
	return event_add(p->readable[sock], NULL);
}

static void
add_servers(struct probe *p, const struct url *list, size_t n)
{
	struct err err;

	for (size_t i = 0; i < n && p->n_servers < PROBE_SERVERS_MAX; i++) {
		struct lookup *l = &p->lookup[p->n_servers];

		if (list[i].tcp)
			continue;
		l->probe = p;
		l->server = p->n_servers;
		p->server[p->n_servers++].url = &list[i];
		l->resolve = resolve_start(p->base, list[i].host, list[i].port,
					   on_looked_up, l, &err);
		if (l->resolve != NULL)
			p->looking_up++;
		else
			server_failed(p, l->server, err.text);
	}
}

struct probe *
probe_new(struct event_base *base, const struct session *s, bool thorough,
	  probe_done *done, void *arg, struct err *err)
{
	struct probe *p = calloc(1, sizeof *p);
	const struct timeval now = {0, 0};

	if (p == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	p->base = base;
	p->done = done;
	p->arg = arg;
	p->thorough = thorough;
	p->started_ns = clock_now_ns();
	for (enum sock i = 0; i < SOCKS; i++)
		p->fd[i] = -1;
	p->n_local = interfaces_addresses(p->local, LOCALS_MAX);
	p->timer = evtimer_new(base, on_timer, p);
	if (p->timer == NULL)
		goto fail;
	for (enum sock i = 0; i < SOCKS; i++)
		if (open_socket(p, i) != 0)
			goto fail;
	add_servers(p, s->stun, s->n_stun);
	add_servers(p, s->turn, s->n_turn);
	/* Also ends it when there is nobody to ask. */
	if (event_add(p->timer, &now) != 0)
		goto fail;
	return p;

fail:
	err_set(err, "out of memory");
	probe_free(p);
	return NULL;
}

void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n_servers; i++)
		resolve_cancel(p->lookup[i].resolve);
	for (enum sock i = 0; i < SOCKS; i++) {
		if (p->readable[i] != NULL)
			event_free(p->readable[i]);
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	}
	if (p->timer != NULL)
		event_free(p->timer);
	free(p);
}

/* How many servers see us at the host that server ${i} names. */
static size_t
agreeing(const struct probe *p, size_t i, enum probe_family f)
{
	size_t n = 0;

	for (size_t k = 0; k < p->n_servers; k++)
		n += p->server[k].answered[f] &&
		     same_host(&p->server[k].mapped[f], &p->server[i].mapped[f]);
	return n;
}

const union addr *
probe_best(const struct probe *p)
{
	const struct probe_server *best = NULL;
	size_t n, most = 0;

	for (enum probe_family f = PROBE_IPV4; f < PROBE_FAMILIES; f++) {
		for (size_t i = 0; i < p->n_servers; i++) {
			if (!p->server[i].answered[f])
				continue;
			n = agreeing(p, i, f);
			if (n < most ||
			    (n == most && p->server[i].rtt_ns >= best->rtt_ns))
				continue;
			best = &p->server[i];
			most = n;
		}
		if (best != NULL)
			return &best->addr[f];
	}
	return NULL;
}

bool
probe_contradicts(const struct probe *p, const union addr *outside)
{
	enum probe_family f = family_of(outside);
	bool any = false;

	for (size_t i = 0; i < p->n_servers; i++) {
		if (!p->server[i].answered[f])
			continue;
		if (same_host(&p->server[i].mapped[f], outside))
			return false;
		any = true;
	}
	return any;
}

uint64_t
probe_started_ns(const struct probe *p)
{
	return p->started_ns;
}

/* --- conclusions --- */

static bool
tells_mapping(const struct ask *a, enum probe_family f)
{
	return a->answered && (a->kind == ASK_SERVER || a->kind == ASK_MAPPING) &&
	       a->sock == (enum sock)f;
}

/* Two destinations see us at the same address and port, or not. */
static enum probe_mapping
judge_mapping(const struct probe *p, enum probe_family f)
{
	const struct ask *first = NULL;
	enum probe_mapping m = PROBE_MAPPING_UNKNOWN;

	for (size_t i = 0; i < p->n_asks; i++) {
		const struct ask *a = &p->ask[i];

		if (!tells_mapping(a, f))
			continue;
		if (first == NULL) {
			first = a;
			if (is_local(p, &a->mapped))
				m = PROBE_MAPPING_NONE;
		} else if (!addr_equal(&a->mapped, &first->mapped)) {
			return PROBE_MAPPING_DEPENDENT;
		} else if (m == PROBE_MAPPING_UNKNOWN && !same_host(&a->to, &first->to)) {
			m = PROBE_MAPPING_INDEPENDENT;
		}
	}
	return m;
}

static const struct ask *
find_kind(const struct probe *p, enum ask_kind kind)
{
	for (size_t i = 0; i < p->n_asks; i++)
		if (p->ask[i].kind == kind && p->ask[i].over)
			return &p->ask[i];
	return NULL;
}

static enum probe_filtering
judge_filtering(const struct probe *p)
{
	const struct ask *all = find_kind(p, ASK_FILTER_ALL);
	const struct ask *port = find_kind(p, ASK_FILTER_PORT);

	if (all == NULL || port == NULL)
		return PROBE_FILTERING_UNKNOWN;
	if (all->answered)
		return PROBE_FILTERING_INDEPENDENT;
	return port->answered ? PROBE_FILTERING_ADDRESS : PROBE_FILTERING_PORT;
}

void
probe_get(const struct probe *p, struct probe_result *out)
{
	const struct ask *hairpin = find_kind(p, ASK_HAIRPIN);
	bool asked = false, answered = false;

	memset(out, 0, sizeof *out);
	out->done = p->over;
	out->server = p->server;
	out->n_servers = p->n_servers;
	for (size_t i = 0; i < p->n_servers; i++) {
		const struct probe_server *s = &p->server[i];

		out->n_answered += s->state == PROBE_ANSWERED;
		out->n_failed += s->state == PROBE_FAILED;
		asked |= s->found;
		answered |= s->lies || s->state == PROBE_ANSWERED;
		for (enum probe_family f = 0; f < PROBE_FAMILIES; f++)
			if (s->answered[f] && out->mapped[f].sa.sa_family == AF_UNSPEC)
				out->mapped[f] = s->mapped[f];
	}
	if (answered)
		out->udp = PROBE_YES;
	else if (p->over && asked)
		out->udp = PROBE_NO;
	out->mapping = judge_mapping(p, PROBE_IPV4);
	if (out->mapped[PROBE_IPV4].sa.sa_family == AF_UNSPEC)
		out->mapping = judge_mapping(p, PROBE_IPV6);
	out->filtering = judge_filtering(p);
	if (hairpin != NULL)
		out->hairpin = hairpin->answered ? PROBE_YES : PROBE_NO;
}
