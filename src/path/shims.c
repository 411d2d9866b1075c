#include "path/shims.h"
#include "session/web_tls.h"

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
	struct shim *shim;

	for (size_t i = 0; i < s->n; i++)
		if (s->entry[i].server == server && s->entry[i].family == family)
			return s->entry[i].shim;
	if (s->n == SHIMS_MAX) {
		err_set(err, "more than %d TURN servers", SESSION_SERVERS_MAX);
		return NULL;
	}
	shim = make(s, base, family, server, local, err);
	if (shim == NULL)
		return NULL;
	s->entry[s->n].server = server;
	s->entry[s->n].family = family;
	s->entry[s->n++].shim = shim;
	return shim;
}

void
shims_free(struct shims *s)
{
	while (s->n > 0)
		shim_free(s->entry[--s->n].shim);
	SSL_CTX_free(s->tls);
	s->tls = NULL;
}
