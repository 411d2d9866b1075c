#ifndef MPCPROXY_TUNNEL_PLACE_H
#define MPCPROXY_TUNNEL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"

/* One rendezvous of a session. All are used side by side: what is sent goes to each that
 * is reachable, and the receiver tells repetitions. */
struct place;

struct place_callbacks {
	/* It has become reachable or unreachable. */
	void (*state)(void *arg, bool online);
	/* Bytes that name party ${index}, perhaps ourselves, as their sender: nothing is
	 * verified. */
	void (*message)(void *arg, size_t index, const uint8_t *sealed, size_t len);
};

/* ${s}, whose contents may change, and all other pointers must outlive the place. */
struct place *place_open(struct event_base *base, const struct session *s,
			 const struct local *local, const struct identity *id,
			 const struct url *url, const struct place_callbacks *cb,
			 void *arg, struct err *err);
/* NULL is ignored. */
void place_close(struct place *place);

bool place_online(const struct place *place);
void place_send(struct place *place, const struct pubkey *to, const uint8_t *sealed,
		size_t len);
void place_network_changed(struct place *place);
/* rendezvous_probe(). */
void place_probe(struct place *place);

/* Find out who of the session is there, where the place can tell. Again after a change of
 * the session. */
void place_follow(struct place *place);

/* What status says of it. */
struct place_status {
	char url[URL_PATH_MAX + 8]; /* without the key */
	bool online;
	uint64_t since_ns; /* since when it has been so */
	char how[32];      /* "MQTT 5"; "" when there is nothing to say */
	char why[200];     /* it is offline; "" when online */
	char last_error[200];
	uint64_t sent, received;
	uint64_t dropped; /* received and not looked at: too many at once */
};
void place_get_status(const struct place *place, struct place_status *out);

/* What it says of a party, which may be made up. */
enum presence {
	PRESENCE_UNKNOWN, /* it cannot tell, or is not reachable */
	PRESENCE_GONE,
	PRESENCE_HERE,
};
enum presence place_presence(const struct place *place, const struct pubkey *key);

#endif
