#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/convert.h"
#include "path/servers.h"

/* libnice takes one STUN server for an agent: one that is known to answer. While none
 * is, each agent gets the next, so that a dead one does not cost every attempt its
 * server-reflexive candidates. */
static void
set_stun(struct servers *s, const struct session *session)
{
	char text[NICE_ADDRESS_STRING_LEN];
	const union addr *known;
	const struct url *u;
	NiceAddress address;

	path_context_probe(s->ctx);
	known = s->ctx->probe != NULL ? probe_best(s->ctx->probe) : NULL;
	if (known != NULL) {
		addr_to_nice(&address, known);
		nice_address_to_string(&address, text);
		s->any = true;
		g_object_set(s->agent, "stun-server", text, "stun-server-port",
			     (guint)addr_port(known), NULL);
		return;
	}
	if (session->n_stun == 0)
		return;
	u = &session->stun[s->ctx->next_stun++ % session->n_stun];
	s->any = true;
	g_object_set(s->agent, "stun-server", u->host, "stun-server-port", (guint)u->port,
		     NULL);
}

/* ${a} is that of ${u}, or of a shim for it. */
static void
add_turn(struct servers *s, const struct url *u, const union addr *a)
{
	NiceAddress address;
	char text[NICE_ADDRESS_STRING_LEN];

	addr_to_nice(&address, a);
	nice_address_to_string(&address, text);
	nice_agent_set_relay_info(s->agent, s->stream, s->component, text, addr_port(a),
				  s->user, s->password,
				  u->tcp ? NICE_RELAY_TYPE_TURN_TCP
					 : NICE_RELAY_TYPE_TURN_UDP);
}

static void
log_not_found(struct path_context *ctx, const struct url *u, const char *why)
{
	if (log_gate_pass(&ctx->lookup_gate, (long long)clock_now_ns(), NULL))
		log_warn("server=%s cannot be found: %s", u->host, why);
}

static void
on_looked_up(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct servers_lookup *l = arg;
	struct servers *s = l->servers;
	bool added = false;
	size_t i;

	l->resolve = NULL;
	s->looking_up--;
	for (i = 0; i < n; i++) {
		if (!(addrs[i].sa.sa_family == AF_INET6 ? s->ipv6 : s->ipv4))
			continue;
		add_turn(s, l->url, &addrs[i]);
		added = true;
	}
	if (n == 0)
		log_not_found(s->ctx, l->url, why);
	s->looked_up(s->arg, added);
}

static void
look_up(struct servers *s, const struct url *u)
{
	struct servers_lookup *l = &s->lookup[s->n_lookups];
	struct err err;

	l->servers = s;
	l->url = u;
	l->resolve = resolve_start(s->ctx->base, u->host, u->port, on_looked_up, l, &err);
	if (l->resolve == NULL) {
		log_not_found(s->ctx, u, err.text);
		return;
	}
	s->n_lookups++;
	s->looking_up++;
}

/* libnice skips servers of a family of which it has no host candidate. */
static void
add_shim(struct servers *s, const struct url *u)
{
	struct err err;
	struct shim *shim =
	    shims_get(&s->ctx->shims, s->ctx->base, s->ipv4 ? AF_INET : AF_INET6, u,
		      s->ctx->local, &err);

	if (shim != NULL)
		add_turn(s, u, shim_addr(shim));
	else if (log_gate_pass(&s->ctx->lookup_gate, (long long)clock_now_ns(), NULL))
		log_warn("server=%s the TURN server cannot be used: %s", u->host,
			 err.text);
}

static int
set_turn(struct servers *s, const struct path_config *cfg, struct err *err)
{
	const struct url *u;
	union addr a;
	size_t i;

	if (cfg->turn_user == NULL || cfg->turn_password == NULL)
		return 0;
	s->user = strdup(cfg->turn_user);
	s->password = strdup(cfg->turn_password);
	if (s->user == NULL || s->password == NULL)
		return err_set(err, "out of memory");
	for (i = 0; i < cfg->session->n_turn && i < SESSION_SERVERS_MAX; i++) {
		u = &cfg->session->turn[i];
		s->any = s->relays = true;
		if (shims_needed(u, s->ctx->local))
			add_shim(s, u);
		else if (addr_parse(&a, u->host, u->port) == 0)
			add_turn(s, u, &a);
		else
			look_up(s, u);
	}
	return 0;
}

int
servers_start(struct servers *s, const struct path_config *cfg, struct err *err)
{
	if (cfg->policy != PATH_RELAY)
		set_stun(s, cfg->session);
	if (cfg->policy != PATH_DIRECT && set_turn(s, cfg, err) != 0)
		return -1;
	if (cfg->policy == PATH_RELAY && !s->relays)
		return err_set(err,
			       "only relayed paths are allowed (path = relay), but no "
			       "TURN server can be used: set turn in session.ini, and "
			       "turn-user and turn-password in local.ini");
	return 0;
}

void
servers_stop(struct servers *s)
{
	size_t i;

	for (i = 0; i < s->n_lookups; i++)
		resolve_cancel(s->lookup[i].resolve);
	if (s->password != NULL)
		explicit_bzero(s->password, strlen(s->password));
	free(s->password);
	free(s->user);
}
