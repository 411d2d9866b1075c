/* First: it makes struct ucred visible. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/addr.h"
#include "base/clock.h"
#include "watch/client.h"
#include "watch/pinger.h"
#include "watch/place.h"

/* For a status; the proxy answers within microseconds unless it is stopped. */
#define PATIENCE_NS (10 * NS_PER_S)

static int
check_server(int fd, const struct place *pl, struct err *err)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return err_sys(err, "%s: who listens there", pl->addr.sun_path);
	if (cred.uid != geteuid())
		return err_set(err, "%s: a process of user %u listens there, not yours",
			       pl->addr.sun_path, (unsigned)cred.uid);
	return 0;
}

static enum client_found
connect_place(const struct place *pl, int *fd, struct err *err)
{
	int dir_fd = place_open_dir(pl, false, err);

	if (dir_fd < 0)
		return errno == ENOENT ? CLIENT_ABSENT : CLIENT_FAILED;
	close(dir_fd);
	if ((*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) {
		err_sys(err, "cannot make a socket");
		return CLIENT_FAILED;
	}
	if (connect(*fd, (const struct sockaddr *)&pl->addr, sizeof pl->addr) != 0) {
		int saved = errno;

		err_sys(err, "%s", pl->addr.sun_path);
		close(*fd);
		return saved == ENOENT || saved == ECONNREFUSED ? CLIENT_ABSENT
								: CLIENT_FAILED;
	}
	if (check_server(*fd, pl, err) != 0) {
		close(*fd);
		return CLIENT_FAILED;
	}
	return CLIENT_FOUND;
}

enum client_found
client_connect(const struct session *s, size_t index, int *fd, struct err *err)
{
	struct place places[PLACES_MAX];
	size_t n = place_list(places, s, index, err);

	if (n == 0)
		return CLIENT_FAILED;
	for (size_t i = 0; i < n; i++) {
		enum client_found found = connect_place(&places[i], fd, err);

		if (found != CLIENT_ABSENT)
			return found;
	}
	err_set(err,
		"no mpcproxy of session %s party %s is running on this machine: start it "
		"with mpcproxy -c and the session's file",
		s->name, s->parties[index].name);
	return CLIENT_ABSENT;
}

static int
send_request(int fd, const struct request *r, struct err *err)
{
	char line[REQUEST_LINE_MAX];
	size_t len = strlen(request_format(r, line));

	/* The first bytes of a fresh socket: they fit as one. EPIPE: the proxy has said
	 * why it hung up; that is still to be read. */
	line[len++] = '\n';
	if (send(fd, line, len, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return err_sys(err, "cannot ask the proxy");
	return 0;
}

/* ${a->line} without its newline. */
static int
take_line(struct client_answer *a, struct err *err)
{
	uint64_t code;

	switch (a->line[0]) {
	case '1':
		printf("%s\n", a->line + 1);
		/* Who reads through a pipe wants each line when it happens. */
		fflush(stdout);
		return 0;
	case '2':
		fprintf(stderr, "mpcproxy: %s\n", a->line + 1);
		return 0;
	case 'x':
		if (a->line[1] == ' ' && number_parse(&code, a->line + 2, 0, 255) == 0) {
			a->code = (int)code;
			return 0;
		}
		break;
	default:
		break;
	}
	return err_set(err,
		       "the proxy's answer makes no sense: is it of another version?");
}

static int
take(struct client_answer *a, const char *data, size_t len, struct err *err)
{
	for (size_t i = 0; i < len && a->code < 0; i++) {
		if (data[i] == '\n') {
			a->line[a->len] = '\0';
			a->len = 0;
			if (take_line(a, err) != 0)
				return -1;
		} else if (a->len + 1 < sizeof a->line) {
			a->line[a->len++] = data[i];
		} else {
			return err_set(err,
				       "the proxy's answer has a line longer than %d "
				       "bytes",
				       CLIENT_LINE_MAX);
		}
	}
	return 0;
}

int
client_read(int fd, struct client_answer *a, struct err *err)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof data, 0);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return err_set(err, "the proxy has ended before it answered");
	if (take(a, data, (size_t)n, err) != 0)
		return -1;
	return a->code >= 0;
}

/* 1 when ${fd} can be read, 0 when the deadline has passed. */
static int
wait_readable(int fd, uint64_t deadline_ns, struct err *err)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	for (;;) {
		uint64_t now_ns = clock_now_ns(), left_ms;
		int timeout = -1, r;

		if (deadline_ns != CLOCK_NEVER) {
			left_ms = deadline_ns > now_ns
				      ? (deadline_ns - now_ns) / NS_PER_MS + 1
				      : 0;
			timeout = left_ms > INT_MAX ? INT_MAX : (int)left_ms;
		}
		r = poll(&pfd, 1, timeout);
		if (r > 0)
			return 1;
		if (r == 0 && clock_now_ns() >= deadline_ns)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_sys(err, "poll");
	}
}

int
client_ask(int fd, const struct request *r, uint64_t deadline_ns, struct err *err)
{
	struct client_answer a = {.len = 0, .code = -1};

	if (send_request(fd, r, err) != 0)
		return CLIENT_ASK_FAILED;
	while (a.code < 0) {
		int ready = wait_readable(fd, deadline_ns, err);

		if (ready < 0)
			return CLIENT_ASK_FAILED;
		if (ready == 0)
			return CLIENT_ASK_LATE;
		if (client_read(fd, &a, err) < 0)
			return CLIENT_ASK_FAILED;
	}
	return a.code;
}

uint64_t
client_patience_ns(const struct request *r)
{
	if (r->verb == REQUEST_PING)
		return PATIENCE_NS + r->count * (PINGER_ANSWER_NS + PINGER_INTERVAL_NS);
	return PATIENCE_NS;
}
