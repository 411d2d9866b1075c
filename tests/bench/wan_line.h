#ifndef MPCPROXY_BENCH_WAN_LINE_H
#define MPCPROXY_BENCH_WAN_LINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * One direction of a line with a rate, a queue before it, a delay, and losses. No clock
 * and no sockets: times (nanoseconds, not decreasing from call to call) and bytes are
 * arguments. Everything random follows from the seed and the order of the packets.
 */
struct wan_line;

struct wan_config {
	uint64_t rate_bps;  /* 0: no limit, and no queue */
	uint64_t queue_ns;  /* what waits for the rate at most, as time on the line */
	uint64_t delay_ns;  /* one way */
	uint64_t jitter_ns; /* added to the delay, uniformly from 0 to this; packets that
			       it puts out of order arrive so */
	double loss;  /* of all packets, 0 to 1 (Gilbert-Elliott when ${burst} > 1) */
	double burst; /* mean length of a run of losses, 100 ms at most; 0 and 1:
			       independent */
	uint64_t seed;
};

struct wan_counters {
	uint64_t packets, bytes; /* that came */
	uint64_t delivered;
	uint64_t delivered_bytes;
	uint64_t overflowed; /* dropped at the queue's tail */
	uint64_t lost;       /* on the line */
	uint64_t reordered;  /* delivered after one that came later */
	uint64_t queue_max_ns;
};

/* What one line may hold at most: 200 Mbit/s for a second in packets of 1,500 bytes
 * are 17,000. Beyond it packets overflow. */
#define WAN_PACKETS_MAX 32768

/* NULL when there is no memory. ${cfg} is copied. */
struct wan_line *wan_line_new(const struct wan_config *cfg);
void wan_line_free(struct wan_line *l);

/* From now on the line is another; what is on it arrives as it was to. The seed does not
 * count. */
void wan_line_set(struct wan_line *l, const struct wan_config *cfg);

/* A packet comes; it is copied when the line takes it. */
void wan_line_put(struct wan_line *l, uint64_t now_ns, const void *data, size_t len);

/* When the next packet arrives at the far end; UINT64_MAX for none. */
uint64_t wan_line_next(const struct wan_line *l);

/* A packet that has arrived by ${now_ns}, valid until the next call on the line; NULL
 * for none. */
const void *wan_line_take(struct wan_line *l, uint64_t now_ns, size_t *len);

const struct wan_counters *wan_line_counters(const struct wan_line *l);

#endif
