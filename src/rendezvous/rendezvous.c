#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/backend.h"
#include "rendezvous/rendezvous.h"

#define WHY_BYTES 200

struct rendezvous {
	const struct backend *backend;
	void *impl;
	struct rendezvous_callbacks cb;
	void *arg;
	bool online;
	char why[WHY_BYTES];
};

static const struct backend *
backend_for(enum url_scheme scheme, struct err *err)
{
	switch (scheme) {
	case URL_TLS:
		return &tls_backend;
	case URL_DIR:
		return &dir_backend;
	case URL_MQTT:
	case URL_MQTTS:
		err_set(err, "this build has no MQTT: use a tls:// or dir: rendezvous");
		return NULL;
	default:
		err_set(err, "this URL does not name a rendezvous");
		return NULL;
	}
}

struct rendezvous *
rendezvous_open(struct event_base *base, const struct url *url,
		const struct http_proxy *proxy, const char *session_name,
		const struct identity *self, const struct rendezvous_callbacks *cb,
		void *arg, struct err *err)
{
	const struct backend *backend = backend_for(url->scheme, err);
	struct rendezvous *r;

	if (backend == NULL)
		return NULL;
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		err_sys(err, "cannot open the rendezvous");
		return NULL;
	}
	r->backend = backend;
	r->cb = *cb;
	r->arg = arg;
	snprintf(r->why, sizeof r->why, "connecting");
	r->impl = backend->open(r, base, url, proxy, session_name, self, err);
	if (r->impl == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void
rendezvous_close(struct rendezvous *r)
{
	if (r == NULL)
		return;
	r->backend->close(r->impl);
	free(r);
}

int
rendezvous_send(struct rendezvous *r, const struct pubkey *to, const uint8_t *msg,
		size_t len)
{
	if (!r->online || len == 0 || len > RENDEZVOUS_MESSAGE_MAX)
		return -1;
	return r->backend->send(r->impl, to, msg, len);
}

void
rendezvous_network_changed(struct rendezvous *r)
{
	if (r->backend->network_changed != NULL)
		r->backend->network_changed(r->impl);
}

bool
rendezvous_online(const struct rendezvous *r)
{
	return r->online;
}

const char *
rendezvous_why(const struct rendezvous *r)
{
	return r->why;
}

void
backend_online(struct rendezvous *r)
{
	if (r->online)
		return;
	r->online = true;
	r->why[0] = '\0';
	r->cb.state(r->arg, true, NULL);
}

void
backend_offline(struct rendezvous *r, const char *why)
{
	char cut[WHY_BYTES];

	snprintf(cut, sizeof cut, "%s", why);
	if (!r->online && strcmp(r->why, cut) == 0)
		return;
	r->online = false;
	memcpy(r->why, cut, sizeof cut);
	/* The owner may close ${r} inside: the text it reads is our copy. */
	r->cb.state(r->arg, false, cut);
}

void
backend_message(struct rendezvous *r, const uint8_t *sealed, size_t len)
{
	r->cb.message(r->arg, sealed, len);
}
