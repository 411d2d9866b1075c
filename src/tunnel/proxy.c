#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/network.h"
#include "rendezvous/contact.h"
#include "session/cert.h"
#include "tunnel/doubles.h"
#include "tunnel/proxy_internal.h"
#include "tunnel/run.h"
#include "tunnel/stream.h"

#define ALPN "mpcproxy/1"

/* How often a proxy that drains looks whether it is done. */
#define DRAIN_STEP_MS 10

/* --- rendezvous --- */

bool
proxy_any_online(const struct proxy *p)
{
	for (size_t i = 0; i < p->n_places; i++)
		if (place_online(p->places[i]))
			return true;
	return false;
}

static void
on_place_state(void *arg, bool online)
{
	struct proxy *p = arg;
	bool before = p->online;

	p->online = proxy_any_online(p);
	if (!online && before == p->online)
		return;
	for (size_t i = 0; i < p->session->n_parties; i++)
		if (p->peers[i] != NULL)
			link_rendezvous(peer_link(p->peers[i]), p->online);
}

static void
on_place_message(void *arg, size_t index, const uint8_t *sealed, size_t len)
{
	struct proxy *p = arg;

	if (index == p->self)
		doubles_receive(p->doubles, sealed, len);
	else if (p->peers[index] != NULL)
		link_sealed(peer_link(p->peers[index]), sealed, len);
}

static const struct place_callbacks place_callbacks = {
    .state = on_place_state,
    .message = on_place_message,
};

static void
on_send(void *arg, const struct pubkey *to, const uint8_t *sealed, size_t len)
{
	struct proxy *p = arg;

	for (size_t i = 0; i < p->n_places; i++)
		place_send(p->places[i], to, sealed, len);
}

struct place *
proxy_open_place(struct proxy *p, const struct url *url, struct err *err)
{
	return place_open(p->base, p->session, p->local, p->identity, url,
			  &place_callbacks, p, err);
}

static int
open_places(struct proxy *p, struct err *err)
{
	for (size_t i = 0; i < p->session->n_rendezvous; i++) {
		p->places[i] = proxy_open_place(p, &p->session->rendezvous[i], err);
		if (p->places[i] == NULL)
			return -1;
		p->n_places++;
	}
	return 0;
}

/* --- peers --- */

static void
on_silent(void *arg)
{
	struct proxy *p = arg;

	for (size_t i = 0; i < p->n_places; i++)
		place_probe(p->places[i]);
}

static void
on_changed(void *arg)
{
	struct proxy *p = arg;

	runs_changed(p->runs);
	p->cb.changed(p->arg);
}

/* A peer takes us for a second copy. It may be right; it may know the wrong one of two
 * that were started together; it may lie. */
static void
on_refused(void *arg)
{
	struct proxy *p = arg;

	doubles_ask(p->doubles);
}

static void
on_roster(void *arg, struct session *s)
{
	struct proxy *p = arg;

	if (p->cb.roster != NULL)
		p->cb.roster(p->arg, s);
	else
		session_free(s);
}

static const struct peer_callbacks peer_callbacks = {
    .roster = on_roster,
    .send = on_send,
    .silent = on_silent,
    .changed = on_changed,
    .refused = on_refused,
};

struct peer *
proxy_make_peer(struct proxy *p, size_t self, size_t index, struct err *err)
{
	struct link_config cfg = {
	    .base = p->base,
	    .path_ctx = p->path_ctx,
	    .client_ctx = p->client_ctx,
	    .server_ctx = p->server_ctx,
	    .session = p->session,
	    .local = p->local,
	    .identity = p->identity,
	    .us = &p->us,
	    .self = self,
	    .peer = index,
	    .runs = p->runs,
	};

	return peer_new(&cfg, &peer_callbacks, p, err);
}

static int
make_peers(struct proxy *p, struct err *err)
{
	for (size_t i = 0; i < p->session->n_parties; i++) {
		if (i == p->self)
			continue;
		p->peers[i] = proxy_make_peer(p, p->self, i, err);
		if (p->peers[i] == NULL)
			return -1;
	}
	runs_set_peers(p->runs, p->peers, p->session->n_parties);
	return 0;
}

/* --- a second process of our party --- */

static void
on_twin_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct proxy *p = arg;

	on_send(p, &p->us.key, sealed, len);
}

