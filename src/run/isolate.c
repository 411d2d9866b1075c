/* First: it makes unshare and setns visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/gate_message.h"
#include "base/pass.h"
#include "run/isolate.h"
#include "run/program.h"
#include "session/session.h"

/* Program's connections that may wait to be accepted. */
#define BACKLOG 16

/* Where the kernel cannot close all that is open: more than there are. */
#define DESCRIPTORS_MAX 65536

#define CLOSE_BY_EXEC 4U /* CLOSE_RANGE_CLOEXEC */

/* What the helper says when it is set up, or why it is not. */
struct report {
	int error;
	char what[64];
};

struct helper {
	int gate;
	uint16_t own_port;
	struct pollfd fds[1 + SESSION_PARTIES_MAX]; /* the gate, then listeners */
	size_t party[1 + SESSION_PARTIES_MAX];
	size_t n;
};

/* --- inside --- */

static int
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Our own ids, and no others: what is on disk has the same owner inside. */
static int
map_ids(uid_t uid, gid_t gid)
{
	char text[64];

	snprintf(text, sizeof text, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
	if (write_file("/proc/self/uid_map", text) != 0)
		return -1;
	/* Before the groups of a namespace can be mapped without privileges. */
	if (write_file("/proc/self/setgroups", "deny") != 0)
		return -1;
	snprintf(text, sizeof text, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
	return write_file("/proc/self/gid_map", text);
}

static int
raise_loopback(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	rc = ioctl(fd, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	if (rc == 0)
		rc = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return rc;
}

static void
set_loopback(struct sockaddr_in *sin, uint16_t port)
{
	*sin = (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int
listen_for(struct helper *h, size_t party, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in at;

	set_loopback(&at, port);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(fd, BACKLOG) != 0)
		return -1;
	h->fds[h->n] = (struct pollfd){.fd = fd, .events = POLLIN};
	h->party[h->n++] = party;
	return 0;
}

/* A blocking connect: on loopback it succeeds or fails at once. */
static int
dial(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;
	struct sockaddr_in to;

	set_loopback(&to, port);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

/* The sockets that the helper passes out are the proxy's alone. */
static void
pass(const struct helper *h, enum gate_type type, uint32_t value, int fd)
{
	const struct gate_message m = {.type = type, .value = value};

	if (pass_send(h->gate, &m, sizeof m, fd) != sizeof m)
		_exit(1);
	if (fd >= 0)
		close(fd);
}

static void
on_request(const struct helper *h)
{
	struct gate_message m;
	int fd;
	ssize_t n = pass_receive(h->gate, &m, sizeof m, &fd);

	if (n < 0 && errno == EINTR)
		return;
	/* The proxy has gone, or makes no sense. */
	if (n != sizeof m || m.type != GATE_DIAL)
		_exit(0);
	fd = dial(h->own_port);
	if (fd >= 0)
		pass(h, GATE_CONNECTED, 0, fd);
	else
		pass(h, GATE_FAILED, (uint32_t)errno, -1);
}

static void
serve(struct helper *h)
{
	h->fds[0] = (struct pollfd){.fd = h->gate, .events = POLLIN};
	for (;;) {
		if (poll(h->fds, h->n, -1) < 0) {
			if (errno != EINTR)
				_exit(1);
			continue;
		}
		if (h->fds[0].revents != 0)
			on_request(h);
		for (size_t i = 1; i < h->n; i++) {
			int fd;

			if (h->fds[i].revents == 0)
				continue;
			fd = accept4(h->fds[i].fd, NULL, NULL,
				     SOCK_CLOEXEC | SOCK_NONBLOCK);
			if (fd >= 0)
				pass(h, GATE_ACCEPTED, (uint32_t)h->party[i], fd);
		}
	}
}

static int
set_up(struct helper *h, uint16_t base_port, size_t n_parties, size_t index,
       const char **what)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	*what = "a user namespace";
	if (unshare(CLONE_NEWUSER) != 0)
		return -1;
	*what = "a mapping of user ids";
	if (map_ids(uid, gid) != 0)
		return -1;
	*what = "a network namespace";
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	*what = "its loopback interface";
	if (raise_loopback() != 0)
		return -1;
	*what = "a port in it";
	h->n = 1;
	for (size_t i = index + 1; i < n_parties; i++)
		if (listen_for(h, i, (uint16_t)(base_port + i)) != 0)
			return -1;
	h->own_port = (uint16_t)(base_port + index);
	return 0;
}

/* Of all descriptors, the helper and the program keep what they need. The others are
 * closed now, or by exec. */
static void
close_from(unsigned first, bool by_exec)
{
#ifdef SYS_close_range
	/* Linux 5.9, for exec 5.11. */
	if (syscall(SYS_close_range, first, ~0U, by_exec ? CLOSE_BY_EXEC : 0U) == 0)
		return;
#endif
	for (unsigned fd = first; fd < DESCRIPTORS_MAX; fd++)
		if (by_exec)
			fcntl((int)fd, F_SETFD, FD_CLOEXEC);
		else
			close((int)fd);
}

static void
help(uint16_t base_port, size_t n_parties, size_t index, int gate, int report_fd,
     pid_t parent)
{
	static struct helper h;
	struct report r = {0};
	const char *what = "";

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* 3 and 4: the gate and the report. */
	if ((gate = fcntl(gate, F_DUPFD, 16)) < 0 ||
	    (report_fd = fcntl(report_fd, F_DUPFD, 16)) < 0 || dup2(gate, 3) < 0 ||
	    dup2(report_fd, 4) < 0)
		_exit(1);
	close_from(5, false);
	h.gate = 3;
	if (set_up(&h, base_port, n_parties, index, &what) != 0)
		r.error = errno;
	/* Becoming another user's equal clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(r.what, sizeof r.what, "%s", what);
	if (write(4, &r, sizeof r) != sizeof r || r.error != 0)
		_exit(1);
	close(4);
	serve(&h);
}

/* --- outside --- */

static int
explain(const struct report *r, struct err *err)
{
	const char *remedy = "run it without --isolate, or on a machine that allows it";

	if (r->error == ENOSPC)
		remedy =
		    "/proc/sys/user/max_user_namespaces or max_net_namespaces allows "
		    "no more; raise it (as root), or run without --isolate";
	else if (r->error == EPERM || r->error == EACCES)
		remedy =
		    "unprivileged user namespaces are forbidden here: by a container, "
		    "AppArmor (sysctl kernel.apparmor_restrict_unprivileged_userns) "
		    "or kernel.unprivileged_userns_clone; allow them, or run without "
		    "--isolate";
	errno = r->error;
	return err_set(err, "--isolate: the kernel does not give us %s (%s): %s", r->what,
		       strerror(r->error), remedy);
}

static int
open_namespaces(struct isolate *iso)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%ld/ns/user", (long)iso->helper);
	iso->user_ns = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "/proc/%ld/ns/net", (long)iso->helper);
	iso->net_ns = open(path, O_RDONLY | O_CLOEXEC);
	return iso->user_ns >= 0 && iso->net_ns >= 0 ? 0 : -1;
}

int
isolate_start(struct isolate *iso, uint16_t base_port, size_t n_parties, size_t index,
	      struct err *err)
{
	pid_t parent = getpid();
	int gates[2], reports[2];
	struct report r;
	ssize_t n;

	*iso = (struct isolate){.gate = -1, .user_ns = -1, .net_ns = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gates) != 0)
		return err_sys(err, "cannot make a pair of sockets");
	if (pipe2(reports, O_CLOEXEC) != 0) {
		close(gates[0]);
		close(gates[1]);
		return err_sys(err, "cannot make a pipe");
	}
	iso->helper = fork();
	if (iso->helper == 0)
		help(base_port, n_parties, index, gates[1], reports[1], parent);
	close(gates[1]);
	close(reports[1]);
	iso->gate = gates[0];
	while ((n = read(reports[0], &r, sizeof r)) < 0 && errno == EINTR)
		continue;
	close(reports[0]);
	if (iso->helper < 0 || n != sizeof r) {
		err_set(err, "--isolate: the helper cannot be started");
		goto fail;
	}
	if (r.error != 0) {
		explain(&r, err);
		goto fail;
	}
	if (open_namespaces(iso) != 0) {
		err_sys(err, "--isolate: the helper's namespaces");
		goto fail;
	}
	return 0;

fail:
	isolate_stop(iso);
	return -1;
}

int
isolate_enter(const struct isolate *iso)
{
	int user_ns, net_ns;

	/* In this order: the right to enter the second comes from the first. */
	user_ns = iso->user_ns;
	net_ns = iso->net_ns;
	if (setns(user_ns, CLONE_NEWUSER) != 0 || setns(net_ns, CLONE_NEWNET) != 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -1;
	/* An open socket of outside would lead out. */
	close_from(3, true);
	return 0;
}

static void
close_all(struct isolate *iso)
{
	if (iso->gate >= 0)
		close(iso->gate);
	if (iso->user_ns >= 0)
		close(iso->user_ns);
	if (iso->net_ns >= 0)
		close(iso->net_ns);
	iso->gate = iso->user_ns = iso->net_ns = -1;
}

void
isolate_stop(struct isolate *iso)
{
	int status;

	close_all(iso);
	if (iso->helper <= 0)
		return;
	kill(iso->helper, SIGKILL);
	while (waitpid(iso->helper, &status, 0) < 0 && errno == EINTR)
		continue;
	iso->helper = 0;
}
