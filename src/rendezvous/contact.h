#ifndef MPCPROXY_RENDEZVOUS_CONTACT_H
#define MPCPROXY_RENDEZVOUS_CONTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "session/identity.h"
#include "session/pubkey.h"

/*
 * What we hold of one other party's presence: which life (incarnation) of it we talk
 * to, and sealed messages to and from that life, delivered at most once each, in any
 * order, resent until acknowledged. Bytes and times are arguments; there are no
 * sockets and no clock in here.
 *
 * Every message is sealed (HPKE auth mode, RFC 9180) and carries its sender's random
 * incarnation, a sequence number, and the recipient's incarnation as last seen.
 * Nothing acts on a message that does not echo our own current incarnation, so what
 * was recorded in an earlier life cannot be replayed and no clock is trusted.
 */
struct contact;

#define CONTACT_BODY_MAX    6144 /* largest body; keeps the sealed message below 8 KiB */
#define CONTACT_PENDING_MAX 16   /* unacknowledged messages; one more replaces the oldest */
#define CONTACT_INCARNATION_BYTES 16
#define CONTACT_PSK_BYTES         32

struct contact_config {
	const struct identity *self; /* must outlive the contact */
	struct pubkey peer;
	const char *session_name;
	const uint8_t *roster_digest; /* 32 bytes, session.h */
	/* Ours: a random value that no earlier contact with this peer has had. */
	const uint8_t *incarnation;
	/* CONTACT_PSK_BYTES that both must know besides, or NULL. */
	const uint8_t *psk;
};

/* The callbacks may call contact_send(), contact_withdraw() and the enquiries below, except
 * that send() calls nothing here; none frees the contact. */
struct contact_callbacks {
	/* Send these sealed bytes to the peer's box. */
	void (*send)(void *arg, const uint8_t *sealed, size_t len);
	/* The peer's current life has proved that it is live (it echoed us).
	 * ${replaced} when an earlier life was known: everything that belonged to
	 * that one is void. */
	void (*met)(void *arg, bool replaced);
	/* A message from the peer's current life. */
	void (*message)(void *arg, uint8_t type, const uint8_t *body, size_t len);
	/* Asked when a newcomer with the peer's key appears: whether the life we
	 * know has been heard (on its path) since ${since_ns}. Asked again every half
	 * second until that is decided; the first time ${since_ns} still lies ahead,
	 * which is the occasion to send something that the path must answer. */
	bool (*heard)(void *arg, uint64_t since_ns);
	/* The peer says that another live process uses our identity, and talks to that
	 * one. It is a stranger from now on, who is asked again after a while. */
	void (*refused)(void *arg);
	/* The peer's session.ini differs from ours: told when a life is met, and
	 * whenever it comes to be so. */
	void (*roster_differs)(void *arg);
	/* It does not any more. May be NULL. */
	void (*roster_agrees)(void *arg);
};

struct contact *contact_new(const struct contact_config *cfg,
			    const struct contact_callbacks *cb, void *arg,
			    struct err *err);
void contact_free(struct contact *c);

/* The place is reachable (again): say hello now and send what is unacknowledged. */
void contact_online(struct contact *c, uint64_t now_ns);
void contact_offline(struct contact *c);

/* A sealed message that names this peer as its sender (contact_sender()). 0 when it
 * was authentic, whether or not it led to anything; -1 and a reason for the debug log
 * otherwise. */
int contact_receive(struct contact *c, const uint8_t *sealed, size_t len,
		    uint64_t now_ns, struct err *err);

/* The key that a sealed message claims as its sender; -1 when it is too short or of
 * another version. */
int contact_sender(const uint8_t *sealed, size_t len, struct pubkey *sender);

/* Send to the peer's current life, resend until acknowledged. ${type} is the caller's,
 * 0..127. -1 when the peer has not been met or the body is too large. */
int contact_send(struct contact *c, uint8_t type, const uint8_t *body, size_t len,
		 uint64_t now_ns);

/* Forget what is unacknowledged of this type (a new ICE generation makes the old one's
 * candidates worthless). */
void contact_withdraw(struct contact *c, uint8_t type);

/* The life we know has ended, as it told us on an authenticated path: nothing that it
 * ever said counts any more, and the next one is met as soon as it proves that it is
 * live. Calls nothing back; until then contact_is_met() is false. */
void contact_forget(struct contact *c, uint64_t now_ns);

/* An authenticated path leads to the peer's life ${incarnation}. If another is known, that
 * one has been replaced: as contact_forget(), but for its right to prove that it is still
 * live and come back. */
void contact_replaced(struct contact *c,
		      const uint8_t incarnation[CONTACT_INCARNATION_BYTES],
		      uint64_t now_ns);

/* When contact_tick() wants to be called next; CLOCK_NEVER when nothing is due. */
uint64_t contact_expiry(const struct contact *c);
void contact_tick(struct contact *c, uint64_t now_ns);

/* Our session.ini has changed to one with this digest. Calls back when the peer's, as
 * last heard, differs from now on, or agrees. The peer learns of it with the next message
 * that is sent. */
void contact_set_roster(struct contact *c, const uint8_t *digest);

bool contact_is_met(const struct contact *c);
/* And in this life. */
bool contact_knows(const struct contact *c,
		   const uint8_t incarnation[CONTACT_INCARNATION_BYTES]);

#endif
