#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "session/roster.h"
#include "tunnel/signaller.h"

struct signaller {
	struct signaller_callbacks cb;
	void *arg;
	const char *name;
	struct contact *contact;
	struct event *timer;
	struct log_gate gate;
};

static void
arm(struct signaller *s)
{
	timer_at(s->timer, contact_expiry(s->contact));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct signaller *s = arg;

	(void)fd;
	(void)what;
	contact_tick(s->contact, clock_now_ns());
	arm(s);
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct signaller *s = arg;

	s->cb.send(s->arg, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct signaller *s = arg;

	log_debug("peer=%s %s", s->name, replaced ? "met again, in a new life" : "met");
	s->cb.met(s->arg, replaced);
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct signaller *s = arg;

	return s->cb.heard(s->arg, since_ns);
}

static void
on_refused(void *arg)
{
	struct signaller *s = arg;

	s->cb.refused(s->arg);
}

static void
on_roster_differs(void *arg)
{
	struct signaller *s = arg;

	s->cb.roster_differs(s->arg);
}

static void
on_roster_agrees(void *arg)
{
	struct signaller *s = arg;

	s->cb.roster_agrees(s->arg);
}

static void
on_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct signaller *s = arg;
	struct signal_candidates m;
	uint32_t generation;

	switch (type) {
	case SIGNAL_CANDIDATES:
		if (signal_decode_candidates(&m, body, len) == 0)
			s->cb.candidates(s->arg, &m);
		else if (log_gate_pass(&s->gate, (long long)clock_now_ns(), NULL))
			log_warn("peer=%s sent candidates that do not parse, ignored",
				 s->name);
		break;
	case SIGNAL_RESTART:
		if (signal_decode_generation(&generation, body, len) == 0)
			s->cb.restart(s->arg, generation);
		break;
	case SIGNAL_CONCLUDED:
		if (signal_decode_generation(&generation, body, len) == 0)
			s->cb.concluded(s->arg, generation);
		break;
	case SIGNAL_SEARCH:
		if (signal_decode_generation(&generation, body, len) == 0)
			s->cb.search(s->arg, generation);
		break;
	case SIGNAL_ROSTER: /* What differs, the contact has seen already. */
		if (len > 0)
			s->cb.roster(s->arg, body, len);
		break;
	default:
		/* From a later version, perhaps. */
		log_debug("peer=%s a message of unknown type %u is ignored", s->name,
			  type);
		break;
	}
}

static const struct contact_callbacks contact_callbacks = {
    .send = on_send,
    .met = on_met,
    .message = on_message,
    .heard = on_heard,
    .refused = on_refused,
    .roster_differs = on_roster_differs,
    .roster_agrees = on_roster_agrees,
};

struct signaller *
signaller_new(struct event_base *base, const char *name, const struct contact_config *cfg,
	      const struct signaller_callbacks *cb, void *arg, struct err *err)
{
	struct signaller *s = calloc(1, sizeof *s);

	if (s == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	s->cb = *cb;
	s->arg = arg;
	s->name = name;
	s->timer = evtimer_new(base, on_timer, s);
	if (s->timer == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	s->contact = contact_new(cfg, &contact_callbacks, s, err);
	if (s->contact == NULL)
		goto err2;
	return s;

err2:
	event_free(s->timer);
err1:
	free(s);
	return NULL;
}

void
signaller_free(struct signaller *s)
{
	if (s == NULL)
		return;
	contact_free(s->contact);
	event_free(s->timer);
	free(s);
}

void
signaller_set_online(struct signaller *s, bool online)
{
	if (online)
		contact_online(s->contact, clock_now_ns());
	else
		contact_offline(s->contact);
	arm(s);
}

void
signaller_receive(struct signaller *s, const uint8_t *sealed, size_t len)
{
	struct err err;

	if (contact_receive(s->contact, sealed, len, clock_now_ns(), &err) != 0)
		log_debug("peer=%s a message is ignored: %s", s->name, err.text);
	arm(s);
}

bool
signaller_is_met(const struct signaller *s)
{
	return contact_is_met(s->contact);
}

void
signaller_forget(struct signaller *s)
{
	contact_forget(s->contact, clock_now_ns());
	arm(s);
}

bool
signaller_knows(const struct signaller *s, const struct incarnation *x)
{
	return contact_knows(s->contact, x->bytes);
}

void
signaller_replaced(struct signaller *s, const struct incarnation *x)
{
	contact_replaced(s->contact, x->bytes, clock_now_ns());
	arm(s);
}

void
signaller_send_candidates(struct signaller *s, const uint8_t *body, size_t len)
{
	contact_send(s->contact, SIGNAL_CANDIDATES, body, len, clock_now_ns());
	arm(s);
}

static void
send_generation(struct signaller *s, enum signal_type type, uint32_t generation)
{
	uint8_t body[64];
	int len = signal_encode_generation(generation, body, sizeof body);

	if (len > 0)
		contact_send(s->contact, (uint8_t)type, body, (size_t)len,
			     clock_now_ns());
	arm(s);
}

void
signaller_ask_for_restart(struct signaller *s, uint32_t generation)
{
	send_generation(s, SIGNAL_RESTART, generation);
}

void
signaller_ask_for_search(struct signaller *s, uint32_t generation)
{
	send_generation(s, SIGNAL_SEARCH, generation);
}

void
signaller_send_concluded(struct signaller *s, uint32_t generation)
{
	send_generation(s, SIGNAL_CONCLUDED, generation);
}

void
signaller_supersede(struct signaller *s)
{
	static const enum signal_type negotiation[] = {
	    SIGNAL_CANDIDATES, SIGNAL_RESTART, SIGNAL_CONCLUDED, SIGNAL_SEARCH};

	for (size_t i = 0; i < sizeof negotiation / sizeof *negotiation; i++)
		contact_withdraw(s->contact, (uint8_t)negotiation[i]);
}

void
signaller_withdraw_restart(struct signaller *s)
{
	contact_withdraw(s->contact, SIGNAL_RESTART);
	arm(s);
}

void
signaller_set_roster(struct signaller *s, const uint8_t *digest)
{
	contact_set_roster(s->contact, digest);
}

void
signaller_tell_roster(struct signaller *s, const struct session *session)
{
	uint8_t data[ROSTER_SIGNED_MAX];
	int len = session->version != 0 ? roster_pack(session, data, NULL) : 0;

	if (len >= 0)
		contact_send(s->contact, SIGNAL_ROSTER, data, (size_t)len,
			     clock_now_ns());
	arm(s);
}
