#ifndef MPCPROXY_JOIN_MESSAGE_H
#define MPCPROXY_JOIN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "rendezvous/contact.h"
#include "session/roster.h"
#include "session/session.h"

/*
 * What a host and a joiner say to each other, as bodies of a contact's messages
 * (doc/protocol.md, "Joining"). There is one encoding of each message.
 */
#define JOIN_HASH_BYTES  32
#define JOIN_PARTIES_MAX ROSTER_PARTIES_MAX

/* In place of a session's name in everything that is bound to one: no session can be
 * called so. */
#define JOIN_SESSION_NAME "mpcproxy join"

enum join_type {
	/* From the joiner. */
	JOIN_JOIN = 1,   /* a name */
	JOIN_COMMIT = 2, /* round, commitment */
	JOIN_REVEAL = 3, /* round, nonce */
	JOIN_STORED = 4, /* the session's file is written */
	JOIN_LEAVE = 5,
	/* From both. */
	JOIN_PRESENT = 6, /* a sign of life; the host answers it */
	/* From the host. */
	JOIN_REFUSED = 16, /* why */
	JOIN_WAITING = 17, /* who is there */
	JOIN_ROSTER = 18,  /* round, roster: all are there */
	JOIN_COMMITS = 19, /* round, all commitments */
	JOIN_NONCES = 20,  /* round, all nonces */
	JOIN_FROZEN = 21,  /* the signed roster */
	JOIN_ABORTED = 22, /* the host has ended it */
};

enum join_refusal {
	JOIN_REFUSED_FULL = 1,     /* nobody else is expected */
	JOIN_REFUSED_NAME = 2,     /* taken by another party */
	JOIN_REFUSED_BAD_NAME = 3, /* none that a party can have */
	JOIN_REFUSED_EXPIRED = 4,
	JOIN_REFUSED_PARTY = 5,    /* is a party of this session already */
	JOIN_REFUSED_PROTOCOL = 6, /* broke it */
	JOIN_REFUSED_TICKET = 7,   /* unknown; in a notice (notice.h) only */
	JOIN_REFUSED_SECOND = 8,   /* another process joins with the same identity */
};

/* One value of each party that takes part in a round: commitments or nonces. */
struct join_values {
	size_t n;
	struct {
		uint8_t index; /* in the roster; ascending */
		uint8_t value[JOIN_HASH_BYTES];
	} v[JOIN_PARTIES_MAX];
};

struct join_waiting {
	uint32_t count; /* of these messages: a smaller one is older */
	uint32_t void_round; /* this round, and all before it, count no more */
	char session[SESSION_NAME_MAX + 1];
	uint8_t wanted; /* parties in all */
	size_t n;
	char names[JOIN_PARTIES_MAX][SESSION_NAME_MAX + 1];
};

/* One message; the fields that its type has. Pointers go into the caller's bytes. */
struct join_message {
	enum join_type type;
	uint32_t round;
	enum join_refusal refusal;
	char name[SESSION_NAME_MAX + 1]; /* JOIN: as it was sent, not checked */
	const uint8_t *hash;             /* COMMIT, REVEAL: JOIN_HASH_BYTES */
	const uint8_t *data;             /* ROSTER, FROZEN */
	size_t len;
};

/* Parse a body of ${type}; 0, or -1 when it is malformed or of a type that the other
 * side (${from_host} or not) does not send. WAITING, COMMITS and NONCES go to the last
 * two arguments, which are the caller's. */
int join_decode(struct join_message *m, bool from_host, uint8_t type, const uint8_t *body,
		size_t len, struct join_values *values, struct join_waiting *waiting);

/* The body of ${m} to ${out} of CONTACT_BODY_MAX bytes; the last two may be NULL when
 * the type does not have them. Returns its length. */
size_t join_encode(const struct join_message *m, const struct join_values *values,
		   const struct join_waiting *waiting, uint8_t *out);

void join_write_values(struct writer *w, const struct join_values *values);

/* The value of party ${index}, or NULL. */
const uint8_t *join_value(const struct join_values *values, uint8_t index);

/* For people: why, and what to do. */
const char *join_refusal_text(enum join_refusal refusal);

#endif
