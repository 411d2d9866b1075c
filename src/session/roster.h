#ifndef MPCPROXY_SESSION_ROSTER_H
#define MPCPROXY_SESSION_ROSTER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "session/identity.h"
#include "session/session.h"

/*
 * The roster of a session that was made by invitation: who takes part, in which order,
 * and which servers are used, in a version that its host has signed. There is one
 * encoding of it (doc/protocol.md, "Roster"), and session.ini says the same in words.
 */
#define ROSTER_PARTIES_MAX 64
#define ROSTER_URL_MAX     180  /* one line of session.ini, which holds 200 bytes */
#define ROSTER_MAX         5900 /* bytes; with its signature it fits one message */
#define ROSTER_SIGNED_MAX  (1 + SESSION_SIGNATURE_MAX + ROSTER_MAX)

/* The bytes that are signed: everything in ${s} but the signature. Returns their number,
 * -1 when a bound above is exceeded. */
int roster_encode(const struct session *s, uint8_t out[ROSTER_MAX], struct err *err);

/* The session that such bytes describe, not signed yet; NULL when they are anything but
 * what roster_encode() writes for a session that session_parse() takes. */
struct session *roster_decode(const uint8_t *data, size_t len, struct err *err);

/* Sign ${s} as its host, whose key becomes ${s->host}. ${s->version} is the caller's. */
int roster_sign(struct session *s, const struct identity *host, struct err *err);

/* Take a signature over ${s} that came from elsewhere; -1 when it is not ${s->host}'s. */
int roster_set_signature(struct session *s, const uint8_t *signature, size_t len,
			 struct err *err);

/* Whether ${s->signature} is its host's. */
int roster_verify(const struct session *s, struct err *err);

/* With its signature, as parties send it to each other. Returns the length or -1. */
int roster_pack(const struct session *s, uint8_t out[ROSTER_SIGNED_MAX], struct err *err);

/* The signature is verified, against ${host}, before anything else is looked at. */
struct session *roster_unpack(const uint8_t *data, size_t len, const struct pubkey *host,
			      struct err *err);

/* As session.ini. */
void roster_write_ini(FILE *out, const struct session *s);

#endif
