#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sim_clock.h"

/* Not from zero, which means "never" in places. */
#define BEGIN_NS (1000 * NS_PER_S)

/* Work takes no time, but for this: some timers expire only when their time has passed.
 */
#define LOOK_NS NS_PER_US

/* As often may a loop look for events without waiting for any. */
#define LOOKS_MAX 1000000

static uint64_t now_ns = BEGIN_NS;
static unsigned looks;

/* In place of the C library's, for shared libraries too. */
int
clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(now_ns / NS_PER_S);
	ts->tv_nsec = (long)(now_ns % NS_PER_S);
	return 0;
}

static _Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "simulated clock: %s\n", what);
	abort();
}

int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	int n = (int)syscall(SYS_epoll_pwait, fd, events, max, 0, NULL, 0);

	if (n != 0)
		return n;
	if (timeout_ms < 0)
		give_up("the loop waits, and nothing will happen");
	if (timeout_ms > 0)
		looks = 0;
	else if (++looks > LOOKS_MAX)
		give_up("the loop works without end");
	now_ns += timeout_ms > 0 ? (uint64_t)timeout_ms * NS_PER_MS : LOOK_NS;
	return 0;
}

void
sim_clock_stop(uint64_t ns)
{
	now_ns += ns;
}
