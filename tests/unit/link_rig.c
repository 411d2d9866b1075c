#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "base/timer.h"
#include "link_rig.h"
#include "tunnel/echo.h"
#include "tunnel/header.h"
#include "tunnel/ping.h"


struct letter {
	struct letter *next;
	uint64_t due_ns;
	int to;
	size_t len;
	uint8_t data[];
};

struct rig_end end[2], copy;
struct rig_post post;

static struct event_base *base;
static struct event *postman;
static struct letter *letters; /* by time */
static struct session *session;
static struct local *local;
static unsigned pongs;

/* splitmix64 */
uint64_t
rig_below(uint64_t n)
{
	uint64_t z = post.random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % n;
}

static void
arm_postman(void)
{
	if (letters != NULL)
		timer_at(postman, letters->due_ns);
}

static void
on_postman(evutil_socket_t fd, short what, void *arg)
{
	struct letter *l;

	(void)fd;
	(void)what;
	(void)arg;
	while ((l = letters) != NULL && l->due_ns <= clock_now_ns()) {
		letters = l->next;
		if (end[l->to].link != NULL && !end[l->to].deaf)
			link_sealed(end[l->to].link, l->data, l->len);
		/* Two copies of a party read the same box. */
		if (l->to == 0 && copy.link != NULL)
			link_sealed(copy.link, l->data, l->len);
		free(l);
	}
	arm_postman();
}

static void
put(int to, const uint8_t *sealed, size_t len)
{
	struct letter *l = malloc(sizeof *l + len), **p = &letters;
	uint64_t most_ns =
	    rig_below(100) < post.late_percent ? post.late_ns : post.delay_ns;

	if (l == NULL)
		abort();
	l->due_ns = clock_now_ns() + RIG_TRIP_NS + rig_below(most_ns + 1);
	l->to = to;
	l->len = len;
	memcpy(l->data, sealed, len);
	while (*p != NULL && (*p)->due_ns <= l->due_ns)
		p = &(*p)->next;
	l->next = *p;
	*p = l;
	arm_postman();
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	int to = arg != &end[1];

	post.sent++;
	if (rig_below(100) >= post.loss_percent)
		put(to, sealed, len);
	if (rig_below(100) < post.twice_percent)
		put(to, sealed, len);
}

static void
on_up(void *arg)
{
	((struct rig_end *)arg)->ups++;
}

static void
on_down(void *arg, const char *why)
{
	(void)why;
	((struct rig_end *)arg)->downs++;
}

/* Until the request is there. */
struct asked {
	struct link_owner owner; /* first: see conn.h */
	struct rig_end *e;
	struct quic_stream *qs;
	uint8_t got[HEADER_REQUEST_MAX];
	size_t len;
};

static void
on_request(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct asked *a = owner;
	struct header_request req;
	struct link_owner *service = NULL;
	size_t before = a->len, more = sizeof a->got - a->len;
	int n;

	more = len < more ? len : more;
	memcpy(a->got + a->len, data, more);
	a->len += more;
	n = header_parse_request(&req, a->got, a->len);
	assert_true(n >= 0);
	if (n == 0) { /* a packet may end anywhere in it */
		quic_stream_consumed(a->qs, len);
		return;
	}
	data += (size_t)n - before;
	len -= (size_t)n - before;
	quic_stream_consumed(a->qs, (size_t)n - before);
	quic_stream_set_arg(a->qs, NULL);
	if (strcmp(req.host, "echo") == 0)
		service = echo_accept(a->e->link, a->qs);
	else if (strcmp(req.host, "signal") == 0 && !a->e->no_inband)
		service = link_accept_signals(a->e->link, a->qs);
	if (service == NULL)
		quic_stream_abort(a->qs, QUIC_CODE_REFUSED);
	else if (len > 0 || fin)
		service->ops->data(service, data, len, fin);
	link_flush_soon(a->e->link);
	free(a);
}

static void
on_asked_reset(void *owner, uint64_t code)
{
	(void)owner;
	(void)code;
}

static void
on_asked_closed(void *owner, bool lost)
{
	(void)lost;
	free(owner);
}

static const struct link_stream_ops asked_ops = {
    .data = on_request,
    .reset = on_asked_reset,
    .stopped = on_asked_reset,
    .closed = on_asked_closed,
};

static struct link_owner *
on_opened(void *arg, struct quic_stream *s)
{
	struct asked *a = calloc(1, sizeof *a);

	if (a == NULL)
		abort();
	a->owner.ops = &asked_ops;
	a->e = arg;
	a->qs = s;
	return &a->owner;
}

static void
on_second_copy(void *arg)
{
	((struct rig_end *)arg)->refused = true;
}

static const struct link_callbacks callbacks = {
    .send = on_send,
    .up = on_up,
    .down = on_down,
    .opened = on_opened,
    .refused = on_second_copy,
};

