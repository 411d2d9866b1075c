#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/contact.h"
#include "rendezvous/gate.h"
#include "rendezvous/rendezvous.h"
#include "tunnel/place.h"

/* A party, and whether the place says that it is there. */
struct followed {
	struct pubkey key;
	bool here;
};

struct place {
	const struct session *session;
	const struct identity *identity;
	struct place_callbacks cb;
	void *arg;
	struct rendezvous *rendezvous;
	struct url target; /* where it is reached from here */
	char url[URL_PATH_MAX + 8];
	char why[RENDEZVOUS_WHY_BYTES]; /* of its being offline, as last logged */
	struct followed *followed;
	size_t n_followed;
	uint64_t full_ns; /* a gate */
	uint64_t dropped;
	struct log_gate floods;
};

static void
on_state(void *arg, bool online, const char *why)
{
	struct place *place = arg;

	for (size_t i = 0; i < place->n_followed; i++)
		place->followed[i].here = false;
	if (online) {
		log_info("rendezvous=%s connected", place->url);
		place->why[0] = '\0';
	} else if (strcmp(place->why, why) != 0) {
		/* Trying for ever is said once per reason. */
		snprintf(place->why, sizeof place->why, "%s", why);
		log_warn("rendezvous=%s not reachable: %s; trying again", place->url,
			 why);
	}
	place->cb.state(place->arg, online);
}

static bool
may_take(struct place *place)
{
	uint64_t now_ns = clock_now_ns();

	if (gate_pass_message(&place->full_ns, now_ns))
		return true;
	place->dropped++;
	if (log_gate_pass(&place->floods, (long long)now_ns, NULL))
		log_warn("rendezvous=%s more messages than any session needs; some are "
			 "dropped",
			 place->url);
	return false;
}

static void
on_message(void *arg, const uint8_t *sealed, size_t len)
{
	struct place *place = arg;
	struct pubkey sender;
	int index;

	if (contact_sender(sealed, len, &sender) != 0)
		return;
	index = session_find_key(place->session, &sender);
	if (index < 0) {
		log_debug("rendezvous=%s a message from nobody in the roster is ignored",
			  place->url);
		return;
	}
	if (may_take(place))
		place->cb.message(place->arg, (size_t)index, sealed, len);
}

static struct followed *
find(const struct place *place, const struct pubkey *key)
{
	for (size_t i = 0; i < place->n_followed; i++)
		if (pubkey_equal(&place->followed[i].key, key))
			return &place->followed[i];
	return NULL;
}

static void
on_presence(void *arg, const struct pubkey *key, bool present)
{
	struct place *place = arg;
	struct followed *f = find(place, key);

	if (f != NULL)
		f->here = present;
}

static const struct rendezvous_callbacks callbacks = {
    .state = on_state,
    .message = on_message,
    .presence = on_presence,
};

void
place_follow(struct place *place)
{
	const struct session *s = place->session;

	for (size_t i = 0; i < s->n_parties; i++) {
		const struct pubkey *key = &s->parties[i].key;
		struct followed *f;

		if (find(place, key) != NULL ||
		    pubkey_equal(key, identity_pubkey(place->identity)))
			continue;
		f = realloc(place->followed, (place->n_followed + 1) * sizeof *f);
		if (f == NULL)
			return;
		place->followed = f;
		if (rendezvous_follow(place->rendezvous, key) != 0)
			return;
		f[place->n_followed++] = (struct followed){.key = *key};
	}
}

struct place *
place_open(struct event_base *base, const struct session *s, const struct local *local,
	   const struct identity *id, const struct url *url,
	   const struct place_callbacks *cb, void *arg, struct err *err)
{
	struct place *place = calloc(1, sizeof *place);

	if (place == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	place->session = s;
	place->identity = id;
	place->cb = *cb;
	place->arg = arg;
	place->target = *url;
	url_of_own_mailbox(&place->target, identity_pubkey(id), &local->listen);
	url_format_public(url, place->url, sizeof place->url);
	place->rendezvous =
	    rendezvous_open(base, &place->target, local, s->name, id, &callbacks, place, err);
	if (place->rendezvous == NULL) {
		free(place);
		return NULL;
	}
	place_follow(place);
	return place;
}

void
place_close(struct place *place)
{
	if (place == NULL)
		return;
	rendezvous_close(place->rendezvous);
	free(place->followed);
	free(place);
}

bool
place_online(const struct place *place)
{
	return rendezvous_online(place->rendezvous);
}

void
place_send(struct place *place, const struct pubkey *to, const uint8_t *sealed,
	   size_t len)
{
	if (rendezvous_online(place->rendezvous))
		rendezvous_send(place->rendezvous, to, sealed, len);
}

void
place_network_changed(struct place *place)
{
	rendezvous_network_changed(place->rendezvous);
}

void
place_probe(struct place *place)
{
	rendezvous_probe(place->rendezvous);
}

void
place_get_status(const struct place *place, struct place_status *out)
{
	struct rendezvous_health h;

	rendezvous_get_health(place->rendezvous, &h);
	memset(out, 0, sizeof *out);
	memcpy(out->url, place->url, sizeof out->url);
	out->online = h.online;
	out->since_ns = h.since_ns;
	out->sent = h.sent;
	out->received = h.received;
	out->dropped = place->dropped;
	snprintf(out->how, sizeof out->how, "%s", h.how);
	snprintf(out->why, sizeof out->why, "%s", h.why);
	snprintf(out->last_error, sizeof out->last_error, "%s", h.last_error);
}

enum presence
place_presence(const struct place *place, const struct pubkey *key)
{
	const struct followed *f = find(place, key);

	if (f == NULL || !place_online(place))
		return PRESENCE_UNKNOWN;
	return f->here ? PRESENCE_HERE : PRESENCE_GONE;
}
