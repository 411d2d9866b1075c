#ifndef MPCPROXY_SESSION_SESSION_H
#define MPCPROXY_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/identity.h"
#include "session/pubkey.h"
#include "session/url.h"

/* session.ini: what all parties share. The order of its [party] sections is MPyC's
 * party index. */
#define SESSION_NAME_MAX    32
#define SESSION_PARTIES_MAX 256
#define SESSION_SERVERS_MAX 8 /* of each kind: rendezvous, stun, turn */

#define SESSION_SIGNATURE_MAX 72 /* ECDSA with P-256 in DER */

/* Which paths may be used towards a party. */
enum path_policy {
	PATH_ANY,
	PATH_DIRECT, /* never over a relay */
	PATH_RELAY,  /* only over a relay: the peer does not learn our address */
};

struct party {
	char name[SESSION_NAME_MAX + 1];
	struct pubkey key;
	enum path_policy policy; /* the session's, unless its section says otherwise */
	unsigned line;           /* of its section in the file */
};

struct session {
	char name[SESSION_NAME_MAX + 1];
	struct url *rendezvous;
	size_t n_rendezvous;
	struct url *stun;
	size_t n_stun;
	struct url *turn;
	size_t n_turn;
	enum path_policy policy;
	struct party *parties;
	size_t n_parties;
	/* When the session was made by invitation (roster.h): the version of its roster,
	 * from 1, the key of the one who invited, and his signature. Version 0: written
	 * by hand. */
	uint64_t version;
	struct pubkey host;
	uint8_t signature[SESSION_SIGNATURE_MAX];
	size_t signature_len;
	/* SHA-256 over the name and every party's name and key, in order, or over the
	 * roster: equal at all parties exactly when their session.ini agree on who is
	 * who. */
	uint8_t roster_digest[32];
};

#define SESSION_FILE_MAX (256 * 1024) /* bytes of session.ini */

/* Read ${path}. On failure the message names file, line and remedy; NULL. */
struct session *session_load(const char *path, struct err *err);

/* The same from ${len} bytes of ${text}, which messages call ${file}. */
struct session *session_parse(const char *file, const char *text, size_t len,
			      struct err *err);
void session_free(struct session *s);

/* The same for a roster that is yet to be signed. */
struct session *session_parse_draft(const char *file, const char *text, size_t len,
				    struct err *err);

/* After a change of ${s}: 0, or -1 when OpenSSL fails. */
int session_update_digest(struct session *s);

/* Take ${text} as the name of a session or party: [a-z0-9-]{1,32}. */
int session_name_parse(char out[SESSION_NAME_MAX + 1], const char *text, struct err *err);

/* The index of the party with this key or name; -1 when there is none. */
int session_find_key(const struct session *s, const struct pubkey *key);
int session_find_name(const struct session *s, const char *name);

/* The same for a name that somebody typed; the message says who may have been meant. */
int session_look_up(const struct session *s, const char *name, struct err *err);

/* The index of the party whose identity ${id} is. When the roster does not have its
 * key: -1 and what to do about it. */
int session_own_index(const struct session *s, const struct identity *id,
		      struct err *err);

#endif
