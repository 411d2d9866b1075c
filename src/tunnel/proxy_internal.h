#ifndef MPCPROXY_TUNNEL_PROXY_INTERNAL_H
#define MPCPROXY_TUNNEL_PROXY_INTERNAL_H

#include "base/log.h"
#include "rendezvous/contact.h"
#include "rendezvous/mailbox.h"
#include "tunnel/associate.h"
#include "tunnel/peer.h"
#include "tunnel/place.h"
#include "tunnel/ports.h"
#include "tunnel/proxy.h"
#include "tunnel/socks.h"

/* What proxy.c and reload.c share. */

/* A configuration of before that something may still point into. */
struct retired {
	struct session *session;
	struct local *local;
};

struct proxy {
	struct event_base *base;
	struct session *session;
	struct local *local;
	const struct identity *identity;
	struct proxy_callbacks cb;
	void *arg;
	size_t self;
	struct party us; /* as in session.ini, at an address that stays */
	SSL_CTX *client_ctx, *server_ctx;
	struct path_context *path_ctx;
	struct mailbox *mailbox;
	struct socks *socks;
	struct associations *associations;
	struct log_gate socks_gate;
	struct ports *ports;
	struct runs *runs;
	struct peer **peers;   /* by index; NULL at our own */
	struct place **places; /* as in session.ini */
	size_t n_places;
	bool online; /* some place, as the peers were told */
	struct network *network;
	struct doubles *doubles;
	uint8_t incarnation[CONTACT_INCARNATION_BYTES]; /* towards our own party */
	struct event *drain;
	bool draining;
	uint64_t drain_until_ns;
	uint64_t started_ns;
	struct retired retired[PROXY_RETIRED_MAX];
	size_t n_retired;
};

/* Make what p->session and p->local ask for, without any effect on what is there. */
struct place *proxy_open_place(struct proxy *p, const struct url *url, struct err *err);
struct peer *proxy_make_peer(struct proxy *p, size_t self, size_t index, struct err *err);
int proxy_prepare_ports(struct proxy *p, size_t self, struct err *err);
/* NULL when local.ini does not ask for one; -1 when it cannot be. */
int proxy_serve_mailbox(struct proxy *p, struct mailbox **mailbox, struct err *err);

bool proxy_any_online(const struct proxy *p);

#endif
