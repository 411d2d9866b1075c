#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rendezvous/backend.h"
#include "rendezvous/rendezvous.h"

struct rendezvous {
	const struct backend *backend;
	void *impl;
	struct rendezvous_callbacks cb;
	void *arg;
	bool online;
	char why[RENDEZVOUS_WHY_BYTES];
	char last_error[RENDEZVOUS_WHY_BYTES];
	char how[32];
	uint64_t since_ns;
	uint64_t sent, received, not_sent;
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
#ifdef HAVE_MOSQUITTO
		return &mqtt_backend;
#else
		err_set(err, "this mpcproxy was built without MQTT: build it where "
			     "libmosquitto-dev is installed, or use a tls:// or dir: "
			     "rendezvous");
		return NULL;
#endif
	default:
		err_set(err, "this URL does not name a rendezvous");
		return NULL;
	}
}

int
rendezvous_check(const struct url *url, struct err *err)
{
	return backend_for(url->scheme, err) != NULL ? 0 : -1;
}

struct rendezvous *
rendezvous_open(struct event_base *base, const struct url *url,
		const struct local *local, const char *session_name,
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
	r->since_ns = clock_now_ns();
	snprintf(r->why, sizeof r->why, "connecting");
	r->impl = backend->open(r, base, url, local, session_name, self, err);
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
	if (!r->online || len == 0 || len > RENDEZVOUS_MESSAGE_MAX ||
	    r->backend->send(r->impl, to, msg, len) != 0) {
		r->not_sent++;
		return -1;
	}
	r->sent++;
	return 0;
}

void
rendezvous_network_changed(struct rendezvous *r)
{
	if (r->backend->network_changed != NULL)
		r->backend->network_changed(r->impl);
}

void
rendezvous_probe(struct rendezvous *r)
{
	if (r->backend->probe != NULL)
		r->backend->probe(r->impl);
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

int
rendezvous_follow(struct rendezvous *r, const struct pubkey *key)
{
	return r->backend->follow != NULL ? r->backend->follow(r->impl, key) : -1;
}

void
rendezvous_get_health(const struct rendezvous *r, struct rendezvous_health *out)
{
	*out = (struct rendezvous_health){
	    .online = r->online,
	    .since_ns = r->since_ns,
	    .why = r->why,
	    .last_error = r->last_error,
	    .how = r->how,
	    .sent = r->sent,
	    .received = r->received,
	    .not_sent = r->not_sent,
	};
}

void
backend_online(struct rendezvous *r)
{
	if (r->online)
		return;
	r->online = true;
	r->since_ns = clock_now_ns();
	r->why[0] = '\0';
	r->cb.state(r->arg, true, NULL);
}

void
backend_offline(struct rendezvous *r, const char *why)
{
	char cut[RENDEZVOUS_WHY_BYTES];

	snprintf(cut, sizeof cut, "%s", why);
	if (!r->online && strcmp(r->why, cut) == 0)
		return;
	if (r->online)
		r->since_ns = clock_now_ns();
	r->online = false;
	memcpy(r->why, cut, sizeof cut);
	memcpy(r->last_error, cut, sizeof cut);
	/* The owner may close ${r} inside: the text it reads is our copy. */
	r->cb.state(r->arg, false, cut);
}

void
backend_message(struct rendezvous *r, const uint8_t *sealed, size_t len)
{
	r->received++;
	r->cb.message(r->arg, sealed, len);
}

void
backend_presence(struct rendezvous *r, const struct pubkey *key, bool present)
{
	if (r->cb.presence != NULL)
		r->cb.presence(r->arg, key, present);
}

void
backend_trouble(struct rendezvous *r, const char *what)
{
	snprintf(r->last_error, sizeof r->last_error, "%s", what);
}

void
backend_says_how(struct rendezvous *r, const char *how)
{
	snprintf(r->how, sizeof r->how, "%s", how);
}
