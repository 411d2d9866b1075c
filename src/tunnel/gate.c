#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/gate_message.h"
#include "base/log.h"
#include "base/pass.h"
#include "tunnel/gate.h"

/* Messages handled per wake-up. */
#define BATCH 64

struct gate_dial {
	TAILQ_ENTRY(gate_dial) entry;
	gate_dialled *done; /* NULL: cancelled */
	void *arg;
};

struct gate {
	int fd;
	struct event *readable;
	struct gate_callbacks cb;
	void *arg;
	size_t n_dials;
	TAILQ_HEAD(, gate_dial) dials; /* in the order of their answers */
};

struct gate_dial *
gate_dial(struct gate *g, gate_dialled *done, void *arg)
{
	static const struct gate_message m = {.type = GATE_DIAL};
	struct gate_dial *d;

	if (g->n_dials == GATE_DIALS_MAX || (d = calloc(1, sizeof *d)) == NULL)
		return NULL;
	if (pass_send(g->fd, &m, sizeof m, -1) != sizeof m) {
		free(d);
		return NULL;
	}
	d->done = done;
	d->arg = arg;
	TAILQ_INSERT_TAIL(&g->dials, d, entry);
	g->n_dials++;
	return d;
}

void
gate_dial_cancel(struct gate_dial *d)
{
	d->done = NULL;
}

static void
answer(struct gate *g, int fd, int error)
{
	struct gate_dial *d = TAILQ_FIRST(&g->dials);
	gate_dialled *done = d->done;
	void *arg = d->arg;

	TAILQ_REMOVE(&g->dials, d, entry);
	g->n_dials--;
	free(d);
	if (done != NULL)
		done(arg, fd, error);
	else if (fd >= 0)
		close(fd);
}

/* The helper is ours; but what is no TCP socket would confuse everybody. */
static int
check_socket(int fd)
{
	int protocol = 0, on = 1;
	socklen_t len = sizeof protocol;

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) != 0 ||
	    protocol != IPPROTO_TCP || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return 0;
}

/* -1 when it makes no sense. */
static int
take(struct gate *g, const struct gate_message *m, int fd)
{
	bool has_fd = m->type == GATE_CONNECTED || m->type == GATE_ACCEPTED;

	if (has_fd != (fd >= 0) || (fd >= 0 && check_socket(fd) != 0))
		goto bad;
	if (m->type == GATE_ACCEPTED) {
		g->cb.accepted(g->arg, m->value, fd);
		return 0;
	}
	if ((m->type != GATE_CONNECTED && m->type != GATE_FAILED) ||
	    TAILQ_EMPTY(&g->dials))
		goto bad;
	answer(g, fd, (int)m->value);
	return 0;

bad:
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct gate *g = arg;
	struct gate_message m;

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		int fd;
		ssize_t n = pass_receive(sock, &m, sizeof m, &fd);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n == sizeof m && take(g, &m, fd) == 0)
			continue;
		if (n != sizeof m && fd >= 0)
			close(fd);
		if (n > 0)
			log_error("the helper of the isolated program makes no sense");
		event_del(g->readable);
		g->cb.closed(g->arg);
		return;
	}
}

struct gate *
gate_new(struct event_base *base, int fd, const struct gate_callbacks *cb, void *arg)
{
	struct gate *g = calloc(1, sizeof *g);

	if (g == NULL)
		goto fail0;
	g->fd = fd;
	g->cb = *cb;
	g->arg = arg;
	TAILQ_INIT(&g->dials);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	g->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, g);
	if (g->readable == NULL || event_add(g->readable, NULL) != 0)
		goto fail1;
	return g;

fail1:
	if (g->readable != NULL)
		event_free(g->readable);
	free(g);
fail0:
	close(fd);
	return NULL;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	while (!TAILQ_EMPTY(&g->dials))
		answer(g, -1, ECONNABORTED);
	event_free(g->readable);
	close(g->fd);
	free(g);
}
