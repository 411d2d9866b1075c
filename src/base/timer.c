#include "base/clock.h"
#include "base/timer.h"

void
timer_after(struct event *timer, uint64_t ns)
{
	/* Not (ns + 999) / 1000, which may overflow. */
	uint64_t us = ns / NS_PER_US + (ns % NS_PER_US != 0);
	struct timeval tv = {
	    .tv_sec = (time_t)(us / 1000000),
	    .tv_usec = (suseconds_t)(us % 1000000),
	};

	if (ns == CLOCK_NEVER)
		event_del(timer);
	else
		event_add(timer, &tv);
}

void
timer_at(struct event *timer, uint64_t when_ns)
{
	uint64_t now_ns = clock_now_ns();

	if (when_ns == CLOCK_NEVER)
		event_del(timer);
	else
		timer_after(timer, when_ns > now_ns ? when_ns - now_ns : 0);
}
