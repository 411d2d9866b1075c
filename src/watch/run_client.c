#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <sys/socket.h>

#include "base/pass.h"
#include "watch/request.h"
#include "watch/run_client.h"

/* For the proxy's first word; it answers within microseconds unless it is stopped. */
#define PATIENCE_MS 10000

struct run_client {
	struct bufferevent *bev;
	struct run_client_callbacks cb;
	void *arg;
	struct run_line line;
	bool inside; /* a callback */
	bool freed;  /* within it */
};

/* --- the beginning, which waits --- */

static int
send_line(int fd, const char *line, int pass, struct err *err)
{
	if (pass_send(fd, line, strlen(line), pass) != (ssize_t)strlen(line))
		return err_sys(err, "cannot ask the proxy");
	return 0;
}

/* A line of at most ${size} - 1 bytes, byte by byte: nothing beyond it may be read. */
static int
read_line(int fd, char *line, size_t size, struct err *err)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	size_t n = 0;

	for (;;) {
		int ready = poll(&pfd, 1, PATIENCE_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return err_set(err, "the running proxy does not answer: is it "
					    "stopped?");
		if (n + 1 == size || recv(fd, line + n, 1, 0) != 1)
			return err_set(err, "the proxy has hung up");
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return 0;
}

int
run_client_ask(int fd, uint16_t *base_port, struct err *err)
{
	char line[RUN_LINE_TEXT_MAX + 8];
	struct run_line l;

	if (send_line(fd, "run\n", -1, err) != 0 ||
	    read_line(fd, line, sizeof line, err) != 0)
		return -1;
	if (run_line_parse(&l, line, strlen(line)) != 0 || l.type != RUN_LINE_OK)
		/* A responder's line for stderr, of a proxy without this request. */
		return err_set(err, "%.255s", line[0] == '2' ? line + 1 : line);
	*base_port = (uint16_t)l.set;
	return 0;
}

int
run_client_gate(int fd, int gate, struct err *err)
{
	return send_line(fd, "gate\n", gate, err);
}

/* --- the rest, on the event loop --- */

static void
closed(struct run_client *c, const char *why)
{
	bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	c->cb.closed(c->arg, why);
}

/* -1 when ${line} (NULL: what came is too long for one) makes no sense. */
static int
take(struct run_client *c, const char *line, size_t len)
{
	if (line == NULL || run_line_parse(&c->line, line, len) != 0)
		return -1;
	c->cb.line(c->arg, &c->line);
	return 0;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct run_client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	c->inside = true;
	while (!c->freed) {
		size_t len;
		char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		int bad;

		if (line == NULL && evbuffer_get_length(in) <= RUN_LINE_MAX)
			break;
		bad = take(c, line, len);
		free(line);
		if (bad == 0)
			continue;
		closed(c, "the proxy's answer makes no sense: is it of another "
			  "version?");
		break;
	}
	c->inside = false;
	if (c->freed)
		run_client_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	closed(arg, "the proxy has ended");
}

struct run_client *
run_client_new(struct event_base *base, int fd, const struct run_client_callbacks *cb,
	       void *arg)
{
	struct run_client *c = calloc(1, sizeof *c);

	if (c == NULL)
		goto fail0;
	c->cb = *cb;
	c->arg = arg;
	evutil_make_socket_nonblocking(fd);
	c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		goto fail1;
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, RUN_LINE_MAX + 1);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return c;

fail1:
	free(c);
fail0:
	close(fd);
	return NULL;
}

void
run_client_free(struct run_client *c)
{
	if (c == NULL)
		return;
	if (c->inside) {
		c->freed = true;
		return;
	}
	bufferevent_free(c->bev);
	free(c);
}

void
run_client_say(struct run_client *c, const struct run_line *l)
{
	char text[RUN_LINE_MAX + 1];
	size_t n = run_line_format(l, text);

	text[n++] = '\n';
	bufferevent_write(c->bev, text, n);
}
