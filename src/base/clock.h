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

static inline uint64_t
clock_earlier(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

#endif
