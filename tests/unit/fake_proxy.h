#ifndef MPCPROXY_TESTS_FAKE_PROXY_H
#define MPCPROXY_TESTS_FAKE_PROXY_H

#include "tunnel/proxy.h"

/* A proxy whose state is what the test writes into it. */
#define FAKE_PARTIES 3
#define FAKE_SELF    1

struct proxy {
	struct event_base *base;
	struct proxy_status status;
	struct peer_status peer[FAKE_PARTIES];
	bool answers; /* pings; otherwise they stay without an answer */
	size_t pings; /* under way */
};

/* The session santa of alice, bob (ourselves) and carol. */
extern struct session fake_session;

/* Alice connected on a direct path, carol on none; nothing else has happened. */
void fake_proxy_init(struct proxy *p, struct event_base *base);

void fake_proxy_connect(struct proxy *p, size_t index, bool connected);

#endif
