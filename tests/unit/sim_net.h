#ifndef MPCPROXY_TESTS_SIM_NET_H
#define MPCPROXY_TESTS_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A network in memory between two ends, 0 and 1, over numbered paths, with a clock of
 * its own: delay, rate and queue, loss, reordering, duplicates. Everything follows from
 * the seed, so that a test gives the same result every time.
 */
#define SIM_PATHS 64

struct sim_path {
	uint64_t delay_ns;  /* one way */
	uint64_t rate;      /* bytes per second, each way; 0: no limit */
	size_t queue_bytes; /* what waits for the rate at most; 0: no limit */
	unsigned loss_ppm;
	unsigned reorder_ppm; /* delayed by half the delay more */
	unsigned duplicate_ppm;
	bool dead; /* swallows everything */
};

struct sim_datagram {
	struct sim_datagram *next;
	uint64_t at_ns;
	uint64_t order; /* of sending, among equal times */
	uint32_t path;
	size_t len;
	uint8_t data[];
};

struct sim_net {
	uint64_t now_ns;
	struct sim_path path[SIM_PATHS];
	uint64_t random;
	uint64_t order;
	struct sim_datagram *queue[2]; /* towards each end, by time */
	struct sim_datagram *last[2];
	uint64_t busy_until_ns[2][SIM_PATHS];
	uint64_t delivered, lost;
};

/* All paths start as copies of ${path}. */
void sim_net_init(struct sim_net *net, uint64_t seed, const struct sim_path *path);
void sim_net_clear(struct sim_net *net);
void sim_net_set(struct sim_net *net, const struct sim_path *path);

/* A number below ${n}. */
uint64_t sim_net_random(struct sim_net *net, uint64_t n);

/* One datagram on its way to ${end}. */
void sim_net_send(struct sim_net *net, int end, uint32_t path, const uint8_t *data,
		  size_t len);

/* When the next datagram arrives anywhere; UINT64_MAX for none. */
uint64_t sim_net_next(const struct sim_net *net);

/* A datagram that has arrived at ${end} by now, to be freed; NULL for none. */
struct sim_datagram *sim_net_take(struct sim_net *net, int end);
/* Whether another has. */
bool sim_net_more(const struct sim_net *net, int end);

#endif
