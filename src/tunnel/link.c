#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/attempt.h"
#include "tunnel/link.h"
#include "tunnel/signaller.h"
#include "tunnel/silence.h"
#include "tunnel/turn.h"

/* Between failed attempts: long enough not to load a relay or the rendezvous, short
 * enough that a person who mends the network need not wait. */
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS   15000

/* From an attempt's start, or the QUIC handshake's, until it is given up. ICE itself
 * gives up earlier once it has the other side's candidates. */
#define ATTEMPT_LIMIT_NS   (60 * NS_PER_S)
#define HANDSHAKE_LIMIT_NS (15 * NS_PER_S)

/* Keeps NAT mappings (RFC 4787, 4.3: 2 minutes at least, yet some keep 30 s) and tells
 * a silent path where there is nothing else to say. */
#define KEEP_ALIVE_NS (4 * NS_PER_S)

/* Both ends keep alive, so that something comes at least as often. After this long
 * without, a path is silent whatever QUIC's own timers say: they follow a round-trip time
 * that one late answer can make long. */
#define QUIET_NS (KEEP_ALIVE_NS + NS_PER_S)

/* How often limits are looked at, and after how many looks a server that has lost its
 * path asks for another again. */
#define WATCH_S   2
#define ASK_LOOKS 4

/* The QUIC long header of an Initial packet, version 1 (RFC 9000, 17.2.2); a client's
 * fills a datagram of at least 1200 bytes (14.1). */
#define INITIAL_DATAGRAM_MIN 1200

struct link {
	struct link_config cfg;
	struct link_callbacks cb;
	void *arg;
	const char *name; /* the peer's */
	bool client;
	bool online; /* some rendezvous is reachable */
	bool wanted; /* one attempt at a new path, though the one in use may be well */
	bool peer_left; /* it shut down in good order: wait until it returns */
	struct signaller *signaller;
	uint32_t generation;    /* the newest attempt's */
	struct attempt *active; /* carries ${current} */
	struct attempt *next;   /* under negotiation; carries ${fresh} */
	bool next_failed;       /* QUIC could not move to it */
	/* At most two connections: the one in use, and one whose handshake is under way
	 * to replace it. */
	struct conn *current;
	struct conn *fresh;
	struct silence silence; /* of the path in use */
	struct event *pulse;    /* for it */
	unsigned looks;         /* since a server asked for another path */
	unsigned retry_ms;
	struct event *retry;
	struct event *watch;
	struct event *flush; /* only ever activated: runs before the loop waits again */
	struct event *reap;  /* the same: frees what callbacks have ended */
	uint64_t since_ns;
	char last_error[ERR_TEXT_BYTES];
	char why[WHY_BYTES]; /* there is no path; "" while that is not known */
};

static void start_attempt(struct link *l);
static void look(struct link *l);

static void
arm(struct event *timer, uint64_t when_ns)
{
	struct timeval tv;

	if (when_ns == CLOCK_NEVER) {
		event_del(timer);
		return;
	}
	clock_until(&tv, when_ns, clock_now_ns());
	event_add(timer, &tv);
}

/* The path in use, if any, will not do. */
static bool
needs_path(const struct link *l)
{
	return l->current == NULL || l->active == NULL || l->silence.lost || l->wanted ||
	       attempt_has_failed(l->active);
}

static void
retry_later(struct link *l)
{
	if (!l->client || !needs_path(l) || event_pending(l->retry, EV_TIMEOUT, NULL))
		return;
	if (l->retry_ms == 0)
		l->retry_ms = RETRY_FIRST_MS;
	arm(l->retry, clock_now_ns() + l->retry_ms * NS_PER_MS);
	l->retry_ms = l->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : l->retry_ms * 2;
}

static void
retry_now(struct link *l)
{
	l->retry_ms = 0;
	event_del(l->retry);
	start_attempt(l);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	if (l->next == NULL)
		start_attempt(l);
}

/* Only the client starts generations; the server asks it to. */
static void
ask_for_restart(struct link *l)
{
	if (!l->client)
		signaller_ask_for_restart(l->signaller, l->generation);
}

static void
drop_next(struct link *l)
{
	struct conn *fresh = l->fresh;

	l->fresh = NULL;
	conn_close(fresh, QUIC_CODE_REPLACED, "given up");
	attempt_free(l->next);
	l->next = NULL;
	l->next_failed = false;
	l->wanted = false;
}

