#ifndef MPCPROXY_JOIN_JOINER_H
#define MPCPROXY_JOIN_JOINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/message.h"
#include "session/identity.h"
#include "session/pubkey.h"
#include "session/session.h"

/*
 * The side of joining that has a ticket: it asks the ticket's host for a place, takes
 * part in rounds, and ends with a roster that the host has signed. What a message does in
 * which state is in doc/design.md, "Joining". Bytes and times are arguments; there are no
 * sockets and no clock in here.
 */
struct joiner;

/* Rounds in which the nonce is revealed, so that there are words to know; a host that
 * wants more is trying them out. */
#define JOINER_WORDS_MAX 8
/* How long a notice that the ticket is unknown may be contradicted by a host that knows
 * it. */
#define JOINER_NOTICE_NS (3 * NS_PER_S)

struct joiner_config {
	const struct identity *self; /* must outlive the joiner */
	const uint8_t *psk;          /* CONTACT_PSK_BYTES */
	struct pubkey host;
	const char *name; /* that the party wants to have; copied */
};

/* None of them may free the joiner; they may call joiner_leave(). */
struct joiner_callbacks {
	/* Leave this in the host's box. */
	void (*send)(void *arg, const uint8_t *msg, size_t len);
	/* The host has answered; we have a place, and these are there, too. */
	void (*waiting)(void *arg, const struct join_waiting *w);
	/* What everybody is to compare, and the roster that the words stand for. */
	void (*words)(void *arg, const char *words, const struct session *roster);
	/* The words count no more: somebody has left, others will come. */
	void (*words_void)(void *arg);
	/* The host has confirmed; joiner_stored() when ${s} is on disk. ${compared}:
	 * these are the parties that the last words stood for. Otherwise the host says
	 * that they were compared in an earlier attempt of ours. */
	void (*frozen)(void *arg, const struct session *s, bool compared);
	/* The end: ${why} is for people. */
	void (*ended)(void *arg, const char *why);
};

struct joiner *joiner_new(const struct joiner_config *cfg,
			  const struct joiner_callbacks *cb, void *arg, struct err *err);
void joiner_free(struct joiner *j);

void joiner_online(struct joiner *j, bool online, uint64_t now_ns);
void joiner_receive(struct joiner *j, const uint8_t *msg, size_t len, uint64_t now_ns);
uint64_t joiner_expiry(const struct joiner *j);
void joiner_tick(struct joiner *j, uint64_t now_ns);

/* The frozen roster is on disk: tell the host. */
void joiner_stored(struct joiner *j, uint64_t now_ns);

/* Give the place back. */
void joiner_leave(struct joiner *j, uint64_t now_ns);

/* When something authentic of the host's came last; 0 for never. */
uint64_t joiner_heard_ns(const struct joiner *j);

#endif
