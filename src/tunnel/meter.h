#ifndef MPCPROXY_TUNNEL_METER_H
#define MPCPROXY_TUNNEL_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A token bucket: so many bytes each second, and a tenth of that, at least
 * METER_BURST_MIN, at once. All zero: no limit. */
struct meter {
	uint64_t rate; /* bytes each second; 0: no limit */
	int64_t left; /* tokens; below 0: owed for a datagram */
	uint64_t filled_ns;
};

#define METER_BURST_MIN (16 * 1024)

/* Limit to ${rate}, from ${now_ns} on; what is left stays as far as it fits. */
void meter_set(struct meter *m, uint64_t rate, uint64_t now_ns);

/* How many of ${want} bytes may move now. */
size_t meter_allow(struct meter *m, size_t want, uint64_t now_ns);
/* ${len} of them have moved. */
void meter_take(struct meter *m, size_t len);
/* For what cannot be cut: whether ${len} bytes may move now, and then they have. What they
 * are more than was left has to come in before anything else may move. */
bool meter_pass(struct meter *m, size_t len, uint64_t now_ns);

#endif
