#ifndef MPCPROXY_RENDEZVOUS_RENDEZVOUS_H
#define MPCPROXY_RENDEZVOUS_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"

/*
 * The place where parties leave each other sealed messages: publish to a party,
 * receive mine, connection state. It is trusted with nothing: it can drop, delay,
 * reorder and replay, and sees who talks to whom and when.
 */
struct rendezvous;

/* The largest sealed message (envelope.h builds none larger). */
#define RENDEZVOUS_MESSAGE_MAX 8192

struct rendezvous_callbacks {
	/* The place became reachable or unreachable; ${why} is for the log and
	 * status (NULL when online). Not called again for the same state, except
	 * that a new reason for being offline is reported. */
	void (*state)(void *arg, bool online, const char *why);
	/* A message for us, from anybody: nothing about it is verified. */
	void (*message)(void *arg, const uint8_t *sealed, size_t len);
	/* The place says that the owner of ${key} (rendezvous_follow()) has come or
	 * gone. Anybody may have made that up: it is for people to read. NULL: not
	 * wanted. */
	void (*presence)(void *arg, const struct pubkey *key, bool present);
};

/*
 * Connect to the place ${url} names and stay connected: with backoff, for ever, from
 * 200 ms to 15 s. Returns at once; a place that is down is no error. NULL only when
 * the URL's scheme is not built in or memory is short. ${local} has the HTTP proxy that
 * TCP connections go through, users and passwords, and CAs; NULL for none of all that.
 * It, ${self} and ${url} must outlive the result. Callbacks come from the event loop only, never from within a call.
 */
/* Whether this build can use ${url}; the message says what is missing. */
int rendezvous_check(const struct url *url, struct err *err);

struct rendezvous *rendezvous_open(struct event_base *base, const struct url *url,
				   const struct local *local,
				   const char *session_name, const struct identity *self,
				   const struct rendezvous_callbacks *cb, void *arg,
				   struct err *err);
void rendezvous_close(struct rendezvous *r);

/* Leave ${msg} for the party with key ${to}. Best effort: while the place is
 * unreachable the message is dropped (contact.h sends again). -1 when dropped. */
int rendezvous_send(struct rendezvous *r, const struct pubkey *to, const uint8_t *msg,
		    size_t len);

/* The machine's addresses have changed: reach the place anew, at once. Callbacks come
 * from within, and may close it. */
void rendezvous_network_changed(struct rendezvous *r);

/* A path was cut, and perhaps so was the way to the place: send something there, which
 * makes a NAT that has forgotten the connection pass messages for us again, or shows it to
 * be dead, and it is made anew, when nothing comes back for RENDEZVOUS_PROBE_MS. */
#define RENDEZVOUS_PROBE_MS 3000
void rendezvous_probe(struct rendezvous *r);

bool rendezvous_online(const struct rendezvous *r);

/* Why it is offline; "" when online. */
const char *rendezvous_why(const struct rendezvous *r);

/* Tell by presence() when the owner of ${key} comes and goes. -1 when this kind of place
 * cannot. Not from within a callback. */
int rendezvous_follow(struct rendezvous *r, const struct pubkey *key);

#define RENDEZVOUS_WHY_BYTES 200

struct rendezvous_health {
	bool online;
	uint64_t since_ns; /* of the last change of ${online}, or the start; monotonic */
	const char *why;   /* it is offline; "" when online */
	/* What went wrong last, perhaps long ago; "" for nothing. */
	const char *last_error;
	const char *how; /* "MQTT 5", ...; "" when there is nothing to say */
	uint64_t sent, received, not_sent; /* messages */
};

/* Valid until something happens to ${r}. */
void rendezvous_get_health(const struct rendezvous *r, struct rendezvous_health *out);

#endif