static void
drop_current(struct link *l, enum quic_code code, const char *why)
{
	struct conn *current = l->current;

	if (current != NULL) {
		l->current = NULL;
		silence_init(&l->silence);
		event_del(l->pulse);
		l->since_ns = clock_now_ns();
		snprintf(l->last_error, sizeof l->last_error, "%s", why);
		conn_close(current, code, why);
		l->cb.down(l->arg, why);
	}
	attempt_free(l->active);
	l->active = NULL;
}

static struct attempt *
find_attempt(struct link *l, uint32_t generation)
{
	if (l->active != NULL && attempt_generation(l->active) == generation)
		return l->active;
	if (l->next != NULL && attempt_generation(l->next) == generation)
		return l->next;
	return NULL;
}

/* The path under negotiation has proved itself. */
static void
promote_next(struct link *l)
{
	attempt_free(l->active);
	l->active = l->next;
	l->next = NULL;
	l->next_failed = false;
	l->wanted = false;
	l->retry_ms = 0;
	event_del(l->retry);
	silence_init(&l->silence);
	look(l);
}

static size_t
on_conn_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct attempt *a = find_attempt(arg, path);

	/* A path that is gone loses what is sent on it, as any path may. */
	if (a == NULL || attempt_has_failed(a))
		return len;
	return path_send(attempt_path(a), data, len, segment);
}

static void
on_conn_established(void *arg, struct conn *c)
{
	struct link *l = arg;

	if (c != l->fresh)
		return;
	l->fresh = NULL;
	drop_current(l, QUIC_CODE_REPLACED, "replaced by a new connection");
	l->current = c;
	promote_next(l);
	l->since_ns = clock_now_ns();
	l->last_error[0] = '\0';
	l->why[0] = '\0';
	l->cb.up(l->arg);
}

static void
on_conn_ended(void *arg, struct conn *c)
{
	struct link *l = arg;

	(void)c;
	event_active(l->reap, EV_TIMEOUT, 0);
}

static struct link_owner *
on_conn_opened(void *arg, struct conn *c, struct quic_stream *s)
{
	struct link *l = arg;

	return c == l->current ? l->cb.opened(l->arg, s) : NULL;
}

static void
on_conn_migrated(void *arg, struct conn *c, uint32_t path, bool ok)
{
	struct link *l = arg;

	if (l->next == NULL || attempt_generation(l->next) != path || c != l->current)
		return;
	log_debug("peer=%s generation=%u migration %s", l->name, path,
		  ok ? "done" : "failed");
	if (ok) {
		promote_next(l);
	} else {
		l->next_failed = true;
		event_active(l->reap, EV_TIMEOUT, 0);
	}
}

static void
on_conn_late(void *arg, struct conn *c)
{
	struct link *l = arg;

	if (c == l->current && !l->silence.late)
		look(l);
}

static const struct conn_callbacks conn_callbacks = {
    .send = on_conn_send,
    .established = on_conn_established,
    .ended = on_conn_ended,
    .opened = on_conn_opened,
    .migrated = on_conn_migrated,
    .late = on_conn_late,
};

/* Begin a handshake on ${next}. */
static void
start_conn(struct link *l)
{
	const struct party *party = &l->cfg.session->parties[l->cfg.peer];
	struct quic_config cfg = {
	    .server = !l->client,
	    .ssl_ctx = l->client ? l->cfg.client_ctx : l->cfg.server_ctx,
	    .peer = party->key,
	    .path = attempt_generation(l->next),
	    .idle_ns = l->cfg.local->outage_limit_s * NS_PER_S,
	    .keep_alive_ns = KEEP_ALIVE_NS,
	};
	struct err err;

	l->fresh = conn_new(l->cfg.base, &cfg, &conn_callbacks, l, &err);
	if (l->fresh == NULL)
		log_error("peer=%s cannot start a connection: %s", l->name, err.text);
	link_flush_soon(l);
}

static bool
is_initial(const uint8_t *data, size_t len)
{
	static const uint8_t version_1[4] = {0, 0, 0, 1};

	return len >= INITIAL_DATAGRAM_MIN && (data[0] & 0xf0) == 0xc0 &&
	       memcmp(data + 1, version_1, sizeof version_1) == 0;
}

