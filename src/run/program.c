/* First: it makes pipe2 visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/isolate.h"
#include "run/program.h"

static const int watched[] = {SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGUSR1,
			      SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT, SIGCHLD};

#define N_WATCHED (sizeof watched / sizeof watched[0])

/* But not what was ignored from the start, as by nohup or a script's `&`. */
static void
watched_set(sigset_t *set)
{
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < N_WATCHED; i++)
		if (sigaction(watched[i], NULL, &now) != 0 || now.sa_handler != SIG_IGN)
			sigaddset(set, watched[i]);
}

int
program_block_signals(void)
{
	sigset_t set;

	watched_set(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

void
program_restore_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_DFL);
	watched_set(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Of our own, whether or not standard input is it. */
static bool
has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

struct failure {
	int error;
	bool inside; /* it could not enter ${iso} */
};

static void
become(const struct program *p, char **argv, const struct isolate *iso, pid_t parent,
       int report)
{
	struct failure f = {0};

	program_restore_signals();
	if (p->leads)
		setpgid(0, 0);
	f.inside = iso != NULL && isolate_enter(iso) != 0;
	/* Nobody else would end it: MPyC waits for ever. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	if (!f.inside)
		execvp(argv[0], argv);
	f.error = errno;
	if (write(report, &f, sizeof f) < 0)
		_exit(126);
	_exit(127);
}

int
program_start(struct program *p, char **argv, const struct isolate *iso, int *code,
	      struct err *err)
{
	struct failure f = {0};
	pid_t parent = getpid();
	int fds[2], status;
	ssize_t n;

	*code = 126;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_sys(err, "cannot make a pipe");
	p->leads = !has_terminal();
	p->pid = fork();
	if (p->pid == 0)
		become(p, argv, iso, parent, fds[1]);
	close(fds[1]);
	if (p->pid < 0) {
		close(fds[0]);
		p->pid = 0;
		return err_sys(err, "cannot start %s", argv[0]);
	}
	if (p->leads)
		setpgid(p->pid, p->pid);
	/* Closed by exec: nothing comes when all is well. */
	while ((n = read(fds[0], &f, sizeof f)) < 0 && errno == EINTR)
		continue;
	close(fds[0]);
	if (n == 0)
		return 0;
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	p->pid = 0;
	errno = f.error;
	if (f.inside)
		return err_sys(err, "cannot enter the program's namespace");
	*code = f.error == ENOENT ? 127 : 126;
	return err_sys(err, "cannot start %s", argv[0]);
}

void
program_signal(const struct program *p, int sig)
{
	if (p->pid > 0)
		kill(p->leads ? -p->pid : p->pid, sig);
}

bool
program_has_ended(struct program *p, int *code)
{
	int status;

	if (p->pid == 0 || waitpid(p->pid, &status, WNOHANG) != p->pid)
		return false;
	*code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	p->pid = 0;
	return true;
}
