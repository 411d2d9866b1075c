#ifndef MPCPROXY_TUNNEL_SIGNALLER_H
#define MPCPROXY_TUNNEL_SIGNALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "rendezvous/contact.h"
#include "rendezvous/envelope.h"
#include "rendezvous/signal.h"

/* A contact (contact.h) on the event loop: its timer, and its messages as signals
 * (signal.h). */
struct signaller;

struct signaller_callbacks {
	/* These five are contact.h's. */
	void (*send)(void *arg, const uint8_t *sealed, size_t len);
	void (*met)(void *arg, bool replaced);
	bool (*heard)(void *arg, uint64_t since_ns);
	void (*refused)(void *arg);
	void (*roster_differs)(void *arg);
	void (*roster_agrees)(void *arg);
	/* The peer's signed roster, not verified. */
	void (*roster)(void *arg, const uint8_t *data, size_t len);
	/* Signals of the peer's current life. */
	void (*candidates)(void *arg, const struct signal_candidates *m);
	void (*restart)(void *arg, uint32_t generation);
	void (*concluded)(void *arg, uint32_t generation);
	void (*search)(void *arg, uint32_t generation);
};

/* ${name} is the peer's, for the log; it and what ${cfg} points to must outlive it. */
struct signaller *signaller_new(struct event_base *base, const char *name,
				const struct contact_config *cfg,
				const struct signaller_callbacks *cb, void *arg,
				struct err *err);
void signaller_free(struct signaller *s);

/* Some rendezvous is reachable, or none any more. */
void signaller_set_online(struct signaller *s, bool online);
/* A sealed message that claims to come from this peer. */
void signaller_receive(struct signaller *s, const uint8_t *sealed, size_t len);

bool signaller_is_met(const struct signaller *s);
/* The life we talked to has ended: contact_forget(). */
void signaller_forget(struct signaller *s);
bool signaller_knows(const struct signaller *s, const struct incarnation *x);
/* contact_replaced() */
void signaller_replaced(struct signaller *s, const struct incarnation *x);

/* ${body} is an encoded signal_candidates; resent until acknowledged or superseded. */
void signaller_send_candidates(struct signaller *s, const uint8_t *body, size_t len);
void signaller_ask_for_restart(struct signaller *s, uint32_t generation);
/* It has become needless, if it has not arrived. */
void signaller_withdraw_restart(struct signaller *s);
void signaller_ask_for_search(struct signaller *s, uint32_t generation);
void signaller_send_concluded(struct signaller *s, uint32_t generation);
/* What was sent of earlier generations needs no answer any more. A roster is none of them. */
void signaller_supersede(struct signaller *s);
/* contact_set_roster(). The peer hears of it with signaller_tell_roster(), which also
 * carries the roster if the session's host has signed it. */
void signaller_set_roster(struct signaller *s, const uint8_t *digest);
void signaller_tell_roster(struct signaller *s, const struct session *session);

#endif
