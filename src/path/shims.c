#include <stdlib.h>

#include "path/shims.h"
#include "session/web_tls.h"

struct shims_entry {
	struct shims_entry *next;
	const struct url *server; /* NULL: left behind */
	int family;
	struct shim *shim;
	SSL_CTX *tls;
};

static const struct http_proxy *
proxy_for(const struct url *server, const struct local *local)
{
	return local != NULL ? web_proxy_for(local->proxy, server->host) : NULL;
}

bool
shims_needed(const struct url *server, const struct local *local)
{
	return server->scheme == URL_TURNS ||
	       (server->tcp && proxy_for(server, local) != NULL);
}

static struct shim *
make(struct shims *s, struct event_base *base, int family, const struct url *server,
     const struct local *local, struct err *err)
{
	SSL_CTX *tls = NULL;

	if (server->scheme == URL_TURNS) {
		if (s->tls == NULL)
			s->tls =
			    web_tls_context(local != NULL ? local->turn_ca : NULL,
					    "turn-ca", err);
		if (s->tls == NULL)
			return NULL;
		tls = s->tls;
	}
	return shim_new(base, family, server, proxy_for(server, local), tls, err);
}

struct shim *
shims_get(struct shims *s, struct event_base *base, int family, const struct url *server,
	  const struct local *local, struct err *err)
{
	struct shims_entry *e;

	for (e = s->first; e != NULL; e = e->next)
		if (e->server == server && e->family == family)
			return e->shim;
	if (s->n == SHIMS_MAX) {
		err_set(err, "more than %d TURN servers", SESSION_SERVERS_MAX);
		return NULL;
	}
	e = calloc(1, sizeof *e);
	if (e == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	e->shim = make(s, base, family, server, local, err);
	if (e->shim == NULL) {
		free(e);
		return NULL;
	}
	e->server = server;
	e->family = family;
	e->tls = s->tls;
	if (e->tls != NULL)
		SSL_CTX_up_ref(e->tls);
	e->next = s->first;
	s->first = e;
	s->n++;
	return e->shim;
}

static void
drop(struct shims_entry **at)
{
	struct shims_entry *e = *at;

	*at = e->next;
	shim_free(e->shim);
	SSL_CTX_free(e->tls);
	free(e);
}

static void
drop_tls(struct shims *s)
{
	SSL_CTX_free(s->tls);
	s->tls = NULL;
}

void
shims_renew(struct shims *s)
{
	struct shims_entry **at = &s->first;

	while (*at != NULL) {
		/* One that was given out just now may be about to be used. */
		if ((*at)->server == NULL && shim_is_idle((*at)->shim)) {
			drop(at);
			continue;
		}
		(*at)->server = NULL;
		at = &(*at)->next;
	}
	s->n = 0;
	drop_tls(s);
}

void
shims_free(struct shims *s)
{
	while (s->first != NULL)
		drop(&s->first);
	s->n = 0;
	drop_tls(s);
}
