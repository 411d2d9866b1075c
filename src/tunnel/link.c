#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "session/roster.h"
#include "tunnel/generations.h"
#include "tunnel/inband.h"
#include "tunnel/link.h"
#include "tunnel/ping.h"
#include "tunnel/roster_stream.h"
#include "tunnel/silence.h"

/* Keeps NAT mappings (RFC 4787, 4.3: 2 minutes at least, yet some keep 30 s) and tells
 * a silent path where there is nothing else to say. */
#define KEEP_ALIVE_NS (4 * NS_PER_S)

/* Both ends keep alive, so that something comes at least as often. After this long
 * without, a path is silent whatever QUIC's own timers say: they follow a round-trip time
 * that one late answer can make long. */
#define QUIET_NS (KEEP_ALIVE_NS + NS_PER_S)

/* A timer that is so late has waited for a process that was stopped, or a machine that
 * slept: by now its network may be another one, or its NAT have forgotten it. */
#define SLEPT_NS (2 * NS_PER_S)

/* The next path is asked whether it carries full datagrams: after so many milliseconds
 * again, twice as many each time, until so many questions were in vain. */
#define ASK_FIRST_MS 30
#define ASK_MAX_MS   480
#define ASK_TIMES    12

/* The QUIC long header of an Initial packet, version 1 (RFC 9000, 17.2.2); a client's
 * fills a datagram of at least 1200 bytes (14.1). */
#define INITIAL_DATAGRAM_MIN 1200

struct link {
	struct link_config cfg;
	struct link_callbacks cb;
	void *arg;
	const char *name; /* the peer's */
	bool client;
	bool refused; /* since it was met last */
	struct generations *paths;
	/* At most two connections: the one in use, on the active path, and one whose
	 * handshake is under way on the next, to replace it. */
	struct conn *current;
	struct conn *fresh;
	struct inband *inband;   /* signals on the one in use */
	struct silence silence;  /* of the active path */
	struct event *pulse;     /* for it */
	uint64_t pulse_ns;       /* when that is due */
	struct proxy_ping *ping; /* asks whether the peer is still there */
	struct event *ask;       /* the next path again */
	unsigned asked;          /* so often; 0: it is not to be asked */
	struct event *flush; /* only ever activated: runs before the loop waits again */
	bool flushing;       /* what streams write meanwhile goes out with it */
	struct event *reap;  /* the same: frees what callbacks have ended */
	uint64_t since_ns;
	bool roster_differs;
	bool dismissed; /* the peer is in the session no more */
	struct roster_heard *heard; /* its roster, under way on a stream */
	struct log_gate gate;       /* for lines about rosters */
	char last_error[ERR_TEXT_BYTES];
	char why[WHY_BYTES]; /* there is no path; "" while that is not known */
};

static void look(struct link *l);
static void update_inband(struct link *l);
static void stop_asking(struct link *l);

static void
drop_fresh(struct link *l)
{
	struct conn *fresh = l->fresh;

	l->fresh = NULL;
	conn_close(fresh, QUIC_CODE_REPLACED, "given up");
}

static void
drop_current(struct link *l, enum quic_code code, const char *why)
{
	struct conn *current = l->current;

	if (current != NULL) {
		l->current = NULL;
		silence_init(&l->silence);
		event_del(l->pulse);
		l->pulse_ns = CLOCK_NEVER;
		l->since_ns = clock_now_ns();
		snprintf(l->last_error, sizeof l->last_error, "%s", why);
		conn_close(current, code, why);
		l->cb.down(l->arg, why);
	}
	generations_drop_active(l->paths);
}

/* The first version is what everybody began with. */
static void
tell_roster(struct link *l)
{
	if (link_is_up(l) && l->cfg.session->version > 1)
		roster_tell(l, l->cfg.session);
}

/* The next path has proved itself. */
static void
promote_next(struct link *l)
{
	stop_asking(l);
	generations_promote(l->paths);
	silence_init(&l->silence);
	update_inband(l);
	look(l);
}

/* --- what the connections say --- */