static size_t
on_twin_refusals(void *arg)
{
	struct proxy *p = arg;
	struct link_info info;
	size_t n = 0;

	for (size_t i = 0; i < p->session->n_parties; i++) {
		if (p->peers[i] == NULL)
			continue;
		link_get_info(peer_link(p->peers[i]), &info);
		n += info.refused;
	}
	return n;
}

static void
on_twin_lost(void *arg)
{
	struct proxy *p = arg;
	char why[200];

	snprintf(why, sizeof why,
		 "another mpcproxy runs as %s of session %s, with the same identity; end "
		 "that one first",
		 p->session->parties[p->self].name, p->session->name);
	log_error("%s", why);
	p->cb.fatal(p->arg, why);
}

static void
on_twin_alone(void *arg)
{
	struct proxy *p = arg;

	log_warn("no other mpcproxy with our identity answers at the rendezvous: going "
		 "on, and asking those who refuse us again; if one runs as %s of session "
		 "%s somewhere else, end it",
		 p->session->parties[p->self].name, p->session->name);
}

static const struct twin_callbacks twin_callbacks = {
    .send = on_twin_send,
    .refusals = on_twin_refusals,
    .lost = on_twin_lost,
    .alone = on_twin_alone,
};

static int
watch_doubles(struct proxy *p, struct err *err)
{
	struct twin_config cfg = {
	    .self = p->identity,
	    .session_name = p->session->name,
	    .roster_digest = p->session->roster_digest,
	    .incarnation = p->incarnation,
	    .started_ns = p->started_ns,
	};

	if (RAND_bytes(p->incarnation, sizeof p->incarnation) != 1)
		return err_ssl(err, "no random numbers");
	p->doubles = doubles_new(p->base, &cfg, &twin_callbacks, p, err);
	return p->doubles == NULL ? -1 : 0;
}

/* --- the network --- */

static void
on_network_changed(struct proxy *p)
{
	for (size_t i = 0; i < p->n_places; i++)
		place_network_changed(p->places[i]);
	for (size_t i = 0; i < p->session->n_parties; i++)
		if (p->peers[i] != NULL)
			link_network_changed(peer_link(p->peers[i]));
}

static void
on_addresses(void *arg)
{
	log_info("the addresses of this machine have changed");
	on_network_changed(arg);
}

static void
on_routes(void *arg)
{
	log_info("the routes of this machine have changed");
	on_network_changed(arg);
}

static const struct network_callbacks network_callbacks = {on_addresses, on_routes};

/* Without it, silence tells of changes, only later. */
static void
watch_network(struct proxy *p)
{
	struct err err;

	p->network = network_new(p->base, &network_callbacks, p, &err);
	if (p->network == NULL)
		log_warn("%s", err.text);
}

/* --- local programs --- */

/* The index of the party that ${req} is for, and what is meant there. -1: nobody. */
static int
find_target(const struct proxy *p, const struct header_request *req, struct target *t)
{
	char party[SESSION_NAME_MAX + 1];
	int index;

	memset(t, 0, sizeof *t);
	t->port = req->port;
	if (target_take_name(party, sizeof party, t, req->host) != 0)
		return -1;
	index = session_find_name(p->session, party);
	return index >= 0 && p->peers[index] != NULL && req->port != 0 ? index : -1;
}

static enum header_reply
on_socks_request(void *arg, int fd, const struct header_request *req)
{
	static const struct stream_caller caller = {.socks = true};
	struct proxy *p = arg;
	struct target t;
	int index;
	char host[96];

	/* That one names the client's own address. */
	if (req->udp)
		return associate(p->associations, fd, req);
	index = find_target(p, req, &t);

	if (index < 0) {
		if (log_gate_pass(&p->socks_gate, (long long)clock_now_ns(), NULL))
			log_info("a SOCKS5 client asked for %s, which is no party: refused",
				 log_clean(host, sizeof host, req->host,
					   strlen(req->host)));
		return REPLY_NOT_ALLOWED;
	}
	peer_open_port(p->peers[index], fd, &t, &caller);
	return REPLY_SUCCEEDED;
}

static struct peer *
on_datagram_request(void *arg, const struct header_request *req, struct target *t)
{
	struct proxy *p = arg;
	int index = find_target(p, req, t);

	return index < 0 ? NULL : p->peers[index];
}

