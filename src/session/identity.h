#ifndef MPCPROXY_SESSION_IDENTITY_H
#define MPCPROXY_SESSION_IDENTITY_H

#include <openssl/evp.h>

#include "base/err.h"
#include "session/pubkey.h"

/* A party's P-256 key pair, from a PEM file (PKCS #8) of mode 0600. */
struct identity;

/* Make a key pair and write it to ${path} (directories above it are made with mode
 * 0700, the file with 0600, both only if absent; an existing file is never
 * overwritten). */
int identity_generate(const char *path, struct err *err);

/* A key pair that lives in memory only; for tests and throw-away use. */
struct identity *identity_ephemeral(struct err *err);

/* Read ${path}. Refused, with the reason and remedy in ${err}: a missing file, one
 * that group or others can read, one that is no PEM private key, another curve. */
struct identity *identity_load(const char *path, struct err *err);

void identity_free(struct identity *id);

const struct pubkey *identity_pubkey(const struct identity *id);

/* Owned by ${id}. */
EVP_PKEY *identity_evp(const struct identity *id);

/* $XDG_CONFIG_HOME/mpcproxy/NAME, or ~/.config/mpcproxy/NAME; malloc'ed, NULL when
 * neither variable is set. */
char *identity_default_path(const char *name);

#endif
