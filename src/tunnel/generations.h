#ifndef MPCPROXY_TUNNEL_GENERATIONS_H
#define MPCPROXY_TUNNEL_GENERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rendezvous/envelope.h"
#include "tunnel/attempt.h"
#include "tunnel/link.h"

/*
 * The paths towards one peer: at most one in use (active) and one under negotiation
 * (next), each a generation of its own. The QUIC client counts them and starts a new one
 * whenever it wants a path, again and again with backoff; the server answers under the
 * same number, and asks for another when one has failed it. While the active path is
 * relayed, the client tries for a direct one now and then (search.h).
 */
struct generations;

struct generations_callbacks {
	/* These five are contact.h's. After met() with ${replaced} nothing is left of
	 * the active path's connection. */
	void (*send)(void *arg, const uint8_t *sealed, size_t len);
	void (*met)(void *arg, bool replaced);
	bool (*heard)(void *arg, uint64_t since_ns);
	void (*refused)(void *arg);
	void (*roster_differs)(void *arg);
	void (*roster_agrees)(void *arg);
	/* The peer's signed roster, not verified. */
	void (*roster)(void *arg, const uint8_t *data, size_t len);
	/* A pair works: ${a} may be tried. Once for each attempt. */
	void (*ready)(void *arg, struct attempt *a);
	/* ${a} works no more, or never did. */
	void (*failed)(void *arg, struct attempt *a, const char *why);
	void (*datagram)(void *arg, struct attempt *a, uint8_t *data, size_t len);
	void (*writable)(void *arg, struct attempt *a);
	void (*alive)(void *arg, struct attempt *a);
	void (*probed)(void *arg, struct attempt *a);
	/* The next path is given up: end what uses it. */
	void (*giving_up)(void *arg);
};

struct generations *generations_new(const struct link_config *cfg,
				    const struct generations_callbacks *cb, void *arg,
				    struct err *err);
/* Whatever uses the paths has been ended. NULL is ignored. */
void generations_free(struct generations *g);

/* Some rendezvous is reachable, or none any more. */
void generations_set_online(struct generations *g, bool online);
/* The connection itself carries what generations_callbacks.send() is given, or does not
 * any more. */
void generations_set_inband(struct generations *g, bool open);
/* session.ini has changed. */
void generations_set_roster(struct generations *g, const uint8_t *digest);
/* Send ours to the peer. */
void generations_tell_roster(struct generations *g);
/* The machine's addresses or routes have changed. */
void generations_network_changed(struct generations *g);
/* A sealed message that claims to come from this peer. */
void generations_receive(struct generations *g, const uint8_t *sealed, size_t len);

/* NULL for none. */
struct attempt *generations_active(const struct generations *g);
struct attempt *generations_next(const struct generations *g);
struct attempt *generations_find(const struct generations *g, uint32_t number);

/* Send on the path with this number, as path_send(); one that is gone loses what is sent
 * on it, as any path may. */
size_t generations_send(struct generations *g, uint32_t number, const uint8_t *data,
			size_t len, size_t segment);

/* The next path has proved itself: it is the active one from now on. */
void generations_promote(struct generations *g);
/* The next path was tried in vain. Done soon, from the event loop. */
void generations_give_up(struct generations *g);
/* Nothing uses the active path any more. */
void generations_drop_active(struct generations *g);

/* The active path will not do: another is wanted, unless one is under negotiation. With
 * ${at_once} the client starts now, otherwise with backoff. */
void generations_want(struct generations *g, bool at_once);
/* The active path will do after all. */
void generations_settle(struct generations *g);
/* The peer has shut down in good order: nothing is negotiated until it returns. */
void generations_peer_left(struct generations *g);

/* The next path is to replace a relayed one that works, and may fail for that reason
 * without anybody's missing it. */
bool generations_is_searching(const struct generations *g);

/* The next path leads to another life of the peer than the connection in use does. */
bool generations_is_of_other_life(const struct generations *g);

/*
 * By hand, where no rendezvous carries messages: gather candidates for one more attempt,
 * seal them for a block, take the peer's. Ours stands for hours, beside all others, until
 * the peer has it; the first that works ends the rest.
 */
int generations_offer(struct generations *g, struct err *err);
/* 1: it is in ${sealed}; 0: still gathering; -1: there is none. */
int generations_get_offer(struct generations *g, uint8_t sealed[ENVELOPE_SEALED_MAX],
			  size_t *len, struct err *err);
enum link_taken generations_take_offer(struct generations *g, const uint8_t *sealed,
				       size_t len, char age[LINK_AGE_BYTES], struct err *err);

/* What is going on, in a few words. */
const char *generations_state(const struct generations *g);

#endif