void
rig_start_as(struct rig_end *e, int index, const char *alpn)
{
	struct link_config cfg = {
	    .base = base,
	    .session = session,
	    .local = local,
	    .identity = end[index].id,
	    .incarnation = e->incarnation,
	    .us = &session->parties[index],
	    .them = &session->parties[!index],
	    .self = (size_t)index,
	    .peer = (size_t)!index,
	};
	struct err err;

	assert_int_equal(RAND_bytes(e->incarnation, sizeof e->incarnation), 1);
	for (int i = 0; i < 2; i++)
		e->ctx[i] = cert_ssl_ctx(cfg.identity, i == 1,
					 alpn != NULL ? alpn : "mpcproxy/1", &err);
	cfg.client_ctx = e->ctx[0];
	cfg.server_ctx = e->ctx[1];
	e->ups = e->downs = 0;
	e->link = link_new(&cfg, &callbacks, e, &err);
	assert_non_null(e->link);
	link_rendezvous(e->link, true);
}

void
rig_start(struct rig_end *e, int index)
{
	rig_start_as(e, index, NULL);
}

void
rig_stop(struct rig_end *e)
{
	if (e->link == NULL)
		return;
	link_free(e->link);
	e->link = NULL;
	SSL_CTX_free(e->ctx[0]);
	SSL_CTX_free(e->ctx[1]);
}

int
rig_setup(void **state)
{
	char text[1000], key[2][PUBKEY_TEXT_BYTES];
	struct err err;
	int len;

	(void)state;
	memset(end, 0, sizeof end);
	memset(&copy, 0, sizeof copy);
	memset(&fake_paths, 0, sizeof fake_paths);
	post = (struct rig_post){.random = 1};
	pongs = 0;
	base = event_base_new();
	fake_paths.base = base;
	postman = evtimer_new(base, on_postman, NULL);
	for (int i = 0; i < 2; i++) {
		end[i].id = identity_ephemeral(NULL);
		pubkey_format(identity_pubkey(end[i].id), key[i]);
	}
	len = snprintf(text, sizeof text,
		       "[session]\nname = test\nrendezvous = dir:/nowhere\n"
		       "[party alice]\nkey = %s\n[party bob]\nkey = %s\n",
		       key[0], key[1]);
	session = session_parse("session.ini", text, (size_t)len, &err);
	assert_non_null(session);
	local = local_parse("local.ini", "[local]\n", 8, true, session, &err);
	assert_non_null(local);
	rig_start(&end[0], 0);
	rig_start(&end[1], 1);
	return 0;
}

int
rig_teardown(void **state)
{
	struct letter *l;

	(void)state;
	rig_stop(&end[0]);
	rig_stop(&end[1]);
	rig_stop(&copy);
	while ((l = letters) != NULL) {
		letters = l->next;
		free(l);
	}
	event_free(postman);
	event_base_free(base);
	local_free(local);
	session_free(session);
	identity_free(end[0].id);
	identity_free(end[1].id);
	return 0;
}

bool
rig_both_up(void)
{
	return link_is_up(end[0].link) && link_is_up(end[1].link);
}

uint32_t
rig_path_of(const struct rig_end *e)
{
	struct link_info info;

	link_get_info(e->link, &info);
	return info.quic.path;
}

bool
rig_both_on(uint32_t number)
{
	return rig_path_of(&end[0]) == number && rig_path_of(&end[1]) == number;
}

bool
rig_both_relayed(bool relayed)
{
	struct link_info info[2];

	for (int i = 0; i < 2; i++)
		link_get_info(end[i].link, &info[i]);
	return info[0].has_path && info[1].has_path && info[0].path.relayed == relayed &&
	       info[1].path.relayed == relayed;
}

const uint8_t *
rig_roster(void)
{
	return session->roster_digest;
}

const char *
rig_error(const struct rig_end *e)
{
	struct link_info info;

	link_get_info(e->link, &info);
	return info.last_error;
}

const char *
rig_state(const struct rig_end *e)
{
	struct link_info info;

	link_get_info(e->link, &info);
	return info.state;
}

static void
on_pong(void *arg, uint64_t rtt_ns, const char *why)
{
	(void)arg;
	(void)rtt_ns;
	if (why == NULL)
		pongs++;
}

bool
rig_try_round_trip(uint64_t limit_ns)
{
	uint64_t until_ns = clock_now_ns() + limit_ns;
	unsigned before = pongs;
	struct err err;

	assert_non_null(ping_start(base, end[0].link, on_pong, NULL, &err));
	while (pongs == before && clock_now_ns() <= until_ns)
		rig_turn();
	return pongs > before;
}

void
rig_check_round_trip(void)
{
	assert_true(rig_try_round_trip(10 * NS_PER_S));
}

void
rig_check_nothing_was_lost(void)
{
	rig_check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[1].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

void
rig_turn(void)
{
	event_base_loop(base, EVLOOP_ONCE);
}

static void
on_passed(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

void
rig_pass(uint64_t ns)
{
	bool passed = false;
	struct event *timer = evtimer_new(base, on_passed, &passed);

	timer_after(timer, ns);
	while (!passed)
		rig_turn();
	event_free(timer);
}