static void
receive(struct link *l, struct conn *c, uint32_t generation, uint8_t *data, size_t len)
{
	if (c == NULL)
		return;
	conn_receive(c, generation, data, len);
	/* What there is to send goes out once for all datagrams of this wake-up. */
	link_flush_soon(l);
}

/* As quic_get_info(); false when there is no connection. */
static bool
get_quic_info(const struct link *l, struct quic_info *info)
{
	if (l->current == NULL || conn_is_over(l->current))
		return false;
	quic_get_info(conn_quic(l->current), info);
	return true;
}

static void
on_datagram(void *arg, struct attempt *a, uint8_t *data, size_t len)
{
	struct link *l = arg;
	uint32_t generation = attempt_generation(a);
	struct quic_info info;

	if (a == l->active) {
		receive(l, l->current, generation, data, len);
		return;
	}
	if (a != l->next)
		return;
	/* A client that still has its connection migrates it; one that has not starts
	 * anew, while we may believe in the old one: both are served, and only a
	 * handshake that succeeds replaces what is established. */
	if (!l->client && l->fresh == NULL && is_initial(data, len))
		start_conn(l);
	if (l->fresh != NULL) {
		receive(l, l->fresh, generation, data, len);
		return;
	}
	receive(l, l->current, generation, data, len);
	if (!l->client && get_quic_info(l, &info) && info.path == generation)
		promote_next(l);
}

static void
on_writable(void *arg, struct attempt *a)
{
	(void)a;
	link_flush_soon(arg);
}

static void
on_ready(void *arg, struct attempt *a)
{
	struct link *l = arg;

	log_debug("peer=%s generation=%u a candidate pair works", l->name,
		  attempt_generation(a));
	signaller_send_concluded(l->signaller, attempt_generation(a));
	if (a == l->next && l->client && l->fresh == NULL) {
		if (l->current == NULL)
			start_conn(l);
		else if (!conn_is_over(l->current) &&
			 quic_migrate(conn_quic(l->current), attempt_generation(a),
				      true, clock_now_ns()) != 0)
			l->next_failed = true;
		if (l->next_failed)
			event_active(l->reap, EV_TIMEOUT, 0);
	}
	link_flush_soon(l);
}

static void
get_why(const struct link *l, const struct attempt *a, struct why *w)
{
	const struct session *s = l->cfg.session;

	memset(w, 0, sizeof *w);
	w->us.name = s->parties[l->cfg.self].name;
	w->them.name = l->name;
	w->policy = s->parties[l->cfg.peer].policy;
	w->has_stun = s->n_stun > 0 || s->n_turn > 0;
	w->has_turn = s->n_turn > 0;
	attempt_facts(a, &w->us.facts, &w->them.facts);
}

static void
on_failed(void *arg, struct attempt *a, const char *why)
{
	struct link *l = arg;
	char why_before[WHY_BYTES];
	struct why w;

	memcpy(why_before, l->why, sizeof why_before);

	log_info("peer=%s generation=%u no path: %s", l->name, attempt_generation(a),
		 why);
	snprintf(l->last_error, sizeof l->last_error, "no path: %s", why);
	if (a == l->next && l->current == NULL) {
		get_why(l, a, &w);
		why_failed(&w, l->why);
		if (strcmp(why_before, l->why) != 0)
			log_info("peer=%s %s", l->name, l->why);
	}
	event_active(l->reap, EV_TIMEOUT, 0);
}

static void
on_local_candidates(void *arg, const uint8_t *body, size_t len)
{
	struct link *l = arg;

	signaller_send_candidates(l->signaller, body, len);
}

/* The path in use carries datagrams again, both ways. The client moves to it as if it
 * were new, and the server follows. */
static void
on_alive(void *arg, struct attempt *a)
{
	struct link *l = arg;
	bool missed = l->silence.late;

	if (a != l->active || !link_is_up(l))
		return;
	if (missed)
		look(l);
	/* QUIC was faster. */
	if (missed && !l->silence.late)
		return;
	if (silence_answered(&l->silence, clock_now_ns()) && l->client) {
		log_debug("peer=%s the path is back", l->name);
		quic_revive(conn_quic(l->current), clock_now_ns());
		link_flush_soon(l);
	}
}

/* The other side is late. It may be the server, which waits for us to move, while we
 * miss nothing; but first we want to see the path carry ours. */
