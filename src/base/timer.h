#ifndef MPCPROXY_BASE_TIMER_H
#define MPCPROXY_BASE_TIMER_H

#include <stdint.h>

#include <event2/event.h>

/*
 * libevent's timers in the times of clock.h. Each call replaces what ${timer} was set to.
 * A timer does not fire before its time: libevent counts in microseconds, so it is
 * rounded up.
 */

/* Fire at ${when_ns}: at once when that has passed, not at all when it is CLOCK_NEVER. */
void timer_at(struct event *timer, uint64_t when_ns);

/* Fire ${ns} from now; CLOCK_NEVER: not at all. */
void timer_after(struct event *timer, uint64_t ns);

#endif
