#ifndef MPCPROXY_TESTS_PATH_RIG_H
#define MPCPROXY_TESTS_PATH_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "path/context.h"
#include "path/path.h"

/*
 * Both ends of paths in one loop. Bundles go from one to the other directly, or later.
 */
#define RIG_BUNDLES_MAX 6

extern struct event_base *rig_base;
extern struct path_context *rig_ctx;

struct end;

struct rig_delivery {
	struct end *from;
	struct path_bundle bundle;
	struct event *timer;
};

struct end {
	/* To be set before it is opened. */
	struct path_config cfg; /* session: none by default */
	unsigned delay_ms;      /* of its bundles */
	bool reverse;           /* its first bundle is delivered after its second */
	const char *wrong_pwd;  /* signalled instead of the right one */
	bool free_in_bundle, free_in_ready, free_in_datagram, free_in_failed;

	struct path *path;
	struct end *other; /* NULL: its bundles go nowhere */
	struct rig_delivery sent[RIG_BUNDLES_MAX];
	size_t n_sent; /* bundles that it gave out */
	size_t n_ready, n_failed, n_datagrams, n_writable, n_alive, n_probed;
	char why[200];
	uint8_t last[PATH_DATAGRAM_MAX]; /* datagram received */
	size_t last_len;
};

extern const struct path_callbacks rig_callbacks;

/* For cmocka. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Instead of the interfaces' addresses; ${b} may be NULL. */
void rig_use_hosts(const char *a, const char *b);

void rig_open(struct end *e, struct end *other);
/* ${a} is controlling. */
void rig_open_pair(struct end *a, struct end *b);
void rig_close(struct end *e);

/* Run the loop until ${done} says so; fail when that takes too long. */
void rig_run_until(bool (*done)(void *), void *arg);
void rig_run_for(unsigned ms);

struct ends {
	struct end *e;
	size_t n;
};

bool rig_all_ready(void *ends); /* fails the test when one has failed */
bool rig_has_bundle(void *end);
bool rig_has_last_bundle(void *end);
bool rig_has_failed(void *end);
bool rig_has_datagram(void *end);
bool rig_is_writable(void *end);

/* A datagram of ${len} bytes arrives as it was. */
void rig_send(struct end *from, struct end *to, size_t len);
/* Datagrams of many sizes both ways. */
void rig_exchange(struct end *a, struct end *b);

#endif