static void
on_probed(void *arg, struct attempt *a)
{
	struct link *l = arg;

	if (a == l->active && l->client && !l->silence.late)
		path_probe(attempt_path(a));
}

static const struct attempt_callbacks attempt_callbacks = {
    .signal = on_local_candidates,
    .ready = on_ready,
    .failed = on_failed,
    .datagram = on_datagram,
    .writable = on_writable,
    .alive = on_alive,
    .probed = on_probed,
};

/* What the path may use besides the session's servers. */
static void
set_turn_credentials(const struct local *local, struct path_config *cfg,
		     char user[TURN_USER_BYTES], char password[TURN_PASSWORD_BYTES])
{
	cfg->turn_user = local->turn_user;
	cfg->turn_password = local->turn_password;
	if (local->turn_secret != NULL &&
	    turn_credentials(local->turn_secret, (int64_t)time(NULL), user, password) ==
		0) {
		cfg->turn_user = user;
		cfg->turn_password = password;
	}
}

/* Negotiate a path under ${generation}, in place of one under negotiation. */
static void
begin(struct link *l, uint32_t generation)
{
	const struct session *s = l->cfg.session;
	const struct party *party = &s->parties[l->cfg.peer];
	struct path_config cfg = {
	    .controlling = l->client,
	    .policy = party->policy,
	    .session = s,
	    .upnp = l->cfg.local->upnp,
	};
	char user[TURN_USER_BYTES], password[TURN_PASSWORD_BYTES];
	struct err err;

	set_turn_credentials(l->cfg.local, &cfg, user, password);
	drop_next(l);
	signaller_supersede(l->signaller);
	l->generation = generation;
	l->next =
	    attempt_new(l->cfg.path_ctx, &cfg, generation, &attempt_callbacks, l, &err);
	if (l->next == NULL) {
		log_error("peer=%s cannot gather candidates: %s", l->name, err.text);
		snprintf(l->last_error, sizeof l->last_error, "%s", err.text);
		retry_later(l);
	}
}

static void
start_attempt(struct link *l)
{
	/* Without a rendezvous or a peer behind it there is nobody to negotiate with;
	 * the return of either starts an attempt at once. */
	if (!l->client || !l->online || !signaller_is_met(l->signaller) || l->peer_left ||
	    !needs_path(l))
		return;
	begin(l, l->generation + 1);
}

/* Free what has ended, and start again. Runs outside everybody's callbacks. */
static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	char why[200];

	(void)fd;
	(void)what;
	if (l->current != NULL && conn_is_over(l->current)) {
		snprintf(why, sizeof why, "%s", conn_why(l->current));
		if (conn_timed_out(l->current))
			snprintf(why, sizeof why,
				 "nothing was heard from it for %u s (outage-limit)",
				 l->cfg.local->outage_limit_s);
		l->peer_left = conn_peer_left(l->current);
		if (l->peer_left)
			signaller_forget(l->signaller);
		drop_current(l, QUIC_CODE_NONE, why);
		ask_for_restart(l);
		retry_later(l);
	}
	if (l->fresh != NULL && conn_is_over(l->fresh)) {
		log_warn("peer=%s the handshake failed: %s", l->name, conn_why(l->fresh));
		snprintf(l->last_error, sizeof l->last_error, "%s", conn_why(l->fresh));
		drop_next(l);
		retry_later(l);
	}
	if (l->next != NULL && (l->next_failed || attempt_has_failed(l->next))) {
		drop_next(l);
		retry_later(l);
	}
	if (l->active != NULL && attempt_has_failed(l->active)) {
		ask_for_restart(l);
		retry_later(l);
	}
}

