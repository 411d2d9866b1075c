#ifndef MPCPROXY_TUNNEL_WHY_H
#define MPCPROXY_TUNNEL_WHY_H

#include "rendezvous/signal.h"
#include "session/session.h"

/*
 * Why two parties talk over a relay, or not at all, in words for both: made of what each
 * side has told the other of its network. Pure functions.
 */
struct why_side {
	const char *name;
	struct signal_facts facts;
};

struct why {
	struct why_side us, them;
	enum path_policy policy; /* ours towards them */
	bool has_stun;           /* session.ini names a STUN server */
	bool has_turn;           /* session.ini names a TURN server */
	bool same_nat;           /* both have one address outside */
};

#define WHY_BYTES 320

/* "relay: ..." into ${out}; returns ${out}. */
char *why_relayed(const struct why *w, char out[WHY_BYTES]);

/* "no path: ..." */
char *why_failed(const struct why *w, char out[WHY_BYTES]);

#endif
