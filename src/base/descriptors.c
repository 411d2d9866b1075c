#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/descriptors.h"

void
descriptors_raise(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* The kernel hands out the lowest free number: nothing that is opened only after this has
 * said no has a number from the reserve. */
bool
descriptors_are_short(void)
{
	struct rlimit files;
	rlim_t reserve;
	int lowest;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return false;
	reserve = files.rlim_cur / 4;
	if (reserve > DESCRIPTORS_RESERVE_MAX)
		reserve = DESCRIPTORS_RESERVE_MAX;
	lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	if (lowest < 0)
		return true;
	close(lowest);
	return (rlim_t)lowest >= files.rlim_cur - reserve;
}
