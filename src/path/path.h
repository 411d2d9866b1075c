#ifndef MPCPROXY_PATH_PATH_H
#define MPCPROXY_PATH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "path/probe.h"
#include "session/local.h"
#include "session/session.h"

/*
 * A path: one ICE generation towards one peer. It gathers candidates, checks pairs
 * (RFC 8445) and then carries datagrams. Nothing above this header knows whether they
 * go through libnice's agent or a socket of our own.
 */
struct path;

/* What all paths of a process share: GLib's loop inside libevent's, the address
 * families, UPnP. One per process. */
struct path_context;

struct path_context *path_context_new(struct event_base *base, struct err *err);
/* What holds for all paths: the HTTP proxy for TURN over TCP and TLS, and the CAs of
 * turns: servers; whether the router is asked for ports. Asks the session's STUN servers,
 * so that paths use one that answers, and looks for the router.
 * Before the first path; both must outlive the context. */
void path_context_set(struct path_context *ctx, const struct session *session,
		      const struct local *local);

/* After every path of it has been freed. Takes a second or so at most: relayed addresses
 * and the router's ports are given back. */
void path_context_free(struct path_context *ctx);

#define PATH_CANDIDATES_MAX 25  /* of each side, in all bundles; libnice takes no more */
#define PATH_CANDIDATE_MAX  193 /* bytes of a candidate line, with its NUL */
#define PATH_DATAGRAM_MAX   1500

struct path_config {
	bool controlling;
	/* How long the other side may take to begin, from its last bundle on, and before
	 * that to send one; NATs are kept open meanwhile. 0: as long as a rendezvous
	 * takes. */
	uint64_t patience_ns;
	enum path_policy policy;
	const struct session *session; /* for stun and turn servers; must outlive it */
	const char *turn_user;         /* NULL: the turn servers are not used */
	const char *turn_password;
};

/* One bundle of local candidates for the other side. */
struct path_bundle {
	char ufrag[257];
	char pwd[257];
	char candidate[PATH_CANDIDATES_MAX][PATH_CANDIDATE_MAX]; /* RFC 8839, 5.1, from
						   the foundation on */
	size_t n;
	bool last; /* gathering has ended */
};

struct path_callbacks {
	/* Local candidates: the host candidates at once, the rest as it comes, in few
	 * bundles; one bundle with ${last} when there is no more to wait for. */
	void (*bundle)(void *arg, const struct path_bundle *bundle);
	/* A pair is selected: datagrams can be sent. Also called when another pair
	 * is selected later. */
	void (*ready)(void *arg);
	/* It cannot work, or works no more. Called at most once; only path_free() may
	 * follow. ${why} is one phrase. */
	void (*failed)(void *arg, const char *why);
	/* A datagram from the peer's address (unauthenticated: QUIC decides), perhaps
	 * before ready(): the peer may be ahead. The bytes may be modified in place
	 * and are valid during the call. */
	void (*datagram)(void *arg, uint8_t *data, size_t len);
	/* After path_send() took less than all: there is room again. */
	void (*writable)(void *arg);
	/* A probe (path_probe()) was answered: the path carries datagrams both ways. */
	void (*alive)(void *arg);
	/* The other side probes: it misses something of ours. */
	void (*probed)(void *arg);
};

/*
 * Create the path and start gathering. Callbacks come from the event loop only,
 * never from within a call on the path, and none after path_free().
 */
struct path *path_new(struct path_context *ctx, const struct path_config *cfg,
		      const struct path_callbacks *cb, void *arg, struct err *err);
void path_free(struct path *p);

/*
 * The other side's bundle: parsed strictly, refused as a whole when any line is
 * malformed, has priority 0, or there are more than PATH_CANDIDATES_MAX with those
 * of earlier bundles. A candidate that is well-formed but of no use here (TCP,
 * IPv6 link-local, unknown type) is passed over. ufrag and pwd must be the same in
 * every bundle. An exact repetition of a bundle changes nothing.
 */
int path_remote(struct path *p, const char *ufrag, const char *pwd,
		const char *const *candidate, size_t n, bool last, struct err *err);

/*
 * Send ${len} bytes, a train of datagrams of ${segment} bytes each (the last may be
 * shorter). Returns the bytes taken, a multiple of ${segment} or all; when that is
 * less than all there is no room now (writable() follows). Losses are the network's:
 * what was taken may still not arrive.
 */
size_t path_send(struct path *p, const uint8_t *data, size_t len, size_t segment);

/* Ask the other side for a sign of life: alive() follows, or does not. Nothing is sent
 * before ready(). ${full}: with a datagram of the size that QUIC needs, both ways. */
void path_probe(struct path *p, bool full);

/* Whether the local address that it sends from is no longer this machine's. */
bool path_has_lost_address(const struct path *p);

enum path_candidate_type {
	PATH_HOST,
	PATH_SERVER_REFLEXIVE,
	PATH_PEER_REFLEXIVE,
	PATH_RELAYED,
};

/*
 * Both sides have said that their agents have concluded (the other side's word comes by
 * signalling): from here on a connected socket of our own may take the pair's datagrams
 * over from libnice, which is many times faster. Does nothing on relayed paths and where
 * the kernel refuses; path_get_info() tells. Not from within datagram().
 */
void path_take_over(struct path *p);

/* What status says of a path. */
struct path_info {
	bool ready;
	bool relayed; /* either end's candidate is relayed */
	enum path_candidate_type local_type, remote_type;
	union addr local, remote;
	const char *carrier; /* "agent" or "socket" */
};

void path_get_info(const struct path *p, struct path_info *info);

/* What is known of our own network: as STUN servers and gathering have told so far. */
struct path_facts {
	enum probe_answer udp;
	enum probe_mapping mapping;
	bool ipv4, ipv6, reflexive, relayed; /* local candidates */
	size_t turn_servers;                 /* asked */
	bool same_nat;                       /* the other side has our address outside */
};
void path_get_facts(const struct path *p, struct path_facts *facts);
const char *
path_candidate_type_name(enum path_candidate_type type); /* "host", "srflx", ... */

#endif