static size_t
on_conn_send(void *arg, uint32_t path, const uint8_t *data, size_t len, size_t segment)
{
	struct link *l = arg;

	return generations_send(l->paths, path, data, len, segment);
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
	tell_roster(l);
	inband_start(l->inband);
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
on_conn_datagram(void *arg, struct conn *c, const uint8_t *data, size_t len)
{
	struct link *l = arg;

	if (c == l->current && l->cb.datagram != NULL)
		l->cb.datagram(l->arg, data, len);
}

static void
on_conn_migrated(void *arg, struct conn *c, uint32_t path, bool ok)
{
	struct link *l = arg;
	struct attempt *next = generations_next(l->paths);

	if (next == NULL || attempt_generation(next) != path || c != l->current)
		return;
	log_debug("peer=%s generation=%u migration %s", l->name, path,
		  ok ? "done" : "failed");
	if (ok)
		promote_next(l);
	else
		generations_give_up(l->paths);
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
    .datagram = on_conn_datagram,
    .migrated = on_conn_migrated,
    .late = on_conn_late,
};

/* Begin a handshake on the next path. */
static void
start_conn(struct link *l)
{
	struct quic_config cfg = {
	    .server = !l->client,
	    .ssl_ctx = l->client ? l->cfg.client_ctx : l->cfg.server_ctx,
	    .peer = l->cfg.them->key,
	    .path = attempt_generation(generations_next(l->paths)),
	    .idle_ns = l->cfg.local->outage_limit_s * NS_PER_S,
	    .keep_alive_ns = KEEP_ALIVE_NS,
	};
	struct err err;

	l->fresh = conn_new(l->cfg.base, &cfg, &conn_callbacks, l, &err);
	if (l->fresh == NULL) {
		log_error("peer=%s cannot start a connection: %s", l->name, err.text);
		generations_give_up(l->paths);
	}
	link_flush_soon(l);
}

/* --- what the paths say --- */

static bool
has_long_header(const uint8_t *data, size_t len)
{
	return len > 0 && (data[0] & 0x80) != 0;
}

/* An Initial packet, or whatever begins a connection in a version that is not ours: it
 * gets a Version Negotiation (RFC 9000, 6.1), so that its sender can say what is wrong.
 */
static bool
begins_connection(const uint8_t *data, size_t len)
{
	static const uint8_t negotiation[4] = {0}, version_1[4] = {0, 0, 0, 1};

	if (len < INITIAL_DATAGRAM_MIN || !has_long_header(data, len) ||
	    memcmp(data + 1, negotiation, sizeof negotiation) == 0)
		return false;
	return memcmp(data + 1, version_1, sizeof version_1) != 0 ||
	       (data[0] & 0x30) == 0;
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

/* The client's connection has moved to the next path. */
static void
follow_client(struct link *l, uint32_t generation)
{
	struct quic_info info;

	if (!get_quic_info(l, &info) || info.path != generation)
		return;
	drop_fresh(l);
	promote_next(l);
}

static void
on_datagram(void *arg, struct attempt *a, uint8_t *data, size_t len)
{
	struct link *l = arg;
	uint32_t generation = attempt_generation(a);

	if (a == generations_active(l->paths)) {
		receive(l, l->current, generation, data, len);
		return;
	}
	/* A client that still has its connection migrates it; one that has not starts
	 * anew, while we may believe in the old one: both are served, and only a
	 * handshake that succeeds replaces what is established. Anybody who knows the
	 * addresses can send an Initial packet, so it must not keep the client from
	 * migrating: in a handshake all datagrams begin with a long header, in an
	 * established connection none does. A client knows what it has begun. */
	if (!l->client && l->fresh == NULL && begins_connection(data, len))
		start_conn(l);
	if (l->fresh != NULL &&
	    (l->client || l->current == NULL || has_long_header(data, len))) {
		receive(l, l->fresh, generation, data, len);
	} else {
		receive(l, l->current, generation, data, len);
		if (!l->client)
			follow_client(l, generation);
	}
}

static void
on_writable(void *arg, struct attempt *a)
{
	(void)a;
	link_flush_soon(arg);
}

/* The client's next path works: move to it. */
static void
use_next(struct link *l)
{
	uint32_t generation = attempt_generation(generations_next(l->paths));

	if (l->current == NULL)
		start_conn(l);
	else if (!conn_is_over(l->current) &&
		 quic_migrate(conn_quic(l->current), generation,
			      !generations_is_searching(l->paths), clock_now_ns()) != 0)
		generations_give_up(l->paths);
	link_flush_soon(l);
}

static void
stop_asking(struct link *l)
{
	l->asked = 0;
	event_del(l->ask);
}

/*
 * A move off a path that is dead costs a connection id, of which there are seven, and
 * none comes back before something is heard from the other side. ICE has seen the next
 * path carry small datagrams, a moment ago: it is used when it has just carried large
 * ones.
 */
static void
ask_next(struct link *l)
{
	unsigned ms = ASK_FIRST_MS << l->asked;

	if (l->asked == ASK_TIMES) {
		log_info("peer=%s generation=%u the path that ICE found does not carry "
			 "datagrams of the size that QUIC needs",
			 l->name, attempt_generation(generations_next(l->paths)));
		generations_give_up(l->paths);
		return;
	}
	l->asked++;
	path_probe(attempt_path(generations_next(l->paths)), true);
	timer_after(l->ask, (ms < ASK_MAX_MS ? ms : ASK_MAX_MS) * NS_PER_MS);
}

static void
on_ask(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	if (link_is_up(l) && generations_next(l->paths) != NULL)
		ask_next(l);
	else
		stop_asking(l);
}

static void
on_ready(void *arg, struct attempt *a)
{
	struct link *l = arg;

	if (!l->client || a != generations_next(l->paths))
		return;
	if (link_is_up(l) && generations_is_of_other_life(l->paths)) {
		start_conn(l);
		return;
	}
	/* A search is for a better path than one that works: QUIC tries the new one
	 * before it leaves. */
	if (link_is_up(l) && !generations_is_searching(l->paths))
		ask_next(l);
	else
		use_next(l);
}

/* The active path carries datagrams again, both ways. The client moves to it as if it
 * were new, and the server follows. */
static void
on_alive(void *arg, struct attempt *a)
{
	struct link *l = arg;
	bool missed = l->silence.late;

	if (l->asked > 0 && a == generations_next(l->paths)) {
		stop_asking(l);
		if (link_is_up(l))
			use_next(l);
		return;
	}
	if (a != generations_active(l->paths) || !link_is_up(l))
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

	if (a == generations_active(l->paths) && l->client && !l->silence.late &&
	    silence_probed(&l->silence, clock_now_ns()))
		path_probe(attempt_path(a), false);
}

static void
on_giving_up(void *arg)
{
	stop_asking(arg);
	drop_fresh(arg);
}

static void
get_why(const struct link *l, const struct attempt *a, struct why *w)
{
	const struct session *s = l->cfg.session;

	memset(w, 0, sizeof *w);
	w->us.name = l->cfg.us->name;
	w->them.name = l->name;
	w->policy = l->cfg.them->policy;
	w->has_stun = s->n_stun > 0 || s->n_turn > 0;
	w->has_turn = s->n_turn > 0;
	w->same_nat = attempt_is_behind_same_nat(a);
	attempt_facts(a, &w->us.facts, &w->them.facts);
}

static void
on_failed(void *arg, struct attempt *a, const char *why)
{
	struct link *l = arg;
	char why_before[WHY_BYTES];
	struct why w;

	if (a == generations_next(l->paths) && generations_is_searching(l->paths)) {
		log_debug("peer=%s generation=%u no direct path: %s", l->name,
			  attempt_generation(a), why);
		return;
	}
	memcpy(why_before, l->why, sizeof why_before);
	log_info("peer=%s generation=%u no path: %s", l->name, attempt_generation(a),
		 why);
	snprintf(l->last_error, sizeof l->last_error, "no path: %s", why);
	if (a == generations_next(l->paths) && l->current == NULL) {
		get_why(l, a, &w);
		why_failed(&w, l->why);
		if (strcmp(why_before, l->why) != 0)
			log_info("peer=%s %s", l->name, l->why);
	}
}

/* --- ends --- */

static void
end_current(struct link *l)
{
	struct attempt *next;
	bool left = conn_peer_left(l->current);
	char why[200];

	snprintf(why, sizeof why, "%s", conn_why(l->current));
	if (conn_timed_out(l->current))
		snprintf(why, sizeof why,
			 "nothing was heard from it for %u s (outage-limit)",
			 l->cfg.local->outage_limit_s);
	drop_current(l, QUIC_CODE_NONE, why);
	if (left) {
		generations_peer_left(l->paths);
		return;
	}
	next = generations_next(l->paths);
	if (l->client && next != NULL && attempt_is_ready(next))
		start_conn(l);
	else
		generations_want(l->paths, false);
}

/* Free what has ended, and start again. Runs outside everybody's callbacks. */
static void
on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	if (l->current != NULL && conn_is_over(l->current))
		end_current(l);
	if (l->fresh != NULL && conn_is_over(l->fresh)) {
		log_warn("peer=%s the handshake failed: %s", l->name, conn_why(l->fresh));
		snprintf(l->last_error, sizeof l->last_error, "%s", conn_why(l->fresh));
		drop_fresh(l);
		generations_give_up(l->paths);
	}
}

/* A path on which nothing is heard is not one to negotiate over. */
static void
update_inband(struct link *l)
{
	generations_set_inband(l->paths, inband_is_open(l->inband) && !l->silence.lost);
}

/* What silence of the active path asks for. */
static void
look(struct link *l)
{
	struct attempt *active = generations_active(l->paths);
	uint64_t now = clock_now_ns(), heard, lasted;
	bool was_late = l->silence.late;
	struct quic *q;
	unsigned todo;

	if (!link_is_up(l))
		return;
	q = conn_quic(l->current);
	heard = quic_last_received_ns(q);
	/* Not yet, within the packet that establishes the connection. */
	if (heard == 0)
		heard = now;
	lasted = now - heard;
	if (now >= l->pulse_ns && now - l->pulse_ns >= SLEPT_NS)
		silence_suspect(&l->silence, now);
	todo =
	    silence_step(&l->silence, quic_is_late(q) || lasted >= QUIET_NS, heard, now);
	if (l->silence.late && !was_late && l->cb.silent != NULL)
		l->cb.silent(l->arg);
	if ((todo & SILENCE_PROBE) != 0 && active != NULL)
		path_probe(attempt_path(active), false);
	if ((todo & SILENCE_LOST) != 0) {
		log_warn("peer=%s nothing heard for %llu.%llu s, looking for another "
			 "path",
			 l->name, (unsigned long long)(lasted / NS_PER_S),
			 (unsigned long long)(lasted % NS_PER_S / (NS_PER_S / 10)));
		update_inband(l);
		generations_want(l->paths, true);
	}
	if ((todo & SILENCE_HEARD) != 0) {
		log_info("peer=%s heard again", l->name);
		generations_settle(l->paths);
		update_inband(l);
	}
	l->pulse_ns = l->silence.late ? l->silence.next_ns : heard + QUIET_NS;
	timer_at(l->pulse, l->pulse_ns);
}

static void
on_pulse(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

/* Something has happened that may have cut the active path: ask it. */
static void
suspect(struct link *l)
{
	if (!link_is_up(l))
		return;
	silence_suspect(&l->silence, clock_now_ns());
	look(l);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct link *l = arg;

	(void)fd;
	(void)what;
	l->flushing = true;
	if (l->current != NULL)
		conn_flush(l->current);
	l->flushing = false;
	if (l->fresh != NULL)
		conn_flush(l->fresh);
}

/* --- what the peer says in sealed messages --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct link *l = arg;

	l->cb.send(l->arg, sealed, len);
	inband_send(l->inband, sealed, len);
}

static void
on_met(void *arg, bool replaced)
{
	struct link *l = arg;

	l->refused = false;
	if (replaced)
		drop_current(arg, QUIC_CODE_REPLACED,
			     "the party's proxy was started again");
}

static void
on_pong(void *arg, uint64_t rtt_ns, const char *why)
{
	struct link *l = arg;

	(void)rtt_ns;
	(void)why;
	l->ping = NULL;
}

/* An idle peer says nothing for seconds: what it must answer is sent along with every
 * question, because only an answer after ${since_ns} counts. */
static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct link *l = arg;
	struct quic_info info;
	struct err err;

	if (!get_quic_info(l, &info))
		return false;
	if (info.last_received_ns >= since_ns)
		return true;
	if (l->ping == NULL)
		l->ping = ping_start(l->cfg.base, l, on_pong, l, &err);
	return false;
}

static void
on_refused(void *arg)
{
	struct link *l = arg;

	l->refused = true;
	snprintf(l->last_error, sizeof l->last_error,
		 "it says that another mpcproxy runs with our identity");
	l->cb.refused(l->arg);
}

static bool
may_log(struct link *l)
{
	return log_gate_pass(&l->gate, (long long)clock_now_ns(), NULL);
}

static void
on_roster_differs(void *arg)
{
	struct link *l = arg;

	l->roster_differs = true;
	if (!may_log(l))
		return;
	/* The host's newest version finds its way by itself. */
	if (l->cfg.session->version != 0) {
		log_info("peer=%s has another version of session.ini than we have",
			 l->name);
		generations_tell_roster(l->paths);
		return;
	}
	log_error("peer=%s has a different session.ini: names, keys or their order "
		  "differ; give every party the same file",
		  l->name);
}

/* What a peer says its roster is: of interest when our host has signed it after ours. */
void
link_take_roster(struct link *l, const uint8_t *data, size_t len)
{
	const struct session *now = l->cfg.session;
	struct session *s;
	struct err err;

	if (now->version == 0)
		return;
	s = roster_unpack(data, len, &now->host, &err);
	if (s == NULL) {
		if (may_log(l))
			log_warn("peer=%s sent a roster that is not our host's, ignored: "
				 "%s",
				 l->name, err.text);
		return;
	}
	if (s->version <= now->version || strcmp(s->name, now->name) != 0) {
		session_free(s);
		return;
	}
	if (may_log(l))
		log_info("peer=%s brings version %llu of the session, signed by its host",
			 l->name, (unsigned long long)s->version);
	l->cb.roster(l->arg, s);
}

struct link_owner *
link_accept_roster(struct link *l, struct quic_stream *qs)
{
	return roster_accept(l, &l->heard, qs);
}

static void
on_roster(void *arg, const uint8_t *data, size_t len)
{
	link_take_roster(arg, data, len);
}

static void
on_roster_agrees(void *arg)
{
	struct link *l = arg;

	if (may_log(l))
		log_info("peer=%s has the same session.ini as we have now", l->name);
	l->roster_differs = false;
}

static const struct generations_callbacks generations_callbacks = {
    .send = on_send,
    .met = on_met,
    .heard = on_heard,
    .refused = on_refused,
    .roster_differs = on_roster_differs,
    .roster_agrees = on_roster_agrees,
    .roster = on_roster,
    .ready = on_ready,
    .failed = on_failed,
    .datagram = on_datagram,
    .writable = on_writable,
    .alive = on_alive,
    .probed = on_probed,
    .giving_up = on_giving_up,
};

static void
on_inband_changed(void *arg)
{
	update_inband(arg);
}

static void
on_inband_message(void *arg, const uint8_t *sealed, size_t len)
{
	link_sealed(arg, sealed, len);
}

static const struct inband_callbacks inband_callbacks = {
    .changed = on_inband_changed,
    .message = on_inband_message,
};

/* --- life, and what is there --- */

static int
make_events(struct link *l)
{
	l->flush = evtimer_new(l->cfg.base, on_flush, l);
	l->reap = evtimer_new(l->cfg.base, on_reap, l);
	l->pulse = evtimer_new(l->cfg.base, on_pulse, l);
	l->ask = evtimer_new(l->cfg.base, on_ask, l);
	return l->flush != NULL && l->reap != NULL && l->pulse != NULL && l->ask != NULL
		   ? 0
		   : -1;
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
	inband_free(l->inband);
	generations_free(l->paths);
	free_event(l->flush);
	free_event(l->reap);
	free_event(l->pulse);
	free_event(l->ask);
	free(l);
}

struct link *
link_new(const struct link_config *cfg, const struct link_callbacks *cb, void *arg,
	 struct err *err)
{
	struct link *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	l->cfg = *cfg;
	l->cb = *cb;
	l->arg = arg;
	l->name = cfg->them->name;
	l->client = cfg->self < cfg->peer;
	l->since_ns = clock_now_ns();
	l->pulse_ns = CLOCK_NEVER;
	silence_init(&l->silence);
	if (make_events(l) != 0) {
		err_set(err, "out of memory");
		goto err1;
	}
	l->inband = inband_new(cfg->base, l, &inband_callbacks, l, err);
	if (l->inband == NULL)
		goto err1;
	l->paths = generations_new(cfg, &generations_callbacks, l, err);
	if (l->paths == NULL)
		goto err1;
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
	drop_fresh(l);
	l->current = NULL;
	/* Streams have been ended by their owners before this. */
	if (l->dismissed)
		conn_close(current, QUIC_CODE_NONE, "not in the session any more");
	else
		conn_close(current, QUIC_CODE_SHUTDOWN, "shutting down");
	link_destroy(l);
}

void
link_dismiss(struct link *l)
{
	l->dismissed = true;
	link_set_roster(l, l->cfg.session->roster_digest);
	/* Before the end of the connection. */
	if (link_is_up(l))
		conn_flush(l->current);
}

void
link_rendezvous(struct link *l, bool online)
{
	generations_set_online(l->paths, online);
}

void
link_set_roster(struct link *l, const uint8_t *digest)
{
	generations_set_roster(l->paths, digest);
	tell_roster(l);
}

void
link_network_changed(struct link *l)
{
	generations_network_changed(l->paths);
	suspect(l);
}

void
link_sealed(struct link *l, const uint8_t *sealed, size_t len)
{
	generations_receive(l->paths, sealed, len);
}

int
link_offer(struct link *l, struct err *err)
{
	return generations_offer(l->paths, err);
}

int
link_get_offer(struct link *l, uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len,
	       struct err *err)
{
	return generations_get_offer(l->paths, sealed, len, err);
}

enum link_taken
link_take_offer(struct link *l, const uint8_t *sealed, size_t len,
		char age[LINK_AGE_BYTES], struct err *err)
{
	return generations_take_offer(l->paths, sealed, len, age, err);
}

bool
link_is_up(const struct link *l)
{
	return l->current != NULL && !conn_is_over(l->current);
}

struct link_owner *
link_accept_signals(struct link *l, struct quic_stream *s)
{
	return inband_accept(l->inband, s);
}

bool
link_is_well(const struct link *l)
{
	return link_is_up(l) && !l->silence.lost;
}

struct quic_stream *
link_open_stream(struct link *l, struct link_owner *owner)
{
	return link_is_up(l) ? quic_stream_open(conn_quic(l->current), owner) : NULL;
}

int
link_send_datagram(struct link *l, const struct iovec *part, int n)
{
	int r;

	if (!link_is_up(l))
		return -1;
	r = quic_datagram_send(conn_quic(l->current), part, n);
	link_flush_soon(l);
	return r;
}

void
link_flush_soon(struct link *l)
{
	if (!l->flushing)
		event_active(l->flush, EV_TIMEOUT, 0);
}

static const char *
state_text(const struct link *l)
{
	if (l->current != NULL)
		return l->silence.lost ? "connected, but silent" : "connected";
	return l->fresh != NULL ? "handshake" : generations_state(l->paths);
}

void
link_get_info(const struct link *l, struct link_info *info)
{
	const struct attempt *a = generations_active(l->paths);
	struct why w;

	if (a == NULL)
		a = generations_next(l->paths);
	memset(info, 0, sizeof *info);
	info->up = link_is_up(l);
	info->refused = l->refused;
	info->since_ns = l->since_ns;
	info->state = state_text(l);
	info->last_error = l->last_error[0] == '\0' && l->roster_differs
			       ? "its session.ini differs from ours"
			       : l->last_error;
	if (a != NULL && attempt_is_ready(a)) {
		info->has_path = true;
		path_get_info(attempt_path(a), &info->path);
	}
	if (get_quic_info(l, &info->quic))
		info->quic.streams -= inband_streams(l->inband);
	memcpy(info->why, l->why, sizeof info->why);
	if (info->up && info->has_path && info->path.relayed) {
		get_why(l, a, &w);
		why_relayed(&w, info->why);
	}
}
