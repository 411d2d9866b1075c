#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/pass.h"
#include "base/timer.h"
#include "session/session.h"
#include "tunnel/run.h"
#include "watch/run_line.h"
#include "watch/runner.h"

/* How often what a party waits for is looked at, for the user. */
#define STATE_MS 500
/* How often the end of a run looks whether it is the end. */
#define SETTLE_MS 10

/* A party as the verb has been told. */
struct told {
	bool is;
	enum run_party_state state;
	char text[48];
};

struct runner {
	struct event_base *base;
	struct proxy *proxy;
	runner_gone *gone;
	void *arg;
	struct event *readable, *writable;
	struct event *timer; /* STATE_MS, or SETTLE_MS when the run is over */
	struct evbuffer *out;
	struct run *run; /* NULL: none yet, or over */
	bool begun, over, gated;
	bool hang_up; /* when everything has been sent */
	uint64_t settle_until_ns;
	struct told told[SESSION_PARTIES_MAX];
	size_t len;
	char line[RUN_LINE_MAX + 1];
};

/* --- to the verb --- */

static void
leave(struct runner *r)
{
	r->gone(r->arg);
}

static void
say(struct runner *r, const struct run_line *l)
{
	char text[RUN_LINE_MAX + 1];
	size_t n = run_line_format(l, text);

	text[n++] = '\n';
	evbuffer_add(r->out, text, n);
	event_add(r->writable, NULL);
}

static void
say_text(struct runner *r, enum run_line_type type, size_t index, const char *text)
{
	struct run_line l = {.type = type, .index = index};

	log_clean(l.text, sizeof l.text, text, strlen(text));
	say(r, &l);
}

static void
refuse(struct runner *r, const char *why)
{
	say_text(r, RUN_LINE_NO, 0, why);
	r->hang_up = true;
}

static void
say_parties(struct runner *r)
{
	struct proxy_status st;
	struct peer_status peer;

	proxy_get_status(r->proxy, &st);
	for (size_t i = 0; i < st.n_parties; i++) {
		struct told *t = &r->told[i];
		struct run_line l = {.type = RUN_LINE_PARTY, .index = i};

		if (proxy_get_peer_status(r->proxy, i, &peer) != 0)
			continue;
		l.state = run_party_state(r->run, i);
		log_clean(l.text, sizeof l.text, peer.state, strlen(peer.state));
		if (l.text[0] == '\0')
			strcpy(l.text, "-");
		if (t->is && t->state == l.state && strcmp(t->text, l.text) == 0)
			continue;
		t->is = true;
		t->state = l.state;
		snprintf(t->text, sizeof t->text, "%.47s", l.text);
		say(r, &l);
	}
}

/* --- from the run --- */

static void
on_changed(void *arg)
{
	say_parties(arg);
}

static void
on_complete(void *arg, uint32_t set)
{
	struct runner *r = arg;
	struct run_line l = {.type = RUN_LINE_THEIRS};
	struct proxy_status st;
	const uint8_t *offer;

	proxy_get_status(r->proxy, &st);
	for (size_t i = 0; i < st.n_parties; i++) {
		if ((offer = run_party_offer(r->run, i, &l.offer_len)) == NULL)
			continue;
		l.index = i;
		memcpy(l.offer, offer, l.offer_len);
		say(r, &l);
	}
	l = (struct run_line){.type = RUN_LINE_COMPLETE, .set = set};
	say(r, &l);
}

static void
on_go(void *arg)
{
	static const struct run_line l = {.type = RUN_LINE_GO};
	struct runner *r = arg;

	r->begun = true;
	say(r, &l);
}

static void
on_ended(void *arg, size_t index, enum run_end how, uint8_t code)
{
	const struct run_line l = {.type = RUN_LINE_ENDED,
				   .index = index,
				   .how = how,
				   .code = code};

	say(arg, &l);
}

static void
on_lost(void *arg, size_t index, const char *why)
{
	say_text(arg, RUN_LINE_LOST, index, why);
}

static void
on_failed(void *arg, const char *why)
{
	refuse(arg, why);
}

static const struct run_callbacks run_callbacks = {on_changed, on_complete, on_go,
						   on_ended,   on_lost,     on_failed};

/* --- from the verb --- */

static void
set_timer(struct runner *r, unsigned ms)
{
	timer_after(r->timer, ms * NS_PER_MS);
}

static void
begin(struct runner *r, const struct run_line *l)
{
	struct err err;

	r->run = proxy_run(r->proxy, l->offer, l->offer_len, &run_callbacks, r, &err);
	if (r->run == NULL) {
		refuse(r, err.text);
		return;
	}
	say_parties(r);
	set_timer(r, STATE_MS);
}

