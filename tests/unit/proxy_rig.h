#ifndef MPCPROXY_TESTS_PROXY_RIG_H
#define MPCPROXY_TESTS_PROXY_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "check.h"
#include "session/identity.h"
#include "session/local.h"
#include "session/session.h"
#include "tunnel/link.h"
#include "tunnel/proxy.h"

/*
 * Up to three whole proxies in one process, on one event loop, that find each other in
 * a shared folder; and the local programs that use them, as plain sockets.
 */
#define RIG_PARTIES_MAX 3

struct rig_party {
	struct proxy_rig *rig;
	struct identity *id;
	struct local *local;
	struct proxy *proxy; /* NULL while it does not run */
	uint16_t base_port;
	bool fatal, drained;
	unsigned news; /* the version of the newest roster it was told, 0 for none */
};

struct proxy_rig {
	struct event_base *base;
	struct event *tick; /* the programs' sockets are not in the loop */
	char dir[64];
	int claim; /* to our ports */
	struct session *session;
	size_t n;
	struct rig_party party[RIG_PARTIES_MAX];
};

/* Parties 0 to ${n} - 1, called alice, bob, carol; none runs yet. */
void rig_init(struct proxy_rig *r, size_t n);
/* Stops whatever runs. */
void rig_free(struct proxy_rig *r);

/* Let ${i} run with ${lines} in its local.ini, the base port besides. */
void rig_start(struct proxy_rig *r, size_t i, const char *lines);
void rig_stop(struct proxy_rig *r, size_t i);
/* Start all with no lines and wait until all are connected. */
void rig_start_all(struct proxy_rig *r);

bool rig_connected(struct proxy_rig *r, size_t i, size_t j);
/* What ${i} says of its streams with ${j}. */
size_t rig_live(struct proxy_rig *r, size_t i, size_t j);
size_t rig_held(struct proxy_rig *r, size_t i, size_t j);

/* One turn of the loop. */
void rig_turn(struct proxy_rig *r);

/* Turn the loop until ${condition}; that takes so long only when it hangs. */
#define RIG_HANG_NS (30 * NS_PER_S)
#define RIG_UNTIL(r, condition)                                                          \
	do {                                                                             \
		uint64_t hang_ns_ = clock_now_ns() + RIG_HANG_NS;                        \
		while (!(condition)) {                                                   \
			if (clock_now_ns() > hang_ns_)                                   \
				fail_msg("it never came to: %s", #condition);            \
			rig_turn(r);                                                     \
		}                                                                        \
	} while (0)

/* --- local programs; every descriptor is non-blocking --- */

/* Where ${i}'s MPyC program dials for party ${j}, and where it listens. */
uint16_t rig_mpyc_port(const struct proxy_rig *r, size_t i, size_t j);
/* Number ${i} of a few that no test beside us uses, whether somebody listens or not: what
 * the kernel gives out, and is closed, it gives to the next who asks. */
uint16_t rig_port(const struct proxy_rig *r, size_t i);
int program_dial(uint16_t port);
/* ${*port} 0: any, and says which. */
int program_listen(uint16_t *port);
int program_accept(struct proxy_rig *r, int lfd);
/* Nobody waits to be accepted now. */
bool program_is_alone(int lfd);
void program_send(struct proxy_rig *r, int fd, const void *data, size_t len);
/* Exactly these bytes come next. */
void program_expect(struct proxy_rig *r, int fd, const void *data, size_t len);
void program_expect_eof(struct proxy_rig *r, int fd);
void program_expect_reset(struct proxy_rig *r, int fd);
/* Close so that the other end sees a reset. */
void program_abort(int fd);

/* --- a party whose streams are the test's, to misbehave with --- */

struct raw_party {
	struct proxy_rig *rig;
	size_t index, peer;
	struct local *local;
	struct rendezvous *rendezvous;
	struct path_context *path_ctx;
	SSL_CTX *client_ctx, *server_ctx;
	uint8_t incarnation[16];
	struct link *link;
	char down[200];
	bool refused; /* told that it is a second copy */
};

struct raw_stream {
	struct link_owner owner; /* first: see conn.h */
	struct quic_stream *qs;
	uint8_t got[4096];
	size_t n_got;
	bool stall; /* keep the credit */
	bool fin, reset, closed, lost;
	uint64_t code;
};

/* ${index} must not run as a proxy, except to be a second copy of it. */
void raw_start(struct raw_party *raw, struct proxy_rig *r, size_t index, size_t peer);
void raw_stop(struct raw_party *raw);
void raw_open(struct raw_party *raw, struct raw_stream *s);
void raw_send(struct raw_party *raw, struct raw_stream *s, const void *data, size_t len);
void raw_finish(struct raw_party *raw, struct raw_stream *s);
void raw_abort(struct raw_party *raw, struct raw_stream *s);

#endif
