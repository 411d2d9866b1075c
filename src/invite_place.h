#ifndef MPCPROXY_INVITE_PLACE_H
#define MPCPROXY_INVITE_PLACE_H

#include "base/addr.h"
#include "base/err.h"
#include "session/defaults.h"
#include "session/identity.h"
#include "session/session.h"

/* Where those who are invited meet the one who invites. */
struct invite_place_options {
	const char *rendezvous; /* URL; NULL: local.ini's, else this machine */
	const char *address;    /* HOST[:PORT] by which others reach this machine */
	const char *listen;     /* ADDR:PORT of our own mailbox */
	const char *stun, *turn;
};

/* The port of a mailbox, unless somebody has it already. */
#define INVITE_PLACE_PORT 7470

/*
 * Put rendezvous, STUN and TURN servers into ${s}. When this machine is to serve the
 * rendezvous itself, where goes to ${listen} (else AF_UNSPEC), and the user is told how
 * far the address in the ticket reaches.
 */
int invite_place(const struct invite_place_options *o, const struct defaults *d,
		 const struct identity *id, struct session *s, union addr *listen,
		 struct err *err);

#endif
