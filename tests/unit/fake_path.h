#ifndef MPCPROXY_TESTS_FAKE_PATH_H
#define MPCPROXY_TESTS_FAKE_PATH_H

#include <event2/event.h>

#include "path/path.h"

/* How long what is sent is under way. */
#define FAKE_PATH_TRIP_US 1000

/*
 * path.h without a network: two paths are a pair once each has the other's bundle, and
 * then ready, unless the test wants otherwise.
 */
struct fake_paths {
	struct event_base *base;
	/* By role, 0 the controlled, 1 the controlling: how many of the paths made
	 * from now on fail instead of getting ready, or never get anywhere. */
	unsigned fail[2], stall[2];
	unsigned hollow[2]; /* or get ready, but carry nothing */
	unsigned asked[2];  /* questions of full size */
	unsigned probes[2]; /* of any size */
	unsigned made[2];
	unsigned taken_over[2];
	struct path *newest[2];
	bool lost_address[2]; /* by role: what path_has_lost_address() says */
	bool swallow;         /* all datagrams */
	bool mute[2];         /* those of one role */
	bool probes_only;     /* all others are lost */
	bool relayed; /* paths made from now on, unless only direct ones are wanted */
	size_t negotiations; /* Version Negotiation packets that arrived */
};
extern struct fake_paths fake_paths;

/* ${p} works no more; the other side does not notice. */
void fake_path_fail(struct path *p);
/* Nothing passes on ${p}'s pair any more, either way, and nobody is told. */
void fake_path_cut(struct path *p);
void fake_path_mend(struct path *p);
/* It was to get nowhere; now it gets on. */
void fake_path_go_on(struct path *p);
/* The other side asks ${p} whether it is there. */
void fake_path_ask(struct path *p);
/* Say once more that a pair is selected. */
void fake_path_select_again(struct path *p);
/* A datagram that somebody else sends to ${p}. */
void fake_path_inject(struct path *p, const uint8_t *data, size_t len);
/* Whether ${p} has what it needs of the other side. */
bool fake_path_is_ready(const struct path *p);

#endif