static void
finish(struct runner *r, enum run_end how, uint8_t code)
{
	run_finish(r->run, how, code);
	r->run = NULL;
	r->over = true;
	r->settle_until_ns = clock_now_ns() + (r->begun ? RUNNER_SETTLE_NS : 0);
	set_timer(r, 0);
}

/* -1 when it has no place here. */
static int
obey(struct runner *r, const struct run_line *l, int fd)
{
	struct err err;

	if ((l->type == RUN_LINE_GATE) != (fd >= 0))
		return -1;
	switch (l->type) {
	case RUN_LINE_GATE:
		if (r->run != NULL || r->over || r->gated)
			return -1;
		fd = dup(fd);
		r->gated = fd >= 0 && proxy_set_gate(r->proxy, fd, &err) == 0;
		if (!r->gated)
			refuse(r, fd < 0 ? strerror(errno) : err.text);
		return 0;
	case RUN_LINE_OFFER:
		if (r->run != NULL || r->over)
			return -1;
		begin(r, l);
		return 0;
	case RUN_LINE_AGREE:
		if (r->run == NULL)
			return -1;
		run_agree(r->run, l->set);
		return 0;
	case RUN_LINE_END:
		if (r->run == NULL)
			return -1;
		finish(r, l->how, l->code);
		return 0;
	default:
		return -1;
	}
}

/* Every complete line in the buffer; -1 when one makes no sense. ${fd} came with them. */
static int
take_lines(struct runner *r, int fd)
{
	static const char nonsense[] = "the verb and the running mpcproxy are of "
				       "different versions";
	struct run_line l;
	char *end;

	while (!r->hang_up && (end = memchr(r->line, '\n', r->len)) != NULL) {
		size_t n = (size_t)(end - r->line);

		if (run_line_parse(&l, r->line, n) != 0 || obey(r, &l, fd) != 0) {
			refuse(r, nonsense);
			return -1;
		}
		fd = -1;
		r->len -= n + 1;
		memmove(r->line, end + 1, r->len);
	}
	if (r->len == sizeof r->line)
		refuse(r, nonsense);
	return 0;
}

static void
on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct runner *r = arg;
	int fd;
	ssize_t n = pass_receive(sock, r->line + r->len, sizeof r->line - r->len, &fd);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		leave(r);
		return;
	}
	r->len += (size_t)n;
	take_lines(r, fd);
	if (fd >= 0)
		close(fd);
	if (r->hang_up)
		event_del(r->readable);
}

static void
on_writable(evutil_socket_t sock, short what, void *arg)
{
	struct runner *r = arg;
	int n = evbuffer_write(r->out, sock);

	(void)what;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) ||
	    evbuffer_get_length(r->out) > RUNNER_OUTPUT_MAX)
		leave(r);
	else if (evbuffer_get_length(r->out) > 0)
		event_add(r->writable, NULL);
	else if (r->hang_up)
		leave(r);
}

static void
on_timer(evutil_socket_t sock, short what, void *arg)
{
	static const struct run_line done = {.type = RUN_LINE_DONE};
	struct runner *r = arg;

	(void)sock;
	(void)what;
	if (r->run != NULL) {
		if (!r->begun) {
			say_parties(r);
			set_timer(r, STATE_MS);
		}
	} else if (proxy_mpyc_is_over(r->proxy) || clock_now_ns() >= r->settle_until_ns) {
		say(r, &done);
		r->hang_up = true;
	} else {
		set_timer(r, SETTLE_MS);
	}
}

struct runner *
runner_new(struct event_base *base, struct proxy *proxy, int fd, runner_gone *gone,
	   void *arg)
{
	struct run_line ok = {.type = RUN_LINE_OK};
	struct proxy_status st;
	struct runner *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->base = base;
	r->proxy = proxy;
	r->gone = gone;
	r->arg = arg;
	r->out = evbuffer_new();
	r->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, r);
	r->writable = event_new(base, fd, EV_WRITE, on_writable, r);
	r->timer = evtimer_new(base, on_timer, r);
	if (r->out == NULL || r->readable == NULL || r->writable == NULL ||
	    r->timer == NULL || event_add(r->readable, NULL) != 0) {
		runner_free(r);
		return NULL;
	}
	proxy_get_status(proxy, &st);
	ok.set = st.base_port;
	say(r, &ok);
	return r;
}

void
runner_free(struct runner *r)
{
	if (r == NULL)
		return;
	if (r->run != NULL)
		run_finish(r->run, RUN_END_GONE, 0);
	if (r->gated)
		proxy_set_gate(r->proxy, -1, NULL);
	if (r->readable != NULL)
		event_free(r->readable);
	if (r->writable != NULL)
		event_free(r->writable);
	if (r->timer != NULL)
		event_free(r->timer);
	if (r->out != NULL)
		evbuffer_free(r->out);
	free(r);
}
