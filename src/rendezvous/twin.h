#ifndef MPCPROXY_RENDEZVOUS_TWIN_H
#define MPCPROXY_RENDEZVOUS_TWIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "session/identity.h"

/*
 * Two processes of one party, by mistake: which of them ends. A peer that knows one and
 * meets the other refuses it (contact.h), but another peer may have met them the other
 * way round, and a peer may lie. So a process that is refused asks its own box, which
 * all processes of the party read, whether there is another one; the two settle it
 * between themselves, by messages that only the holder of the party's key can seal, and
 * exactly one ends.
 *
 * The fewer peers refuse it the better the claim of a process; then the longer it runs.
 * Of two the one with the smaller incarnation compares, so that there is one judgement:
 * it tells the other to end, or ends itself. Nothing is acted upon but the answer to a
 * question that we have just asked, so recordings do nothing (doc/protocol.md, "Twins").
 *
 * Bytes and times are arguments, as in contact.h.
 */
struct twin;

struct twin_config {
	const struct identity *self; /* must outlive it */
	const char *session_name;
	const uint8_t *roster_digest; /* 32 bytes, session.h */
	const uint8_t *incarnation;   /* ours: 16 bytes */
	uint64_t started_ns;	      /* when our life began */
};

/* None may free the twin. */
struct twin_callbacks {
	/* Send these sealed bytes to our own party's box. */
	void (*send)(void *arg, const uint8_t *sealed, size_t len);
	/* The number of peers that refuse us, as of now. */
	size_t (*refusals)(void *arg);
	/* Another process of our party lives, and is the one that goes on. Not called
	 * twice. */
	void (*lost)(void *arg);
	/* Nobody has answered twin_ask(). */
	void (*alone)(void *arg);
};

struct twin *twin_new(const struct twin_config *cfg, const struct twin_callbacks *cb,
		      void *arg, struct err *err);
void twin_free(struct twin *t);

/* Ask whether there is another process; while we ask already, nothing. */
void twin_ask(struct twin *t, uint64_t now_ns);

/* A sealed message that claims our own party as its sender: contact_receive(). */
int twin_receive(struct twin *t, const uint8_t *sealed, size_t len, uint64_t now_ns,
		 struct err *err);

/* As contact_expiry() and contact_tick(). */
uint64_t twin_expiry(const struct twin *t);
void twin_tick(struct twin *t, uint64_t now_ns);

#endif
