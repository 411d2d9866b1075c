#ifndef MPCPROXY_BASE_CLOCK_H
#define MPCPROXY_BASE_CLOCK_H

#include <stdint.h>

/* All times inside the program are nanoseconds of CLOCK_MONOTONIC. */
#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* "No deadline": later than every time. */
#define CLOCK_NEVER UINT64_MAX

uint64_t clock_now_ns(void);

struct timeval;

/* The time from ${now_ns} until ${when_ns} as libevent wants it: zero when it has
 * passed, rounded up to microseconds otherwise, so that a timer never fires early. */
void clock_until(struct timeval *tv, uint64_t when_ns, uint64_t now_ns);

#endif
