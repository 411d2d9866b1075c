#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "tunnel/changes.h"
#include "tunnel/proxy_internal.h"
#include "tunnel/run.h"

/*
 * A new configuration for a running proxy. Everything points to the session and the local
 * settings that the proxy was made with, so those two objects stay where they are and
 * exchange their contents with the new ones. First the exchange, then everything that can
 * fail, for the new contents and beside what is there; then either all of it takes effect,
 * or it is dropped and the contents are exchanged back. The event loop does not run in
 * between.
 */
struct reload {
	struct proxy *proxy;
	struct session *old; /* after the exchange: what was */
	struct local *old_local;
	size_t self;         /* our new index */
	struct peer **peers; /* by new index: those that stay, and new ones */
	struct place **places;
	struct mailbox *mailbox;
	bool moves_mailbox;
	size_t n_added, n_removed, n_restarted;
	char changes[CHANGES_BYTES];
};

static bool
has_peer(struct peer **peers, size_t n, const struct peer *peer)
{
	for (size_t i = 0; i < n; i++)
		if (peers[i] == peer)
			return true;
	return false;
}

static bool
has_place(struct place **places, size_t n, const struct place *place)
{
	for (size_t i = 0; i < n; i++)
		if (places[i] == place)
			return true;
	return false;
}

static bool
same_lists(const struct session *a, const struct session *b)
{
	return urls_equal(a->rendezvous, a->n_rendezvous, b->rendezvous,
			    b->n_rendezvous) &&
	       urls_equal(a->stun, a->n_stun, b->stun, b->n_stun) &&
	       urls_equal(a->turn, a->n_turn, b->turn, b->n_turn);
}

static void
exchange(struct proxy *p, struct session *s, struct local *l)
{
	struct session session = *p->session;
	struct local local = *p->local;

	*p->session = *s;
	*s = session;
	*p->local = *l;
	*l = local;
}

/* Paths, lookups and rendezvous under way may point to a server's URL: a list that says
 * the same as before stays itself. */
static void
keep_servers(struct url **now, size_t n_now, struct url **old, size_t n_old)
{
	struct url *kept = *old;

	if (!urls_equal(*now, n_now, kept, n_old))
		return;
	*old = *now;
	*now = kept;
}

static void
keep_lists(struct session *now, struct session *old, struct local *local,
	   struct local *old_local)
{
	struct web_proxy *kept = old_local->proxy;

	keep_servers(&now->rendezvous, now->n_rendezvous, &old->rendezvous,
		     old->n_rendezvous);
	keep_servers(&now->stun, now->n_stun, &old->stun, old->n_stun);
	keep_servers(&now->turn, now->n_turn, &old->turn, old->n_turn);
	if (web_proxy_equal(local->proxy, old_local->proxy)) {
		old_local->proxy = local->proxy;
		local->proxy = kept;
	}
}

/* What a running proxy cannot become. */
static int
check(const struct proxy *p, const struct session *s, const struct local *l, size_t *self,
      struct err *err)
{
	int index = session_find_key(s, identity_pubkey(p->identity));

	if (p->draining)
		return err_set(err, "this proxy is shutting down");
	if (strcmp(s->name, p->session->name) != 0)
		return err_set(err,
			       "the session's name has changed from %s to %s: that is "
			       "another session, start mpcproxy again for it",
			       p->session->name, s->name);
	if (index < 0)
		return err_set(err,
			       "this party, %s, is not in it any more: end mpcproxy, or "
			       "list its key again",
			       p->us.name);
	if (strcmp(s->parties[index].name, p->us.name) != 0)
		return err_set(err,
			       "this party's name has changed from %s to %s: start "
			       "mpcproxy again",
			       p->us.name, s->parties[index].name);
	if (p->n_retired == PROXY_RETIRED_MAX &&
	    !(same_lists(p->session, s) && web_proxy_equal(p->local->proxy, l->proxy)))
		return err_set(err,
			       "the servers have changed %d times while this proxy ran: "
			       "start mpcproxy again",
			       PROXY_RETIRED_MAX);
	*self = (size_t)index;
	return 0;
}

/* --- what can fail --- */

/* A party that has its key, and is on the same side of us as before, keeps everything it
 * has: who is QUIC client depends on nothing else. */
static int
prepare_peers(struct reload *r, struct err *err)
{
	struct proxy *p = r->proxy;

	for (size_t i = 0; i < p->session->n_parties; i++) {
		int before = session_find_key(r->old, &p->session->parties[i].key);

		if (i == r->self)
			continue;
		if (before >= 0 && ((size_t)before < p->self) == (i < r->self)) {
			r->peers[i] = p->peers[before];
			continue;
		}
		r->peers[i] = proxy_make_peer(p, r->self, i, err);
		if (r->peers[i] == NULL)
			return -1;
		if (before >= 0)
			r->n_restarted++;
		else
			r->n_added++;
	}
	return 0;
}

static int
prepare_places(struct reload *r, struct err *err)
{
	struct proxy *p = r->proxy;
	bool same = web_proxy_equal(p->local->proxy, r->old_local->proxy);
	bool same_login = !changes_of_logins(p->local, r->old_local);

	for (size_t i = 0; i < p->session->n_rendezvous; i++) {
		const struct url *url = &p->session->rendezvous[i];
		bool mqtt = url->scheme == URL_MQTT || url->scheme == URL_MQTTS;

		for (size_t j = 0; same && (same_login || !mqtt) && j < p->n_places; j++)
			if (url_equal(url, &r->old->rendezvous[j]) &&
			    !has_place(r->places, i, p->places[j]))
				r->places[i] = p->places[j];
		if (r->places[i] == NULL)
			r->places[i] = proxy_open_place(p, url, err);
		if (r->places[i] == NULL)
			return -1;
	}
	return 0;
}