static const struct associate_callbacks associate_callbacks = {
    .find = on_datagram_request,
};

static const struct socks_callbacks socks_callbacks = {.request = on_socks_request};

/* While our program is isolated, no other is. */
static void
refuse_outside(int fd)
{
	const struct linger now = {.l_onoff = 1};

	log_warn("a program outside of the isolated one wants to be MPyC's: refused");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

static void
on_accepted(void *arg, const struct port *port, int fd)
{
	struct proxy *p = arg;
	int index;

	if (port->kind == PORT_SOCKS) {
		socks_accept(p->socks, fd);
		return;
	}
	index = session_find_key(p->session, &port->party);
	if (index < 0 || p->peers[index] == NULL)
		close(fd);
	else if (port->kind == PORT_MPYC && runs_gate(p->runs) != NULL)
		refuse_outside(fd);
	else if (port->kind == PORT_MPYC)
		peer_open_mpyc(p->peers[index], fd);
	else
		peer_open_port(p->peers[index], fd, &port->target, NULL);
}

int
proxy_prepare_ports(struct proxy *p, size_t self, struct err *err)
{
	size_t n;
	struct port *want = ports_wanted(p->session, p->local, self, &n);
	int r;

	if (want == NULL)
		return err_set(err, "out of memory");
	r = ports_prepare(p->ports, want, n, p->session, err);
	free(want);
	return r;
}

/* --- life --- */

static int
make_contexts(struct proxy *p, struct err *err)
{
	p->client_ctx = cert_ssl_ctx(p->identity, false, ALPN, err);
	p->server_ctx = cert_ssl_ctx(p->identity, true, ALPN, err);
	if (p->client_ctx == NULL || p->server_ctx == NULL)
		return -1;
	p->path_ctx = path_context_new(p->base, err);
	if (p->path_ctx == NULL)
		return -1;
	path_context_set(p->path_ctx, p->session, p->local);
	return 0;
}

int
proxy_serve_mailbox(struct proxy *p, struct mailbox **mailbox, struct err *err)
{
	char text[ADDR_TEXT_BYTES];

	*mailbox = NULL;
	if (p->local->listen.sa.sa_family == AF_UNSPEC)
		return 0;
	*mailbox = mailbox_new(p->base, &p->local->listen, p->identity, NULL, err);
	if (*mailbox == NULL)
		return -1;
	log_info("listen=%s serving the rendezvous",
		 addr_format(&p->local->listen, text));
	return 0;
}

static void on_drain(evutil_socket_t fd, short what, void *arg);

struct proxy *
proxy_new(struct event_base *base, struct session *s, struct local *l,
	  const struct identity *id, const struct proxy_callbacks *cb, void *arg,
	  struct err *err)
{
	struct proxy *p = calloc(1, sizeof *p);
	int self = session_find_key(s, identity_pubkey(id));

	if (p == NULL || self < 0) {
		err_set(err, p == NULL ? "out of memory"
				       : "our identity is not in the session's roster");
		free(p);
		return NULL;
	}
	p->base = base;
	p->session = s;
	p->local = l;
	p->identity = id;
	p->cb = *cb;
	p->arg = arg;
	p->self = (size_t)self;
	p->us = s->parties[self];
	p->started_ns = clock_now_ns();
	p->peers = calloc(s->n_parties, sizeof(struct peer *));
	p->places = calloc(s->n_rendezvous + 1, sizeof *p->places);
	p->socks = socks_new(base, l, &socks_callbacks, p);
	p->associations = associations_new(base, l, &associate_callbacks, p);
	p->ports = ports_new(base, &l->users, on_accepted, p);
	p->drain = evtimer_new(base, on_drain, p);
	if (p->peers == NULL || p->places == NULL || p->socks == NULL ||
	    p->ports == NULL || p->associations == NULL || p->drain == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	if ((p->runs = runs_new(base, err)) == NULL)
		goto err1;
	if (proxy_prepare_ports(p, p->self, err) != 0 || make_contexts(p, err) != 0 ||
	    make_peers(p, err) != 0 || watch_doubles(p, err) != 0 ||
	    proxy_serve_mailbox(p, &p->mailbox, err) != 0 ||
	    open_places(p, err) != 0)
		goto err1;
	ports_commit(p->ports);
	watch_network(p);
	return p;

err1:
	proxy_free(p);
	return NULL;
}

void
proxy_free(struct proxy *p)
{
	if (p == NULL)
		return;
	network_free(p->network);
	ports_free(p->ports);
	socks_free(p->socks);
	associations_free(p->associations);
	if (p->runs != NULL)
		runs_close(p->runs);
	for (size_t i = 0; p->peers != NULL && i < p->session->n_parties; i++)
		peer_free(p->peers[i]);
	runs_free(p->runs);
	for (size_t i = 0; i < p->n_places; i++)
		place_close(p->places[i]);
	doubles_free(p->doubles);
	mailbox_free(p->mailbox);
	if (p->path_ctx != NULL)
		path_context_free(p->path_ctx);
	SSL_CTX_free(p->client_ctx);
	SSL_CTX_free(p->server_ctx);
	if (p->drain != NULL)
		event_free(p->drain);
	for (size_t i = 0; i < p->n_retired; i++) {
		session_free(p->retired[i].session);
		local_free(p->retired[i].local);
	}
	free(p->places);
	free(p->peers);
	free(p);
}

static bool
all_idle(const struct proxy *p)
{
	for (size_t i = 0; i < p->session->n_parties; i++)
		if (p->peers[i] != NULL && !peer_is_idle(p->peers[i]))
			return false;
	return true;
}

static void
on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct proxy *p = arg;
	struct timeval tv = {.tv_usec = DRAIN_STEP_MS * 1000};

	(void)fd;
	(void)what;
	if (all_idle(p) || clock_now_ns() >= p->drain_until_ns)
		p->cb.drained(p->arg);
	else
		event_add(p->drain, &tv);
}

void
proxy_drain(struct proxy *p, uint64_t limit_ns)
{
	p->drain_until_ns = clock_now_ns() + limit_ns;
	p->draining = true;
	ports_free(p->ports);
	p->ports = NULL;
	runs_close(p->runs);
	for (size_t i = 0; i < p->session->n_parties; i++)
		if (p->peers[i] != NULL)
			peer_stop_accepting(p->peers[i]);
	event_active(p->drain, EV_TIMEOUT, 0);
}

void
proxy_get_status(const struct proxy *p, struct proxy_status *out)
{
	struct link_info info;

	memset(out, 0, sizeof *out);
	out->session = p->session->name;
	out->party = p->session->parties[p->self].name;
	out->index = p->self;
	out->n_parties = p->session->n_parties;
	out->base_port = p->local->base_port;
	out->started_ns = p->started_ns;
	out->rendezvous_online = proxy_any_online(p);
	out->n_rendezvous = p->n_places;
	for (size_t i = 0; i < p->session->n_parties; i++) {
		if (p->peers[i] == NULL)
			continue;
		link_get_info(peer_link(p->peers[i]), &info);
		out->n_connected += info.up;
	}
}

int
proxy_get_place_status(const struct proxy *p, size_t i, struct place_status *out)
{
	if (i >= p->n_places)
		return -1;
	place_get_status(p->places[i], out);
	return 0;
}

/* Of several places, the one that knows most. */
static enum presence
presence(const struct proxy *p, size_t index)
{
	enum presence known = PRESENCE_UNKNOWN;

	for (size_t i = 0; i < p->n_places; i++) {
		enum presence says =
		    place_presence(p->places[i], &p->session->parties[index].key);

		known = says > known ? says : known;
	}
	return known;
}

int
proxy_get_peer_status(const struct proxy *p, size_t index, struct peer_status *out)
{
	if (index >= p->session->n_parties || p->peers[index] == NULL)
		return -1;
	peer_status(p->peers[index], out);
	out->presence = presence(p, index);
	return 0;
}

struct run *
proxy_run(struct proxy *p, const uint8_t *offer, size_t len,
	  const struct run_callbacks *cb, void *arg, struct err *err)
{
	return runs_begin(p->runs, offer, len, cb, arg, err);
}

int
proxy_set_gate(struct proxy *p, int fd, struct err *err)
{
	return runs_set_gate(p->runs, fd, err);
}

bool
proxy_mpyc_is_over(const struct proxy *p)
{
	for (size_t i = 0; i < p->session->n_parties; i++)
		if (p->peers[i] != NULL && peer_mpyc_is_live(p->peers[i]))
			return false;
	return true;
}
