#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "base/pass.h"
#include "watch/flags.h"
#include "watch/pinger.h"
#include "watch/request.h"
#include "watch/responder.h"
#include "watch/runner.h"
#include "watch/status.h"

/* How often to look whether candidates are gathered. */
#define OFFER_POLL_MS 50

enum state {
	READS, /* its request is not complete */
	WAITS, /* until every party is connected */
	PINGS,
	RUNS,
	OFFERS, /* candidates are being gathered */
	JOINS, /* until its socket's stream is over */
	ENDS, /* all is answered; hung up when it has been sent */
};

struct responder {
	struct event_base *base;
	struct proxy *proxy;
	const struct session *session;
	const struct responder_hooks *hooks;
	responder_gone *gone;
	void *arg;
	struct bufferevent *bev;
	struct event *readable; /* while it reads: descriptors come along */
	struct event *deadline; /* of the request */
	char line[REQUEST_LINE_MAX];
	size_t len;
	int passed; /* with the request; -1: nothing */
	struct pinger *pinger;
	struct runner *runner;
	int fd; /* the runner's, then; else the bufferevent's */
	struct proxy_connection *connection;
	char to[SESSION_NAME_MAX + TARGET_TEXT_BYTES + 2]; /* where it leads */
	enum state state;
	bool overflow;
};

/* Every line of ${text} as one of the answer; ${mark} is its stream. */
static void
say(struct responder *r, char mark, const char *text, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(r->bev);

	while (len > 0 && !r->overflow) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;

		if (evbuffer_get_length(out) + n + 2 > RESPONDER_OUTPUT_MAX ||
		    evbuffer_add_printf(out, "%c%.*s\n", mark, (int)n, text) < 0)
			r->overflow = true;
		n += end != NULL ? 1 : 0;
		text += n;
		len -= n;
	}
}

static void
finish(struct responder *r, int code)
{
	struct evbuffer *out = bufferevent_get_output(r->bev);

	if (r->overflow) {
		evbuffer_add_printf(out, "2the answer is too long and was cut short\n");
		code = 1;
	}
	evbuffer_add_printf(out, "x %d\n", code);
	bufferevent_disable(r->bev, EV_READ);
	r->state = ENDS;
}

static void
refuse(struct responder *r, const char *text)
{
	say(r, '2', text, strlen(text));
	finish(r, 1);
}

/* Fill ${*text} (malloc'ed) with the answer to ${verb}. Returns its exit code, or -1
 * when memory is short. */
static int
render(const struct proxy *proxy, enum request_verb verb, char **text, size_t *len)
{
	uint64_t now_ns = clock_now_ns();
	struct proxy_status st;
	int code = 0;
	FILE *out;

	*text = NULL;
	if ((out = open_memstream(text, len)) == NULL)
		return -1;
	proxy_get_status(proxy, &st);
	if (verb == REQUEST_STATUS_TEXT)
		status_text(out, proxy, now_ns);
	else if (verb == REQUEST_STATUS_JSON)
		status_json(out, proxy, now_ns);
	else if (verb == REQUEST_FLAGS)
		flags_write(out, st.base_port, st.n_parties, st.index);
	else
		code = status_missing(out, proxy) > 0 ? 1 : 0;
	return fclose(out) == 0 ? code : -1;
}

static void
answer(struct responder *r, enum request_verb verb)
{
	size_t len = 0;
	char *text;
	int code = render(r->proxy, verb, &text, &len);

	if (code < 0) {
		refuse(r, "out of memory");
	} else {
		say(r, verb == REQUEST_MISSING ? '2' : '1', text, len);
		finish(r, code);
	}
	free(text);
}

static void
on_ping_line(void *arg, const char *text)
{
	say(arg, '1', text, strlen(text));
}

static void
on_ping_done(void *arg, bool ok)
{
	struct responder *r = arg;

	pinger_free(r->pinger);
	r->pinger = NULL;
	finish(r, ok ? 0 : 1);
}

static const struct pinger_callbacks ping_callbacks = {on_ping_line, on_ping_done};

static void
start_ping(struct responder *r, const struct request *q)
{
	int index = session_find_name(r->session, q->party);
	struct proxy_status st;

	proxy_get_status(r->proxy, &st);
	if (index < 0) {
		refuse(r, "no party of this session has that name");
		return;
	}
	if ((size_t)index == st.index) {
		refuse(r, "that is this party itself: name another one");
		return;
	}
	r->pinger =
	    pinger_new(r->base, r->proxy, r->session->parties[index].name, q->count,
		       &ping_callbacks, r);
	if (r->pinger == NULL)
		refuse(r, "out of memory");
	else
		r->state = PINGS;
}

