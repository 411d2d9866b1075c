#ifndef MPCPROXY_TUNNEL_PROXY_H
#define MPCPROXY_TUNNEL_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"
#include "path/path.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"
#include "tunnel/place.h"

/* One party's proxy: its peers, listeners and rendezvous, on one event loop. */
struct proxy;

struct proxy_callbacks {
	/* The number of connected parties has changed. */
	void (*changed)(void *arg);
	/* The proxy cannot go on (a second copy of this party runs elsewhere);
	 * ${why} has been logged. */
	void (*fatal)(void *arg, const char *why);
	/* After proxy_drain(): nothing is left to send, or the time is up. */
	void (*drained)(void *arg);
	/* Another party has sent a newer roster of our session, signed by its host; ${s}
	 * is the callee's. For proxy_reload(), but not from within. May be NULL. */
	void (*roster)(void *arg, struct session *s);
};

/*
 * Bind every local port first: when one is taken nothing has been started, and the
 * message says which port and what for. All pointers must outlive the proxy.
 */
struct proxy *proxy_new(struct event_base *base, struct session *s, struct local *l,
			const struct identity *id,
			const struct proxy_callbacks *cb, void *arg, struct err *err);
void proxy_free(struct proxy *p);

/*
 * Apply the configuration ${s} and ${l} to the running proxy, which takes both over,
 * whatever becomes of it. Parties are told apart by their keys: streams and connections
 * of those that stay are not touched, those of parties that are gone end at once. -1 when
 * something in it cannot be done: then nothing has changed, and ${err} says why. On
 * success the objects given to proxy_new() have their new contents, at the same
 * addresses, and ${summary} says in a phrase what has changed.
 */
int proxy_reload(struct proxy *p, struct session *s, struct local *l,
		 char summary[ERR_TEXT_BYTES], struct err *err);

/* Reloads in one life that change a list of servers or the HTTP proxy: what looks one up
 * may hold a pointer to it for as long, so the old lists stay. One more is refused. */
#define PROXY_RETIRED_MAX 64

/* Take no new connections, let streams send what they hold (at most ${limit_ns}), tell
 * the peers; then drained(). */
void proxy_drain(struct proxy *p, uint64_t limit_ns);

/* What status says of one party. */
struct peer_status {
	const char *name;
	size_t index;
	bool connected;
	uint64_t since_ns; /* since when it has been connected or not, monotonic */
	char state[48];    /* "connected", "waiting for bob", "checking pairs", ... */
	bool has_path;
	struct path_info path;
	uint64_t smoothed_rtt_ns;
	size_t streams;      /* live */
	size_t held;         /* accepted and not yet at the far program */
	uint64_t bytes_sent; /* of streams' data */
	uint64_t bytes_received;
	uint64_t datagrams_lost;
	char last_error[200]; /* "" for none */
	char why[320];        /* over a relay, or not connected: for which reason */
	enum presence presence;
};

struct proxy_status {
	const char *session;
	const char *party; /* our own name */
	size_t index;
	size_t n_parties;
	uint16_t base_port;
	size_t n_connected; /* other parties */
	bool rendezvous_online; /* some is */
	size_t n_rendezvous;
	uint64_t started_ns;
};

void proxy_get_status(const struct proxy *p, struct proxy_status *out);
/* ${index} is a party's index other than our own; -1 otherwise. */
int proxy_get_peer_status(const struct proxy *p, size_t index, struct peer_status *out);
/* ${i} is below n_rendezvous; -1 otherwise. */
int proxy_get_place_status(const struct proxy *p, size_t i, struct place_status *out);

/*
 * Join ${fd}, a connected stream socket, to what ${party} exposes as ${target}. Takes
 * ${fd} over. ended() is called when it is over: well, or ${why} not; never from within
 * this call. NULL when that party does not exist or there are too many streams.
 */
struct proxy_connection;
typedef void proxy_connection_ended(void *arg, const char *why);
struct proxy_connection *proxy_connect(struct proxy *p, const char *party,
				       const struct target *target, int fd,
				       proxy_connection_ended *ended, void *arg,
				       struct err *err);
/* End it; ended() is not called. */
void proxy_connection_cancel(struct proxy_connection *c);

/* Forwards. Those that are added here, and not by local.ini, stay until they are removed
 * or the proxy ends. */
struct proxy_forward {
	struct endpoint at;
	const char *party;
	struct target target;
	bool added;
};

int proxy_add_forward(struct proxy *p, const struct endpoint *at, const char *party,
		      const struct target *target, struct err *err);
int proxy_remove_forward(struct proxy *p, const struct endpoint *at, struct err *err);
void proxy_each_forward(struct proxy *p,
			void (*each)(void *arg, const struct proxy_forward *f),
			void *arg);

/*
 * Meeting by hand (block.h). proxy_offer() gathers candidates for every party that is not
 * connected, if that is not done yet, and when all is there puts a block for them into
 * ${*text}, malloc'ed, and for whom it is into ${whom}: 1; 0 while it is gathering, to be
 * called again; -1 and why.
 */
#define PROXY_WHOM_BYTES 512
int proxy_offer(struct proxy *p, char **text, char whom[PROXY_WHOM_BYTES],
		struct err *err);

/* Take what is sealed for us in another party's block: 0 and what to say, or -1 and why. */
int proxy_accept(struct proxy *p, const uint8_t *sealed, size_t len,
		 char summary[ERR_TEXT_BYTES], struct err *err);

/*
 * One round trip on the tunnel to the party called ${name}: done(arg, rtt_ns, NULL), or done(arg,
 * 0, why) when it cannot be measured. Never called from within proxy_ping(). The
 * result can be cancelled with proxy_ping_cancel(); NULL when the party is not
 * connected (${err} says so).
 */
struct proxy_ping;
typedef void proxy_ping_done(void *arg, uint64_t rtt_ns, const char *why);
struct proxy_ping *proxy_ping(struct proxy *p, const char *name,
			      proxy_ping_done *done, void *arg, struct err *err);
void proxy_ping_cancel(struct proxy_ping *ping);

#endif
