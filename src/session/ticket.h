#ifndef MPCPROXY_SESSION_TICKET_H
#define MPCPROXY_SESSION_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "session/pubkey.h"
#include "session/url.h"

/*
 * What `mpcproxy invite` prints and `mpcproxy join` takes: "mpc1:" and base64url of the
 * binary form in doc/protocol.md. Whoever has it can ask to join; it says nothing of who
 * the parties are.
 */
#define TICKET_PREFIX       "mpc1:"
#define TICKET_TEXT_MAX     199 /* characters: fits a chat line, an SMS pair, a QR code */
#define TICKET_SECRET_BYTES 16
#define TICKET_PSK_BYTES    32

struct ticket {
	uint8_t secret[TICKET_SECRET_BYTES];
	struct pubkey host;  /* the one who invites */
	uint64_t expires_s;  /* seconds since 1970; below 2^32 */
	struct url rendezvous;
};

/* Parse strictly: one text for each ticket, nothing around it. The message says whether
 * it was cut, mistyped or is of another version. Whether it has expired is not looked
 * at. */
int ticket_parse(struct ticket *t, const char *text, struct err *err);

/* -1 when the rendezvous is one that no ticket can name: too long, or with a password. */
int ticket_format(const struct ticket *t, char out[TICKET_TEXT_MAX + 1], struct err *err);

/* The pre-shared key of the joining messages: a hash of the secret. */
int ticket_psk(const struct ticket *t, uint8_t psk[TICKET_PSK_BYTES]);

#endif
