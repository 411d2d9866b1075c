#ifndef MPCPROXY_QUIC_PACER_H
#define MPCPROXY_QUIC_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * When packets may leave (RFC 9002, 7.7), in trains that go out with one call (GSO).
 * The account is kept from one train to the next, so that many wake-ups in a row do not
 * add up to more than the rate; ngtcp2's own pacing forgets. Above some 480 Mbit/s, when a
 * train takes less time than an event loop can tell, nothing is held back: there the
 * congestion window alone rules.
 */
struct pacer {
	uint64_t paid_ns; /* until then the rate is used up */
	uint64_t end_ns;  /* the train under way may use it up to here */
	bool waiting;     /* there may be more to send */
};

/* Before a train: the rate in bytes per nanosecond; 0 for no limit. Whether it may
 * leave now. */
bool pacer_begin(struct pacer *p, double rate, uint64_t now_ns);
/* ${len} bytes leave at ${rate}. */
void pacer_sent(struct pacer *p, double rate, size_t len);
/* There is room for another packet in the train. */
bool pacer_allows(const struct pacer *p);
/* Nothing more waits: the application sets the pace, by what it has to say, and owes
 * nothing. The rate is then no more than what it has shown, and small messages that
 * follow each other as fast as before would be held back. */
void pacer_rest(struct pacer *p, uint64_t now_ns);
/* When to try again, CLOCK_NEVER when nobody waits. */
uint64_t pacer_expiry(const struct pacer *p);

#endif
