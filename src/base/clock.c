#include <sys/time.h>
#include <time.h>

#include "base/clock.h"

uint64_t
clock_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void
clock_until(struct timeval *tv, uint64_t when_ns, uint64_t now_ns)
{
	uint64_t left_us = when_ns > now_ns ? (when_ns - now_ns + 999) / 1000 : 0;

	tv->tv_sec = (time_t)(left_us / 1000000);
	tv->tv_usec = (suseconds_t)(left_us % 1000000);
}