/* What silence of the path in use asks for. */
static void
look(struct link *l)
{
	uint64_t now = clock_now_ns(), heard, lasted;
	struct quic *q;
	unsigned todo;

	if (!link_is_up(l))
		return;
	q = conn_quic(l->current);
	heard = quic_last_received_ns(q);
	lasted = now - heard;
	todo = silence_step(&l->silence, quic_is_late(q) || lasted >= QUIET_NS, heard,
			    now);
	if ((todo & SILENCE_PROBE) != 0 && l->active != NULL)
		path_probe(attempt_path(l->active));
	if ((todo & SILENCE_LOST) != 0) {
		log_warn("peer=%s nothing heard for %llu.%llu s, looking for another path",
			 l->name, (unsigned long long)(lasted / NS_PER_S),
			 (unsigned long long)(lasted % NS_PER_S / (NS_PER_S / 10)));
		l->looks = 0;
		ask_for_restart(l);
		if (l->next == NULL)
			retry_now(l);
	}
	if ((todo & SILENCE_HEARD) != 0) {
		log_info("peer=%s heard again", l->name);
		/* There is no need to move any more. */
		if (l->client && l->next != NULL && !attempt_is_ready(l->next) &&
		    !needs_path(l))
			drop_next(l);
	}
	arm(l->pulse, l->silence.late ? l->silence.next_ns : heard + QUIET_NS);
}

