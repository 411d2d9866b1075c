/* First: it makes pipe2 visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/own_proxy.h"
#include "run/program.h"
#include "serve.h"

/* It drains for three seconds at most. */
#define STOP_LIMIT_NS (8 * NS_PER_S)
#define LOOK_NS       (5 * NS_PER_MS)

static void
on_started(void *arg)
{
	const int *fd = arg;

	if (write(*fd, "", 1) != 1)
		_exit(1);
	close(*fd);
}

static void
become(struct setup *setup, int report, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	program_restore_signals();
	signal(SIGPIPE, SIG_IGN);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	/* What it says is no output of the program's. */
	if (null >= 0)
		dup2(null, 0);
	dup2(2, 1);
	if (!setup->options.verbose)
		log_set_level(LOG_LEVEL_WARN);
	exit(serve(setup, on_started, &report));
}

int
own_proxy_start(struct own_proxy *p, struct setup *setup)
{
	pid_t parent = getpid();
	int fds[2];
	ssize_t n;
	char byte;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	p->pid = fork();
	if (p->pid == 0) {
		close(fds[0]);
		become(setup, fds[1], parent);
	}
	close(fds[1]);
	while ((n = read(fds[0], &byte, 1)) < 0 && errno == EINTR)
		continue;
	close(fds[0]);
	if (p->pid > 0 && n == 1)
		return 0;
	if (p->pid > 0)
		waitpid(p->pid, NULL, 0);
	p->pid = 0;
	return -1;
}

void
own_proxy_stop(struct own_proxy *p)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	uint64_t limit_ns = clock_now_ns() + STOP_LIMIT_NS;

	if (p->pid <= 0)
		return;
	kill(p->pid, SIGTERM);
	while (waitpid(p->pid, NULL, WNOHANG) == 0) {
		if (clock_now_ns() >= limit_ns)
			kill(p->pid, SIGKILL);
		nanosleep(&look, NULL);
	}
	p->pid = 0;
}
