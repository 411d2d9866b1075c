#ifndef MPCPROXY_JOIN_HOST_H
#define MPCPROXY_JOIN_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "join/message.h"
#include "session/identity.h"
#include "session/pubkey.h"
#include "session/session.h"

/*
 * The side of joining that invites: it takes joiners in, leads them through the rounds
 * that end in the same roster and the same words at all, and signs the roster when its
 * owner has confirmed the words. What a message does in which state is in doc/design.md,
 * "Joining". Bytes and times are arguments; there are no sockets and no clock in here.
 */
struct join_host;

/* Keys from which something authentic has come. Beyond, those that have no place go. */
#define JOIN_HOST_CONTACTS_MAX 128
/* A joiner says every JOIN_PRESENT_NS that it is there; after JOIN_SILENT_NS without a
 * word of it, its place is free again. */
#define JOIN_PRESENT_NS (5 * NS_PER_S)
#define JOIN_SILENT_NS  (20 * NS_PER_S)

struct join_host_config {
	const struct identity *self; /* must outlive the host */
	const uint8_t *psk;          /* CONTACT_PSK_BYTES; copied */
	/* Name, servers and version of the roster to come, and the parties that it has
	 * already: the host at least. Or, with ${wanted} 0, a signed roster to be given
	 * once more to parties of it that ask. Must outlive the host. */
	const struct session *base;
	size_t wanted;       /* joiners */
	uint64_t expires_ns; /* from then on nobody is taken in; CLOCK_NEVER: never */
};

/* None of them may free the host; they may call join_host_confirm(). */
struct join_host_callbacks {
	/* Leave this in the box of ${to}. */
	void (*send)(void *arg, const struct pubkey *to, const uint8_t *msg, size_t len);
	void (*joined)(void *arg, const char *name, size_t n);
	/* Words that were shown before count no more. */
	void (*left)(void *arg, const char *name, const char *why);
	/* All are there: what everybody is to compare. */
	void (*words)(void *arg, const char *words, const struct session *roster);
	/* A party has written the frozen roster to its disk. */
	void (*stored)(void *arg, const char *name);
	/* Somebody was not taken in; ${name} is "" when it was not told. */
	void (*refused)(void *arg, const char *name, enum join_refusal refusal);
};

struct join_host *join_host_new(const struct join_host_config *cfg,
				const struct join_host_callbacks *cb, void *arg,
				struct err *err);
void join_host_free(struct join_host *h);

/* The rendezvous is reachable (again), or not. */
void join_host_online(struct join_host *h, bool online, uint64_t now_ns);

/* Anything that came from there. */
void join_host_receive(struct join_host *h, const uint8_t *msg, size_t len,
		       uint64_t now_ns);

uint64_t join_host_expiry(const struct join_host *h);
void join_host_tick(struct join_host *h, uint64_t now_ns);

/* The words are the same everywhere: sign the roster and give it to all. Returns it (the
 * host's own, until join_host_free()), or NULL when there are no words to confirm now or
 * OpenSSL fails. */
const struct session *join_host_confirm(struct join_host *h, uint64_t now_ns,
					struct err *err);

/* Tell everybody that it has come to nothing. */
void join_host_abort(struct join_host *h, uint64_t now_ns);

/* Joiners of the frozen roster that have not stored it yet. */
size_t join_host_unstored(const struct join_host *h);

/* Whether the time is up and not all joiners have come. */
bool join_host_expired(const struct join_host *h, uint64_t now_ns);

#endif
