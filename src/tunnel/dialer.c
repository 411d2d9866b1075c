#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/owner.h"
#include "tunnel/dialer.h"
#include "tunnel/gate.h"
#include "tunnel/run.h"

struct dialer {
	struct event_base *base;
	struct event *timer;
	struct event *connected;
	int fd;
	uint16_t port;
	bool patient;
	struct runs *runs;
	struct gate_dial *through; /* the gate, under way */
	bool ipv6;
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
	event_free(d->timer);
	free(d);
}

static void
finish(struct dialer *d, const char *why)
{
	dialer_done *done = d->done;
	void *arg = d->arg;
	int fd = d->fd;

	if (d->connected != NULL)
		event_free(d->connected);
	d->connected = NULL;
	d->fd = -1;
	dialer_cancel(d);
	done(arg, fd, why);
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
	} else if (!d->ipv6) {
		drop_socket(d);
		d->error = error;
		d->ipv6 = true;
		attempt(d);
	} else {
		drop_socket(d);
		finish(d, strerror(d->error));
	}
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

	if (is_self(d->fd)) {
		failed(d, ECONNREFUSED);
		return;
	}
	if (d->patient && owner_check_server(d->fd, &err) != 0) {
		if (log_gate_pass(&d->gate, (long long)clock_now_ns(), &hidden))
			log_warn("port=%u refusing to hand MPyC's keys to it: %s",
				 d->port, err.text);
		again(d);
		return;
	}
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	finish(d, NULL);
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
		finish(d, NULL);
}

static void
attempt(struct dialer *d)
{
	struct gate *gate = d->patient && d->runs != NULL ? runs_gate(d->runs) : NULL;
	union addr to;

	if (gate != NULL) {
		d->through = gate_dial(gate, on_through, d);
		if (d->through == NULL)
			failed(d, EAGAIN);
		return;
	}

	addr_parse(&to, d->ipv6 ? "::1" : "127.0.0.1", d->port);
	d->fd = socket(to.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		failed(d, errno);
		return;
	}
	if (connect(d->fd, &to.sa, addr_len(&to)) == 0) {
		established(d);
		return;
	}
	if (errno != EINPROGRESS) {
		failed(d, errno);
		return;
	}
	d->connected = event_new(d->base, d->fd, EV_WRITE, on_connected, d);
	if (d->connected == NULL || event_add(d->connected, NULL) != 0)
		failed(d, ENOMEM);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	attempt(arg);
}

struct dialer *
dialer_start(struct event_base *base, uint16_t port, bool patient, struct runs *runs,
	     dialer_done *done, void *arg)
{
	struct dialer *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->base = base;
	d->port = port;
	d->patient = patient;
	d->runs = runs;
	d->fd = -1;
	d->done = done;
	d->arg = arg;
	d->timer = evtimer_new(base, on_timer, d);
	if (d->timer == NULL) {
		free(d);
		return NULL;
	}
	/* From the loop, so that ${done} is never called from within this call. */
	event_active(d->timer, EV_TIMEOUT, 0);
	return d;
}
