#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "base/resolve.h"
#include "tunnel/dialer.h"
#include "tunnel/gate.h"
#include "tunnel/run.h"

struct dialer {
	struct event_base *base;
	struct event *timer; /* the next attempt; when not patient, the end of all */
	struct event *connected;
	struct resolve *resolve;
	struct target target;
	union addr addr[RESOLVE_ADDRS_MAX];
	size_t n, next;
	int fd;
	bool patient;
	bool looked_up;
	struct runs *runs;
	struct gate_dial *through; /* the gate, under way */
	int error; /* of the first address, which says more than the second's */
	struct log_gate gate;
	dialer_done *done;
	void *arg;
};

static void attempt(struct dialer *d);

static void
drop_socket(struct dialer *d)
{
	if (d->through != NULL)
		gate_dial_cancel(d->through);
	d->through = NULL;
	if (d->connected != NULL)
		event_free(d->connected);
	d->connected = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

void
dialer_cancel(struct dialer *d)
{
	if (d == NULL)
		return;
	drop_socket(d);
	resolve_cancel(d->resolve);
	event_free(d->timer);
	free(d);
}

/* ${why}: NULL when it is connected, and when strerror() says enough. */
static void
finish(struct dialer *d, int error, const char *why)
{
	dialer_done *done = d->done;
	void *arg = d->arg;
	int fd = d->fd;

	if (d->connected != NULL)
		event_free(d->connected);
	d->connected = NULL;
	d->fd = -1;
	dialer_cancel(d);
	done(arg, fd, error, fd < 0 && why == NULL ? strerror(error) : why);
}

static void
again(struct dialer *d)
{
	struct timeval tv = {.tv_usec = DIALER_RETRY_MS * 1000};

	drop_socket(d);
	event_add(d->timer, &tv);
}

static void
failed(struct dialer *d, int error)
{
	if (d->patient) {
		again(d);
		return;
	}
	drop_socket(d);
	if (d->error == 0)
		d->error = error;
	if (d->next < d->n)
		attempt(d);
	else
		finish(d, d->error, NULL);
}

/* Two ends of one socket: a port in the ephemeral range can be given to the dialling
 * socket itself, which then connects to itself (simultaneous open, RFC 9293, 3.5). */
static bool
is_self(int fd)
{
	union addr a, b;
	socklen_t len = sizeof a;

	if (getsockname(fd, &a.sa, &len) != 0)
		return false;
	len = sizeof b;
	return getpeername(fd, &b.sa, &len) == 0 && addr_equal(&a, &b);
}

static void
established(struct dialer *d)
{
	struct err err;
	unsigned hidden;
	int on = 1;

	if (target_is_unix(&d->target)) {
		finish(d, 0, NULL);
		return;
	}
	if (is_self(d->fd)) {
		failed(d, ECONNREFUSED);
		return;
	}
	if (d->patient && owner_check_server(d->fd, &err) != 0) {
		if (log_gate_pass(&d->gate, (long long)clock_now_ns(), &hidden))
			log_warn("port=%u refusing to hand MPyC's keys to it: %s",
				 d->target.port, err.text);
		again(d);
		return;
	}
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	finish(d, 0, NULL);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dialer *d = arg;
	int error = 0;
	socklen_t len = sizeof error;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0)
		failed(d, error);
	else
		established(d);
}

static void
on_through(void *arg, int fd, int error)
{
	struct dialer *d = arg;

	d->through = NULL;
	d->fd = fd;
	if (fd < 0)
		failed(d, error);
	else
		finish(d, 0, NULL);
}

static void
begin_connect(struct dialer *d, const struct sockaddr *to, socklen_t len)
{
	d->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		failed(d, errno);
		return;
	}
	if (connect(d->fd, to, len) == 0) {
		established(d);
		return;
	}
	/* Of a UNIX socket with a full backlog: EAGAIN. */
	if (errno != EINPROGRESS) {
		failed(d, errno);
		return;
	}
	d->connected = event_new(d->base, d->fd, EV_WRITE, on_connected, d);
	if (d->connected == NULL || event_add(d->connected, NULL) != 0)
		failed(d, ENOMEM);
}

static void
attempt(struct dialer *d)
{
	struct gate *gate = d->patient && d->runs != NULL ? runs_gate(d->runs) : NULL;
	const union addr *to = &d->addr[d->next];

	if (gate != NULL) {
		d->through = gate_dial(gate, on_through, d);
		if (d->through == NULL)
			failed(d, EAGAIN);
		return;
	}
	if (!d->patient)
		d->next++;
	begin_connect(d, &to->sa, addr_len(to));
}

static void
attempt_unix(struct dialer *d)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	strncpy(to.sun_path, d->target.host + strlen(TARGET_UNIX),
		sizeof to.sun_path - 1);
	begin_connect(d, (struct sockaddr *)&to, sizeof to);
}

static void
on_looked_up(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct dialer *d = arg;

	d->resolve = NULL;
	if (n == 0) {
		finish(d, EHOSTUNREACH, why);
		return;
	}
	memcpy(d->addr, addrs, n * sizeof *addrs);
	d->n = n;
	attempt(d);
}

static void
look_up(struct dialer *d)
{
	struct err err;

	d->resolve = resolve_start(d->base, d->target.host, d->target.port, on_looked_up,
				   d, &err);
	if (d->resolve == NULL)
		finish(d, ENOMEM, err.text);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval limit = {.tv_sec = DIALER_LIMIT_S};
	struct dialer *d = arg;

	(void)fd;
	(void)what;
	if (d->patient) {
		attempt(d);
		return;
	}
	if (d->looked_up) {
		drop_socket(d);
		finish(d, ETIMEDOUT, NULL);
		return;
	}
	d->looked_up = true;
	event_add(d->timer, &limit);
	if (target_is_unix(&d->target))
		attempt_unix(d);
	else if (d->target.host[0] == '\0')
		attempt(d);
	else
		look_up(d);
}

struct dialer *
dialer_start(struct event_base *base, const struct target *target, bool patient,
	     struct runs *runs, dialer_done *done, void *arg)
{
	struct dialer *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->base = base;
	d->target = *target;
	d->patient = patient;
	d->runs = runs;
	d->fd = -1;
	d->done = done;
	d->arg = arg;
	if (target->host[0] == '\0') {
		addr_parse(&d->addr[0], "127.0.0.1", target->port);
		addr_parse(&d->addr[1], "::1", target->port);
		d->n = 2;
	}
	d->timer = evtimer_new(base, on_timer, d);
	if (d->timer == NULL) {
		free(d);
		return NULL;
	}
	/* From the loop, so that ${done} is never called from within this call. */
	event_active(d->timer, EV_TIMEOUT, 0);
	return d;
}
