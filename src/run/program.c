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

/* What was sent to us all before this process was there. */
static void
catch_up(const sigset_t *sent)
{
	sigset_t pending;

	sigemptyset(&pending);
	sigpending(&pending);
	for (size_t i = 0; i < N_WATCHED; i++)
		if (sigismember(sent, watched[i]) == 1 &&
		    sigismember(&pending, watched[i]) == 0)
			kill(getpid(), watched[i]);
}

static void
become(const struct program *p, char **argv, const struct isolate *iso, pid_t parent,
       int go, int report)
{
	struct failure f = {0};
	sigset_t sent;
	ssize_t n;

	while ((n = read(go, &sent, sizeof sent)) < 0 && errno == EINTR)
		continue;
	if (n != sizeof sent)
		_exit(127);
	catch_up(&sent);
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
program_fork(struct program *p, char **argv, const struct isolate *iso, int *code,
	     struct err *err)
{
	pid_t parent = getpid();
	int go[2], report[2];

	*code = 126;
	if (pipe2(go, O_CLOEXEC) != 0)
		return err_sys(err, "cannot make a pipe");
	if (pipe2(report, O_CLOEXEC) != 0) {
		err_sys(err, "cannot make a pipe");
		goto err1;
	}
	p->leads = !has_terminal();
	p->pid = fork();
	if (p->pid == 0) {
		close(go[1]);
		become(p, argv, iso, parent, go[0], report[1]);
	}
	if (p->pid < 0) {
		p->pid = 0;
		err_sys(err, "cannot start %s", argv[0]);
		goto err2;
	}
	if (p->leads)
		setpgid(p->pid, p->pid);
	close(go[0]);
	close(report[1]);
	p->go = go[1];
	p->report = report[0];
	return 0;

err2:
	close(report[0]);
	close(report[1]);
err1:
	close(go[0]);
	close(go[1]);
	return -1;
}

int
program_go(struct program *p, const char *name, const sigset_t *sent, int *code,
	   struct err *err)
{
	struct failure f = {0};
	int status;
	ssize_t n;

	*code = 126;
	/* SIGPIPE is ignored; a child that is dead already says so by SIGCHLD. */
	n = write(p->go, sent, sizeof *sent);
	close(p->go);
	/* Closed by exec: nothing comes when all is well. */
	while ((n = read(p->report, &f, sizeof f)) < 0 && errno == EINTR)
		continue;
	close(p->report);
	if (n == 0)
		return 0;
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	p->pid = 0;
	errno = f.error;
	if (f.inside)
		return err_sys(err, "cannot enter the program's namespace");
	*code = f.error == ENOENT ? 127 : 126;
	return err_sys(err, "cannot start %s", name);
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
