#ifndef MPCPROXY_TUNNEL_LINK_H
#define MPCPROXY_TUNNEL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/err.h"
#include "path/path.h"
#include "quic/quic.h"
#include "rendezvous/envelope.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"
#include "tunnel/conn.h"
#include "tunnel/why.h"

/*
 * The connection to one party: from the first sealed message through ICE to an
 * authenticated QUIC connection, again and again until it stands, and again when it is
 * lost. The party with the smaller index is the ICE controlling agent and QUIC client
 * and counts the generations; the other one answers under the same number.
 */
struct link;

struct link_config {
	struct event_base *base;
	struct path_context *path_ctx;
	SSL_CTX *client_ctx, *server_ctx;
	const struct session *session;
	const struct local *local;
	const struct identity *identity;
	const uint8_t *incarnation; /* contact.h */
	/* All pointers must outlive the link, and what they lead to may change under it:
	 * the session with its parties' indices, the parties' names and policies, but
	 * neither keys nor which index is the smaller one. */
	const struct party *us, *them;
	size_t self, peer; /* indices when the link is made */
	struct runs *runs; /* for the peer that has the link: run.h */
};

struct link_callbacks {
	/* Leave sealed bytes in the peer's box, at every rendezvous. */
	void (*send)(void *arg, const uint8_t *sealed, size_t len);
	/* The path has fallen silent: a new one may have to be agreed on soon. May be
	 * NULL. */
	void (*silent)(void *arg);
	/* Both ends are authenticated; streams can be opened. */
	void (*up)(void *arg);
	/* The connection is gone, and all its streams before it. ${why} is a phrase. */
	void (*down)(void *arg, const char *why);
	/* The peer opened a stream; the owner for it, or NULL to refuse it. */
	struct link_owner *(*opened)(void *arg, struct quic_stream *s);
	/* A datagram of the peer's (RFC 9221). May be NULL. */
	void (*datagram)(void *arg, const uint8_t *data, size_t len);
	/* The peer says that another process runs with our identity, and refuses us:
	 * link_info.refused. */
	void (*refused)(void *arg);
	/* The peer has a newer roster of the session, signed by its host: ${s} is the
	 * callee's. */
	void (*roster)(void *arg, struct session *s);
};

struct link *link_new(const struct link_config *cfg, const struct link_callbacks *cb,
		      void *arg, struct err *err);
/* Ends the connection, telling the peer that we shut down. Calls nothing back. */
void link_free(struct link *l);

/* A rendezvous became reachable, or the last one unreachable. */
void link_rendezvous(struct link *l, bool online);
/* session.ini has changed to one with this roster; the connection stays. The peer is told:
 * also over the connection, when a host has signed it. */
void link_set_roster(struct link *l, const uint8_t *digest);
/* The peer is in the session no more: tell it so once, before link_free(). That will then
 * not end our life in the peer's eyes, or what we tell it would not
 * count. */
void link_dismiss(struct link *l);
/* The machine's addresses or routes have changed. */
void link_network_changed(struct link *l);
/* Sealed bytes that name this peer as their sender. */
void link_sealed(struct link *l, const uint8_t *sealed, size_t len);

/* By hand: generations.h. */
int link_offer(struct link *l, struct err *err);
int link_get_offer(struct link *l, uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len,
		   struct err *err);
enum link_taken {
	LINK_NOT_TAKEN, /* the message says why */
	LINK_TAKEN,
	LINK_TAKEN_UNANSWERED, /* the peer does not have ours yet: it is new */
};
/* ${age} is when it was made, for people. */
#define LINK_AGE_BYTES 48
enum link_taken link_take_offer(struct link *l, const uint8_t *sealed, size_t len,
				char age[LINK_AGE_BYTES], struct err *err);

/* A stream of the peer's to the service `signal`: its owner, or NULL to refuse it. */
struct link_owner *link_accept_signals(struct link *l, struct quic_stream *s);

bool link_is_up(const struct link *l);
/* It is up, and the peer is heard. */
bool link_is_well(const struct link *l);
/* The peer's stream for its roster, and what came on it: roster_stream.h. */
struct link_owner *link_accept_roster(struct link *l, struct quic_stream *qs);
void link_take_roster(struct link *l, const uint8_t *data, size_t len);
/* NULL when the link is down or the peer allows no more streams now. */
struct quic_stream *link_open_stream(struct link *l, struct link_owner *owner);
/* As quic_datagram_send(). */
int link_send_datagram(struct link *l, const struct iovec *part, int n);
/* Send what streams have written, before the event loop waits again. */
void link_flush_soon(struct link *l);

struct link_info {
	bool up;
	bool refused;      /* the peer takes us for a second copy of our party */
	uint64_t since_ns; /* of the last change of ${up}, or the start */
	const char *state; /* a word or two for status */
	bool has_path;
	struct path_info path;
	struct quic_info quic; /* its streams without our own two for signals */
	const char *last_error; /* "" for none */
	char why[WHY_BYTES];    /* why.h: over a relay, or no path; "" else */
};
void link_get_info(const struct link *l, struct link_info *info);

#endif
