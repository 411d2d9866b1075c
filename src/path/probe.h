#ifndef MPCPROXY_PATH_PROBE_H
#define MPCPROXY_PATH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "session/session.h"

/*
 * What STUN servers say of the network that we are in: which of them answer and how
 * fast, the address they see us at, and how a NAT on the way maps and filters (RFC 4787,
 * RFC 5780). Asked once, of all servers at the same time.
 */
struct probe;

/* STUN servers, and TURN servers over UDP, which answer Binding requests too. */
#define PROBE_SERVERS_MAX (2 * SESSION_SERVERS_MAX)

enum probe_family { PROBE_IPV4, PROBE_IPV6, PROBE_FAMILIES };

enum probe_state { PROBE_ASKING, PROBE_ANSWERED, PROBE_FAILED };

struct probe_server {
	const struct url *url;
	enum probe_state state;
	bool found;                      /* its name has an address */
	uint64_t rtt_ns;                 /* of the first answer */
	union addr addr[PROBE_FAMILIES]; /* that was asked; AF_UNSPEC: none */
	bool answered[PROBE_FAMILIES];
	union addr mapped[PROBE_FAMILIES]; /* where it sees us, when it answered */
	char why[160];                     /* when it failed */
	bool lies; /* it failed since what it says of our address cannot be */
};

enum probe_mapping {
	PROBE_MAPPING_UNKNOWN,
	PROBE_MAPPING_NONE,        /* no NAT */
	PROBE_MAPPING_INDEPENDENT, /* of the endpoint: others can use what STUN tells */
	PROBE_MAPPING_DEPENDENT,   /* of the address, or address and port */
};

enum probe_filtering {
	PROBE_FILTERING_UNKNOWN,
	PROBE_FILTERING_INDEPENDENT,
	PROBE_FILTERING_ADDRESS,
	PROBE_FILTERING_PORT, /* address and port */
};

enum probe_answer { PROBE_UNKNOWN, PROBE_YES, PROBE_NO };

struct probe_result {
	bool done;
	const struct probe_server *server;
	size_t n_servers, n_answered, n_failed;
	/* Whether UDP gets out; unknown while, or because, nobody has been asked. */
	enum probe_answer udp;
	enum probe_mapping mapping; /* of IPv4, or of IPv6 where there is nothing else */
	enum probe_filtering filtering;
	enum probe_answer hairpin;
	union addr mapped[PROBE_FAMILIES]; /* AF_UNSPEC: unknown */
};

/* ${done} is called once, when nothing is outstanding any more, after three seconds
 * beyond the lookups at most; never from within probe_new(). NULL when resources are
 * short. ${s} must outlive the probe. ${thorough}: find out about filtering and
 * hairpinning, too, which takes the three seconds, and sends to where the servers say we
 * are. */
typedef void probe_done(void *arg);
struct probe *probe_new(struct event_base *base, const struct session *s, bool thorough,
			probe_done *done, void *arg, struct err *err);
void probe_free(struct probe *p);

/* The address to ask at next: of a server that has answered, and of those one that says
 * the same of us as most do, and of those the fastest; over IPv4 if any did, since with
 * IPv6 there is hardly ever a NAT. NULL: none. */
const union addr *probe_best(const struct probe *p);

/* As far as is known now; valid until the event loop goes on. */
void probe_get(const struct probe *p, struct probe_result *out);

/* Whether ${mapped} may be where others see us, as a server says: not a loopback address
 * that is not ours, nor, from a server in the internet, one of a private network. */
bool probe_plausible(const struct probe *p, const union addr *mapped);

/* Whether STUN servers have answered over ${outside}'s family, and every one of them sees
 * us at another address (ports do not matter): then it is not ours. */
bool probe_contradicts(const struct probe *p, const union addr *outside);

/* When it was started. */
uint64_t probe_started_ns(const struct probe *p);

#endif