static void
reload(struct responder *r)
{
	char summary[ERR_TEXT_BYTES];
	struct err err;

	if (r->hooks->reload == NULL) {
		refuse(r, "this proxy cannot reload");
	} else if (r->hooks->reload(r->hooks->arg, summary, &err) != 0) {
		say(r, '2', err.text, strlen(err.text));
		refuse(r, "nothing has changed");
	} else {
		say(r, '1', summary, strlen(summary));
		finish(r, 0);
	}
}

/* Whether all are gathered is asked for, now and then. */
static void
offer(struct responder *r)
{
	static const struct timeval again = {0, OFFER_POLL_MS * 1000};
	char whom[PROXY_WHOM_BYTES], note[PROXY_WHOM_BYTES + 160];
	struct err err;
	char *text;

	switch (proxy_offer(r->proxy, &text, whom, &err)) {
	case 0:
		r->state = OFFERS;
		evtimer_add(r->deadline, &again);
		return;
	case 1:
		snprintf(note, sizeof note,
			 "this block is for %s: pass it on, and give each one that you "
			 "get to `mpcproxy accept`",
			 whom);
		say(r, '1', text, strlen(text));
		say(r, '2', note, strlen(note));
		finish(r, 0);
		break;
	default:
		refuse(r, err.text);
	}
	free(text);
}

static void
accept_offer(struct responder *r, const struct request *q)
{
	char summary[ERR_TEXT_BYTES];
	struct err err;

	if (proxy_accept(r->proxy, q->sealed, q->sealed_len, summary, &err) != 0) {
		refuse(r, err.text);
		return;
	}
	say(r, '1', summary, strlen(summary));
	finish(r, 0);
}

static void
leave(struct responder *r)
{
	r->gone(r->arg, r);
	responder_free(r);
}

static void
on_runner_gone(void *arg)
{
	leave(arg);
}

/* The connection is the runner's from here on. */
static void
start_run(struct responder *r)
{
	r->runner = runner_new(r->base, r->proxy, r->fd, on_runner_gone, r);
	if (r->runner == NULL) {
		refuse(r, "out of memory");
		return;
	}
	bufferevent_disable(r->bev, EV_READ | EV_WRITE);
	r->state = RUNS;
}

static void
on_connection_ended(void *arg, const char *why)
{
	struct responder *r = arg;
	char line[sizeof r->to + 128];

	r->connection = NULL;
	if (why != NULL) {
		snprintf(line, sizeof line, "%s: %s", r->to, why);
		say(r, '2', line, strlen(line));
	}
	finish(r, why != NULL ? 1 : 0);
}

static void
start_connection(struct responder *r, const struct request *q)
{
	int fd = r->passed;
	char target[TARGET_TEXT_BYTES];
	struct err err;

	snprintf(r->to, sizeof r->to, "%s:%s", q->party, target_format(&q->target, target));
	r->passed = -1;
	if (fd < 0) {
		refuse(r, "no socket came with the request");
		return;
	}
	r->connection = proxy_connect(r->proxy, q->party, &q->target, fd,
				      on_connection_ended, r, &err);
	if (r->connection == NULL)
		refuse(r, err.text);
	else
		r->state = JOINS;
}

static void
say_forward(void *arg, const struct proxy_forward *f)
{
	char at[ENDPOINT_TEXT_BYTES], target[TARGET_TEXT_BYTES];
	char line[ENDPOINT_TEXT_BYTES + TARGET_TEXT_BYTES + SESSION_NAME_MAX + 32];
	int n = snprintf(line, sizeof line, "%s to %s:%s%s", endpoint_format(&f->at, at),
			 f->party, target_format(&f->target, target),
			 f->added ? "" : " (local.ini)");

	say(arg, '1', line, (size_t)n);
}

static void
change_forwards(struct responder *r, const struct request *q)
{
	struct err err;
	int rc = q->verb == REQUEST_FORWARD
		     ? proxy_add_forward(r->proxy, &q->at, q->party, &q->target, &err)
		     : proxy_remove_forward(r->proxy, &q->at, &err);

	if (rc != 0)
		refuse(r, err.text);
	else
		finish(r, 0);
}

