#ifndef MPCPROXY_TESTS_FAKE_PROXY_H
#define MPCPROXY_TESTS_FAKE_PROXY_H

#include "tunnel/proxy.h"
#include "tunnel/run.h"

/* A proxy whose state is what the test writes into it. */
#define FAKE_PARTIES 3
#define FAKE_SELF    1

struct proxy {
	struct event_base *base;
	struct proxy_status status;
	struct peer_status peer[FAKE_PARTIES];
	struct place_status place;
	unsigned offers_asked;
	bool answers; /* pings; otherwise they stay without an answer */
	size_t pings; /* under way */
	/* The run, and what was asked of it. */
	struct run *run;
	uint8_t offer[RUN_OFFER_MAX];
	size_t offer_len;
	uint32_t agreed;
	enum run_end how;
	uint8_t code;
	bool has_gate;
	bool mpyc; /* connections of MPyC's programs are open */
	struct proxy_connection *connection; /* at most one */
	int joined;                          /* its socket */
	struct proxy_forward forward;        /* the last one added */
};

/* The session santa of alice, bob (ourselves) and carol. */
extern struct session fake_session;

/* Alice connected on a direct path, carol on none; nothing else has happened. */
void fake_proxy_init(struct proxy *p, struct event_base *base);

/* To call back what is in ${p->run}. */
const struct run_callbacks *fake_run_callbacks(struct proxy *p, void **arg);
/* It is over. */
void fake_proxy_end_connection(struct proxy *p, const char *why);

void fake_proxy_connect(struct proxy *p, size_t index, bool connected);

#endif