static void
on_pulse(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

static void
on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;
	uint64_t now = clock_now_ns();

	(void)fd;
	(void)what;
	if (l->silence.lost && l->next == NULL && ++l->looks % ASK_LOOKS == 0)
		ask_for_restart(l);
	if ((l->fresh != NULL && now - conn_started_ns(l->fresh) > HANDSHAKE_LIMIT_NS) ||
	    (l->next != NULL && now - attempt_started_ns(l->next) > ATTEMPT_LIMIT_NS)) {
		if (l->fresh != NULL)
			snprintf(l->last_error, sizeof l->last_error,
				 "the QUIC handshake was not answered");
		drop_next(l);
		retry_later(l);
	}
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	if (l->current != NULL)
		conn_flush(l->current);
	if (l->fresh != NULL)
		conn_flush(l->fresh);
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct link *l = arg;

	l->cb.send(l->arg, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct link *l = arg;

	l->peer_left = false;
	if (replaced) {
		drop_next(l);
		drop_current(l, QUIC_CODE_REPLACED,
			     "the party's proxy was started again");
	}
	/* The server's number is whatever the client's next message says. */
	if (!l->client)
		l->generation = 0;
	retry_now(l);
}

static void
on_candidates(void *arg, const struct signal_candidates *m)
{
	struct link *l = arg;
	struct attempt *a;
	struct err err;

	if (!l->client && m->generation > l->generation)
		begin(l, m->generation);
	a = find_attempt(l, m->generation);
	if (a != NULL && !attempt_has_failed(a) && attempt_remote(a, m, &err) != 0)
		log_warn("peer=%s its candidates are refused: %s", l->name, err.text);
}

static void
on_restart(void *arg, uint32_t generation)
{
	struct link *l = arg;

	/* An attempt that is newer than the complaint answers it. */
	if (l->client && generation >= l->generation && l->next == NULL &&
	    !event_pending(l->retry, EV_TIMEOUT, NULL)) {
		l->wanted = true;
		start_attempt(l);
	}
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct link *l = arg;
	struct quic_info info;

	return get_quic_info(l, &info) && info.last_received_ns >= since_ns;
}

static void
on_refused(void *arg)
{
	struct link *l = arg;

	l->cb.second_copy(l->arg);
}

static void
on_roster_differs(void *arg)
{
	struct link *l = arg;

	log_error("peer=%s has a different session.ini: names, keys or their order "
		  "differ; "
		  "give every party the same file",
		  l->name);
	snprintf(l->last_error, sizeof l->last_error,
		 "its session.ini differs from ours");
}

static void
on_concluded(void *arg, uint32_t generation)
{
	struct link *l = arg;
	struct attempt *a = find_attempt(l, generation);

	if (a != NULL && l->cfg.local->fast_path)
		attempt_peer_concluded(a);
}

static const struct signaller_callbacks signaller_callbacks = {
    .send = on_send,
    .met = on_met,
    .heard = on_heard,
    .refused = on_refused,
    .roster_differs = on_roster_differs,
    .candidates = on_candidates,
    .restart = on_restart,
    .concluded = on_concluded,
};

static int
make_events(struct link *l)
{
	struct timeval every = {.tv_sec = WATCH_S};

	l->retry = evtimer_new(l->cfg.base, on_retry, l);
	l->watch = event_new(l->cfg.base, -1, EV_PERSIST, on_watch, l);
	l->flush = evtimer_new(l->cfg.base, on_flush, l);
	l->reap = evtimer_new(l->cfg.base, on_reap, l);
	l->pulse = evtimer_new(l->cfg.base, on_pulse, l);
	if (l->retry == NULL || l->watch == NULL || l->flush == NULL || l->reap == NULL ||
	    l->pulse == NULL)
		return -1;
	return event_add(l->watch, &every);
}

static void
free_event(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

static void
link_destroy(struct link *l)
{
	free_event(l->retry);
	free_event(l->watch);
	free_event(l->flush);
	free_event(l->reap);
	free_event(l->pulse);
	signaller_free(l->signaller);
	free(l);
}

struct link *
link_new(const struct link_config *cfg, const struct link_callbacks *cb, void *arg,
	 struct err *err)
{
	struct link *l = calloc(1, sizeof *l);
	struct contact_config contact_cfg = {
	    .self = cfg->identity,
	    .peer = cfg->session->parties[cfg->peer].key,
	    .session_name = cfg->session->name,
	    .roster_digest = cfg->session->roster_digest,
	    .incarnation = cfg->incarnation,
	};

	if (l == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	l->cfg = *cfg;
	l->cb = *cb;
	l->arg = arg;
	l->name = cfg->session->parties[cfg->peer].name;
	l->client = cfg->self < cfg->peer;
	l->since_ns = clock_now_ns();
	silence_init(&l->silence);
	l->signaller =
	    signaller_new(cfg->base, l->name, &contact_cfg, &signaller_callbacks, l, err);
	if (l->signaller == NULL)
		goto err1;
	if (make_events(l) != 0) {
		err_set(err, "out of memory");
		goto err1;
	}
	return l;

err1:
	link_destroy(l);
	return NULL;
}

void
link_free(struct link *l)
{
	struct conn *current;

	if (l == NULL)
		return;
	current = l->current;
	drop_next(l);
	l->current = NULL;
	/* Streams have been ended by their owners before this. */
	conn_close(current, QUIC_CODE_SHUTDOWN, "shutting down");
	attempt_free(l->active);
	link_destroy(l);
}

void
link_rendezvous(struct link *l, bool online)
{
	l->online = online;
	signaller_set_online(l->signaller, online);
	if (online && l->next == NULL)
		retry_now(l);
}

void
link_network_changed(struct link *l)
{
	bool stale =
	    l->active != NULL && (attempt_has_failed(l->active) ||
				  path_has_lost_address(attempt_path(l->active)));

	/* What is under negotiation offers addresses of before. */
	if (!stale && l->next == NULL && !needs_path(l))
		return;
	if (stale)
		log_info("peer=%s the local address of its path is gone, looking for "
			 "another path",
			 l->name);
	l->wanted = true;
	ask_for_restart(l);
	retry_now(l);
}

void
link_sealed(struct link *l, const uint8_t *sealed, size_t len)
{
	signaller_receive(l->signaller, sealed, len);
}

bool
link_is_up(const struct link *l)
{
	return l->current != NULL && !conn_is_over(l->current);
}

struct quic_stream *
link_open_stream(struct link *l, struct link_owner *owner)
{
	return link_is_up(l) ? quic_stream_open(conn_quic(l->current), owner) : NULL;
}

void
link_flush_soon(struct link *l)
{
	event_active(l->flush, EV_TIMEOUT, 0);
}

static const char *
state_text(const struct link *l)
{
	if (l->current != NULL)
		return l->silence.lost ? "connected, but silent" : "connected";
	if (l->fresh != NULL)
		return "handshake";
	if (l->next != NULL)
		return "checking candidate pairs";
	if (l->peer_left)
		return "has shut down";
	if (!l->online)
		return "no rendezvous";
	return signaller_is_met(l->signaller) ? "about to try again" : "not seen yet";
}

void
link_get_info(const struct link *l, struct link_info *info)
{
	const struct attempt *a = l->active != NULL ? l->active : l->next;
	struct why w;

	memset(info, 0, sizeof *info);
	info->up = link_is_up(l);
	info->since_ns = l->since_ns;
	info->state = state_text(l);
	info->last_error = l->last_error;
	if (a != NULL && attempt_is_ready(a)) {
		info->has_path = true;
		path_get_info(attempt_path(a), &info->path);
	}
	get_quic_info(l, &info->quic);
	memcpy(info->why, l->why, sizeof info->why);
	if (info->up && info->has_path && info->path.relayed) {
		get_why(l, a, &w);
		why_relayed(&w, info->why);
	}
}
