#include <stdio.h>
#include <string.h>

#include "tunnel/changes.h"

#define PATHS       " (paths from now on)"
#define CONNECTIONS " (connections to parties from now on)"

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool
same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return endpoint_equal(a, b) && a->everyone == b->everyone;
}

static bool
same_expose(const struct local *a, const struct local *b)
{
	if (a->n_expose != b->n_expose)
		return false;
	for (size_t i = 0; i < a->n_expose; i++) {
		const struct expose *x = &a->expose[i], *y = &b->expose[i];

		if (!target_equal(&x->first, &y->first) || x->last != y->last ||
		    x->udp != y->udp || x->for_all != y->for_all || x->party != y->party)
			return false;
	}
	return true;
}

static bool
same_forwards(const struct local *a, const struct local *b)
{
	if (a->n_forward != b->n_forward)
		return false;
	for (size_t i = 0; i < a->n_forward; i++) {
		const struct forward *x = &a->forward[i], *y = &b->forward[i];

		if (!same_endpoint(&x->at, &y->at) || x->party != y->party ||
		    !target_equal(&x->target, &y->target))
			return false;
	}
	return true;
}

static bool
same_socks(const struct local *a, const struct local *b)
{
	return same_endpoint(&a->socks5, &b->socks5) &&
	       same_text(a->socks5_user, b->socks5_user) &&
	       same_text(a->socks5_password, b->socks5_password);
}

static bool
same_users(const struct local *a, const struct local *b)
{
	return a->users.n == b->users.n &&
	       memcmp(a->users.uid, b->users.uid, a->users.n * sizeof *a->users.uid) == 0;
}

static bool
same_limits(const struct local *a, const struct local *b)
{
	if (a->n_limit != b->n_limit)
		return false;
	for (size_t i = 0; i < a->n_limit; i++) {
		const struct limit *x = &a->limit[i], *y = &b->limit[i];

		if (x->kind != y->kind || x->for_all != y->for_all ||
		    x->party != y->party || x->value != y->value)
			return false;
	}
	return true;
}

static bool
same_turn_login(const struct local *a, const struct local *b)
{
	return same_text(a->turn_user, b->turn_user) &&
	       same_text(a->turn_password, b->turn_password) &&
	       same_text(a->turn_secret, b->turn_secret);
}

bool
changes_of_logins(const struct local *was, const struct local *is)
{
	return memcmp(was->login, is->login, sizeof was->login) != 0 ||
	       !same_text(was->mqtt_ca, is->mqtt_ca);
}

struct list {
	char *out;
	size_t len;
};

static void
add(struct list *l, bool changed, const char *what)
{
	int n;

	if (!changed)
		return;
	n = snprintf(l->out + l->len, CHANGES_BYTES - l->len, "%s%s",
		     l->len == 0 ? "; changed: " : ", ", what);
	l->len +=
	    (size_t)n < CHANGES_BYTES - l->len ? (size_t)n : CHANGES_BYTES - l->len - 1;
}

void
changes_describe(const struct session *was, const struct session *is,
		 const struct local *local_was, const struct local *local_is,
		 char out[CHANGES_BYTES])
{
	const struct local *a = local_was, *b = local_is;
	struct list l = {out, 0};

	out[0] = '\0';
	add(&l,
	    !urls_equal(was->rendezvous, was->n_rendezvous, is->rendezvous,
			is->n_rendezvous),
	    "rendezvous");
	add(&l, !urls_equal(was->stun, was->n_stun, is->stun, is->n_stun), "stun" PATHS);
	add(&l, !urls_equal(was->turn, was->n_turn, is->turn, is->n_turn), "turn" PATHS);
	add(&l, a->base_port != b->base_port, "base-port");
	add(&l, !addr_equal(&a->listen, &b->listen), "listen");
	add(&l, !same_expose(a, b), "expose");
	add(&l, !same_forwards(a, b), "forward");
	add(&l, !same_socks(a, b), "socks5");
	add(&l, !same_users(a, b), "local-users");
	add(&l, !same_limits(a, b), "limits");
	add(&l, a->mpyc_guard != b->mpyc_guard, "mpyc-guard");
	add(&l, changes_of_logins(a, b), "mqtt");
	add(&l, !web_proxy_equal(a->proxy, b->proxy), "proxy" PATHS);
	add(&l, !same_turn_login(a, b), "turn login" PATHS);
	add(&l, !same_text(a->turn_ca, b->turn_ca), "turn-ca" PATHS);
	add(&l, a->upnp != b->upnp, "upnp" PATHS);
	add(&l, a->fast_path != b->fast_path, "fast-path" PATHS);
	add(&l, a->outage_limit_s != b->outage_limit_s, "outage-limit" CONNECTIONS);
}