static int
prepare_mailbox(struct reload *r, struct err *err)
{
	struct proxy *p = r->proxy;

	r->moves_mailbox = !addr_equal(&p->local->listen, &r->old_local->listen);
	return r->moves_mailbox ? proxy_serve_mailbox(p, &r->mailbox, err) : 0;
}

/* Undo what was prepared. */
static void
give_up(struct reload *r)
{
	struct proxy *p = r->proxy;

	for (size_t i = 0; r->peers != NULL && i < p->session->n_parties; i++)
		if (!has_peer(p->peers, r->old->n_parties, r->peers[i]))
			peer_free(r->peers[i]);
	for (size_t i = 0; r->places != NULL && i < p->session->n_rendezvous; i++)
		if (!has_place(p->places, p->n_places, r->places[i]))
			place_close(r->places[i]);
	mailbox_free(r->mailbox);
	free(r->peers);
	free(r->places);
}

static int
prepare(struct reload *r, struct err *err)
{
	struct proxy *p = r->proxy;

	r->peers = calloc(p->session->n_parties, sizeof(struct peer *));
	r->places = calloc(p->session->n_rendezvous + 1, sizeof(struct place *));
	if (r->peers == NULL || r->places == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	if (proxy_prepare_ports(p, r->self, err) != 0)
		goto err1;
	if (prepare_peers(r, err) != 0 || prepare_mailbox(r, err) != 0 ||
	    prepare_places(r, err) != 0)
		goto err2;
	return 0;

err2:
	ports_abort(p->ports);
err1:
	give_up(r);
	return -1;
}

/* --- what cannot --- */

static void
commit_peers(struct reload *r, bool was_online)
{
	struct proxy *p = r->proxy;
	const struct session *s = p->session;
	struct peer **old = p->peers;
	size_t n_old = r->old->n_parties;
	bool online = proxy_any_online(p);

	p->self = r->self;
	p->us = s->parties[r->self];
	p->peers = r->peers;
	runs_set_peers(p->runs, p->peers, s->n_parties);
	p->online = online;
	for (size_t i = 0; i < n_old; i++) {
		if (old[i] == NULL || has_peer(p->peers, s->n_parties, old[i]))
			continue;
		if (session_find_key(s, &r->old->parties[i].key) < 0) {
			log_warn("peer=%s is not in session.ini any more: its "
				 "connections are closed",
				 peer_name(old[i]));
			r->n_removed++;
		} else {
			log_warn("peer=%s has changed places with us in session.ini: "
				 "its connections are closed",
				 peer_name(old[i]));
		}
		if (session_find_key(s, &r->old->parties[i].key) < 0)
			peer_dismiss(old[i]);
		peer_free(old[i]);
	}
	for (size_t i = 0; i < s->n_parties; i++) {
		if (p->peers[i] == NULL)
			continue;
		if (has_peer(old, n_old, p->peers[i])) {
			peer_update(p->peers[i], r->self, i, &s->parties[i]);
			if (online != was_online)
				link_rendezvous(peer_link(p->peers[i]), online);
			continue;
		}
		log_info("peer=%s is new in session.ini", peer_name(p->peers[i]));
		link_rendezvous(peer_link(p->peers[i]), online);
	}
	free(old);
}

static void
commit_places(struct reload *r)
{
	struct proxy *p = r->proxy;
	struct place **old = p->places;
	size_t n_old = p->n_places;

	p->places = r->places;
	p->n_places = p->session->n_rendezvous;
	for (size_t i = 0; i < n_old; i++)
		if (!has_place(p->places, p->n_places, old[i]))
			place_close(old[i]);
	for (size_t i = 0; i < p->n_places; i++)
		place_follow(p->places[i]);
	free(old);
}

static void
retire(struct reload *r)
{
	struct proxy *p = r->proxy;
	bool same = same_lists(p->session, r->old) && web_proxy_equal(p->local->proxy, r->old_local->proxy);

	keep_lists(p->session, r->old, p->local, r->old_local);
	if (same) {
		session_free(r->old);
		local_free(r->old_local);
		return;
	}
	/* Of the old session nobody holds but servers. */
	free(r->old->parties);
	r->old->parties = NULL;
	r->old->n_parties = 0;
	p->retired[p->n_retired++] = (struct retired){r->old, r->old_local};
}

static void
commit(struct reload *r)
{
	struct proxy *p = r->proxy;
	bool before = proxy_any_online(p);

	ports_commit(p->ports);
	if (r->moves_mailbox) {
		mailbox_free(p->mailbox);
		p->mailbox = r->mailbox;
	}
	path_context_set(p->path_ctx, p->session, p->local);
	commit_places(r);
	commit_peers(r, before);
	changes_describe(r->old, p->session, r->old_local, p->local, r->changes);
	retire(r);
	p->cb.changed(p->arg);
}

int
proxy_reload(struct proxy *p, struct session *s, struct local *l,
	     char summary[ERR_TEXT_BYTES], struct err *err)
{
	struct reload r = {.proxy = p, .old = s, .old_local = l};

	if (check(p, s, l, &r.self, err) != 0)
		goto err1;
	exchange(p, s, l);
	if (prepare(&r, err) != 0)
		goto err2;
	commit(&r);
	snprintf(summary, ERR_TEXT_BYTES,
		 "%zu parties: %zu added, %zu removed, %zu restarted, the others are as "
		 "they were%s",
		 p->session->n_parties, r.n_added, r.n_removed, r.n_restarted, r.changes);
	return 0;

err2:
	exchange(p, s, l);
err1:
	session_free(s);
	local_free(l);
	return -1;
}
