#ifndef MPCPROXY_RENDEZVOUS_BACKEND_H
#define MPCPROXY_RENDEZVOUS_BACKEND_H

#include "rendezvous/rendezvous.h"

/*
 * What a kind of rendezvous implements. A backend reports through the two functions
 * at the end, from the event loop only; the owner may close the rendezvous inside
 * either, so a backend touches nothing of its own after calling one.
 */
struct backend {
	/* Start, return at once. ${r} outlives the result. */
	void *(*open)(struct rendezvous *r, struct event_base *base,
		      const struct url *url, const struct local *local,
		      const char *session_name, const struct identity *self,
		      struct err *err);
	/* May be called from within a report. */
	void (*close)(void *impl);
	/* The machine's addresses have changed. NULL when that does not matter. */
	void (*network_changed)(void *impl);
	/* As rendezvous_probe(). NULL when there is no connection that could die. */
	void (*probe)(void *impl);
	int (*send)(void *impl, const struct pubkey *to, const uint8_t *msg, size_t len);
	/* NULL: the place cannot tell. */
	int (*follow)(void *impl, const struct pubkey *key);
};

extern const struct backend tls_backend;  /* tls://HOST:PORT#KEY */
extern const struct backend dir_backend;  /* dir:PATH */
extern const struct backend mqtt_backend; /* mqtts://, mqtt:// */

void backend_online(struct rendezvous *r);
void backend_offline(struct rendezvous *r, const char *why);
void backend_message(struct rendezvous *r, const uint8_t *sealed, size_t len);
void backend_presence(struct rendezvous *r, const struct pubkey *key, bool present);
/* Something that ${r} survives, for rendezvous_health.last_error. */
void backend_trouble(struct rendezvous *r, const char *what);
/* How the place is spoken to, for rendezvous_health.how. */
void backend_says_how(struct rendezvous *r, const char *how);

#endif
