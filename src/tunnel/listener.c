#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/owner.h"
#include "tunnel/listener.h"

#define BACKLOG 4096

/* How long accepting pauses when there are no descriptors left. */
#define PAUSE_MS     100
#define SAY_AGAIN_NS (60 * NS_PER_S)

struct listener {
	struct event *readable;
	struct event *resume;
	int fd;
	char what[96];
	char text[ENDPOINT_TEXT_BYTES];
	struct endpoint at;
	dev_t dev; /* of a UNIX socket, */
	ino_t ino; /* to remove ours only */
	const struct owner_users *users;
	struct log_gate gate;
	uint64_t said_ns; /* that accepting pauses */
	listener_accepted *accepted;
	void *arg;
};

static void
warn(struct listener *l, const char *why)
{
	unsigned hidden;

	if (!log_gate_pass(&l->gate, (long long)clock_now_ns(), &hidden))
		return;
	if (hidden > 0)
		log_warn("listen=%s %s (and %u more like it)", l->text, why, hidden);
	else
		log_warn("listen=%s %s", l->text, why);
}

static void
admit(struct listener *l, int fd)
{
	struct linger now = {.l_onoff = 1};
	char why[ERR_TEXT_BYTES + 64];
	struct err err;
	int on = 1;

	if (!l->at.everyone && owner_check_client(fd, l->users, &err) != 0) {
		snprintf(why, sizeof why, "refused a local connection: %s", err.text);
		warn(l, why);
		/* A reset, whether it has sent anything or not: the program must see an
		 * error, and not the end of what the peer had to say. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(fd);
		return;
	}
	if (l->at.path[0] == '\0')
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	l->accepted(l->arg, fd);
}

/* Whether ${error} from accept4() is one connection's own trouble. */
static bool
is_passing(int error)
{
	return error == ECONNABORTED || error == EINTR || error == EPROTO ||
	       error == EPERM;
}

/* As accept4(), and leaves the last descriptors alone. */
static int
accept_one(int lfd)
{
	if (descriptors_are_short()) {
		errno = EMFILE;
		return -1;
	}
	return accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Said once a minute, however long it lasts. */
static void
pause_accepting(struct listener *l, int error)
{
	static const struct timeval tv = {.tv_usec = PAUSE_MS * 1000};
	uint64_t now_ns = clock_now_ns();

	if (l->said_ns == 0 || now_ns - l->said_ns >= SAY_AGAIN_NS) {
		log_warn("listen=%s cannot accept connections %s for now: %s (raise the "
			 "limit of open files: ulimit -n)",
			 l->text, l->what, strerror(error));
		l->said_ns = now_ns;
	}
	event_del(l->readable);
	event_add(l->resume, &tv);
}

static void
on_readable(evutil_socket_t lfd, short what, void *arg)
{
	struct listener *l = arg;

	(void)what;
	for (int i = 0; i < LISTENER_BATCH; i++) {
		int fd = accept_one(lfd);

		if (fd >= 0) {
			admit(l, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (is_passing(errno))
			continue;
		pause_accepting(l, errno);
		return;
	}
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	event_add(l->readable, NULL);
}

static int
bind_tcp(const union addr *at, const char *what, struct err *err)
{
	char text[ADDR_TEXT_BYTES];
	int on = 1;
	int fd;

	addr_format(at, text);
	fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "%s: cannot listen %s", text, what);
	/* Connections of an earlier run in TIME_WAIT must not keep us from starting. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (at->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &at->sa, addr_len(at)) != 0 || listen(fd, BACKLOG) != 0) {
		if (errno == EADDRINUSE)
			err_set(err,
				"%s: the port is in use; it is needed %s: end the "
				"program "
				"that has it (ss -ltnp shows it), or choose other ports "
				"with -b or base-port",
				text, what);
		else
			err_sys(err, "%s: cannot listen %s", text, what);
		close(fd);
		return -1;
	}
	return fd;
}

/* Whether nobody answers at ${sa} any more. */
static bool
is_abandoned(const struct sockaddr_un *sa)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* The mode of a UNIX socket. Others are turned away by who they are, not by the file's mode,
 * which not every system heeds. */
static mode_t
unix_mode(const struct listener *l)
{
	return l->users != NULL && l->users->n > 0 ? 0666 : 0600;
}

static int
bind_unix(struct listener *l, const char *what, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	mode_t before = umask(0777 & ~unix_mode(l));
	struct stat st;
	int fd, rc;

	memcpy(sa.sun_path, l->at.path, strlen(l->at.path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sa, sizeof sa);
	if (fd >= 0 && rc != 0 && errno == EADDRINUSE) {
		if (is_abandoned(&sa) && unlink(sa.sun_path) == 0)
			rc = bind(fd, (struct sockaddr *)&sa, sizeof sa);
		else
			errno = EADDRINUSE;
	}
	umask(before);
	if (rc != 0 || listen(fd, BACKLOG) != 0 || lstat(sa.sun_path, &st) != 0) {
		err_sys(err, "%s: cannot listen %s", l->text, what);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return fd;
}

/* Whether the file of a UNIX socket is there, and still ours. */
static bool
has_file(const struct listener *l)
{
	struct stat st;

	return l->at.path[0] != '\0' && lstat(l->at.path, &st) == 0 &&
	       st.st_dev == l->dev && st.st_ino == l->ino;
}

static void
remove_unix(const struct listener *l)
{
	if (has_file(l))
		unlink(l->at.path);
}

struct listener *
listener_new(struct event_base *base, const struct endpoint *at, const char *what,
	     const struct owner_users *users, listener_accepted *accepted, void *arg,
	     struct err *err)
{
	struct listener *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	snprintf(l->what, sizeof l->what, "%s", what);
	endpoint_format(at, l->text);
	l->at = *at;
	l->users = users;
	l->accepted = accepted;
	l->arg = arg;
	l->fd = at->path[0] != '\0' ? bind_unix(l, what, err)
				    : bind_tcp(&at->addr, what, err);
	if (l->fd < 0)
		goto err1;
	l->readable = event_new(base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
	l->resume = evtimer_new(base, on_resume, l);
	if (l->readable == NULL || l->resume == NULL) {
		err_set(err, "out of memory");
		goto err2;
	}
	return l;

err2:
	if (l->readable != NULL)
		event_free(l->readable);
	if (l->resume != NULL)
		event_free(l->resume);
	remove_unix(l);
	close(l->fd);
err1:
	free(l);
	return NULL;
}

static void
warn_of_everyone(const struct listener *l)
{
	if (l->at.everyone)
		log_warn("listen=%s is for everyone, as the configuration says: whoever "
			 "reaches it acts as this party",
			 l->text);
}

void
listener_start(struct listener *l)
{
	warn_of_everyone(l);
	event_add(l->readable, NULL);
}

void
listener_follow(struct listener *l, bool everyone)
{
	bool changed = l->at.everyone != everyone;

	l->at.everyone = everyone;
	if (changed)
		warn_of_everyone(l);
	if (has_file(l) && chmod(l->at.path, unix_mode(l)) != 0)
		log_warn("listen=%s its mode cannot be changed: %s", l->text,
			 strerror(errno));
}

void
listener_free(struct listener *l)
{
	if (l == NULL)
		return;
	event_free(l->readable);
	event_free(l->resume);
	remove_unix(l);
	close(l->fd);
	free(l);
}