static void
serve(struct responder *r, const struct request *q)
{
	switch (q->verb) {
	case REQUEST_RUN:
		start_run(r);
		return;
	case REQUEST_CONNECT:
		start_connection(r, q);
		return;
	case REQUEST_FORWARDS:
		proxy_each_forward(r->proxy, say_forward, r);
		finish(r, 0);
		return;
	case REQUEST_FORWARD:
	case REQUEST_UNFORWARD:
		change_forwards(r, q);
		return;
	case REQUEST_PING:
		start_ping(r, q);
		return;
	case REQUEST_OFFER:
		offer(r);
		return;
	case REQUEST_ACCEPT:
		accept_offer(r, q);
		return;
	case REQUEST_RELOAD:
		reload(r);
		return;
	case REQUEST_WAIT:
		r->state = WAITS;
		responder_changed(r);
		return;
	default:
		answer(r, q->verb);
		return;
	}
}

void
responder_changed(struct responder *r)
{
	struct proxy_status st;

	if (r->state != WAITS)
		return;
	proxy_get_status(r->proxy, &st);
	if (st.n_connected + 1 >= st.n_parties)
		finish(r, 0);
}

/* The request is there. */
static void
take_request(struct responder *r, size_t len)
{
	struct request q;
	bool bad = r->len > len + 1 || request_parse(&q, r->line, len) != 0;

	event_del(r->readable);
	evtimer_del(r->deadline);
	bufferevent_enable(r->bev, EV_READ);
	if (bad)
		refuse(r, "the running mpcproxy does not know this request: it is of "
			  "another version");
	else
		serve(r, &q);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct responder *r = arg;
	const char *end;
	int passed;
	ssize_t n = pass_receive(fd, r->line + r->len, sizeof r->line - r->len, &passed);

	(void)what;
	if (passed >= 0 && r->passed < 0)
		r->passed = passed;
	else if (passed >= 0)
		close(passed);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(r);
		return;
	}
	r->len += (size_t)n;
	end = memchr(r->line, '\n', r->len);
	if (end != NULL)
		take_request(r, (size_t)(end - r->line));
	else if (r->len == sizeof r->line)
		take_request(r, r->len);
}

/* Nothing is to be said after the request. */
static void
on_read(struct bufferevent *bev, void *arg)
{
	(void)bev;
	leave(arg);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct responder *r = arg;

	(void)bev;
	if (r->state == ENDS)
		leave(r);
}

static void
on_hang_up(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	leave(arg);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct responder *r = arg;

	(void)fd;
	(void)what;
	if (r->state == OFFERS)
		offer(r);
	else
		leave(r);
}

struct responder *
responder_new(struct event_base *base, struct proxy *proxy, const struct session *s,
	      const struct responder_hooks *hooks, int fd, responder_gone *gone, void *arg)
{
	static const struct timeval answer_tv = {RESPONDER_ANSWER_NS / NS_PER_S, 0};
	static const struct timeval request_tv = {RESPONDER_REQUEST_NS / NS_PER_S, 0};
	struct responder *r;

	if ((r = calloc(1, sizeof *r)) == NULL)
		goto fail0;
	r->base = base;
	r->proxy = proxy;
	r->passed = -1;
	r->session = s;
	r->hooks = hooks;
	r->gone = gone;
	r->arg = arg;
	r->fd = fd;
	if ((r->deadline = evtimer_new(base, on_deadline, r)) == NULL)
		goto fail1;
	if ((r->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, r)) == NULL)
		goto fail2;
	if ((r->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE)) == NULL)
		goto fail3;
	evtimer_add(r->deadline, &request_tv);
	bufferevent_setcb(r->bev, on_read, on_written, on_hang_up, r);
	bufferevent_setwatermark(r->bev, EV_READ, 0, REQUEST_LINE_MAX);
	event_add(r->readable, NULL);
	bufferevent_set_timeouts(r->bev, NULL, &answer_tv);
	bufferevent_disable(r->bev, EV_READ);
	return r;

fail3:
	event_free(r->readable);
fail2:
	event_free(r->deadline);
fail1:
	free(r);
fail0:
	return NULL;
}

void
responder_free(struct responder *r)
{
	if (r == NULL)
		return;
	pinger_free(r->pinger);
	runner_free(r->runner);
	if (r->connection != NULL)
		proxy_connection_cancel(r->connection);
	if (r->passed >= 0)
		close(r->passed);
	event_free(r->readable);
	event_free(r->deadline);
	bufferevent_free(r->bev);
	free(r);
}
