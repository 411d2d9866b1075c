#ifndef MPCPROXY_SESSION_STORE_H
#define MPCPROXY_SESSION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/session.h"
#include "session/ticket.h"

/*
 * The sessions that were made by invitation, in $XDG_CONFIG_HOME/mpcproxy/sessions: of
 * each NAME.ini, the same at every party, and NAME.state, what this party has to
 * remember of it.
 */

/* sessions/NAME.SUFFIX, malloc'ed; NULL when no directory is known. ${name} "" and
 * ${suffix} NULL: the directory. */
char *store_path(const char *name, const char *suffix);

/* What -c means: ${given} itself when it has a slash or exists; otherwise the session of
 * that name, with or without ".ini", if there is one. malloc'ed; NULL when memory is
 * short. */
char *store_resolve(const char *given);

/* Whether ${given} is what a session may be called, with or without ".ini": not a path. */
bool store_is_name(const char *given);

/*
 * Write ${s}, which is signed, to ${path}: whole or not at all. Refused when there is a
 * session of another host already, another one of this version, or a newer one: what the
 * host has taken back does not return.
 */
int store_save(const struct session *s, const char *path, struct err *err);

/* What a party remembers of a session. */
struct store_state {
	char *identity;     /* path, NULL: as local.ini says */
	uint16_t base_port; /* 0: as local.ini says */
	union addr listen;  /* where the host serves the rendezvous; AF_UNSPEC: nowhere */
	char *ticket;       /* the host's newest one; NULL: none */
};

/* The state beside the session's file ${path}: all empty when there is none. */
int store_state_load(struct store_state *state, const char *path, struct err *err);
int store_state_save(const struct store_state *state, const char *path, struct err *err);
void store_state_free(struct store_state *state);

/* Remove the session's files, and the directory when nothing else is in it. -1 when
 * there is no such session or a file cannot be removed. */
int store_remove(const char *name, struct err *err);

/* The names of all sessions, sorted; ${n} of them. Free each and the list. */
char **store_list(size_t *n);

#endif
