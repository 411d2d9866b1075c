#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/contact.h"
#include "tunnel/peer.h"
#include "tunnel/flow.h"
#include "tunnel/joint.h"
#include "tunnel/run_peer.h"
#include "tunnel/stream.h"

/* When the peer allows no further streams now, ask again after this long. */
#define CREDIT_RETRY_MS 50

/* How often those go on that were stopped by a rate. */
#define REFILL_MS 10

/* How often streams are looked at that may have been idle for too long. */
#define IDLE_LOOK_S 1

enum direction { OPENED, ACCEPTED };

struct peer {
	struct link_config cfg;
	struct peer_callbacks cb;
	void *arg;
	struct party party; /* as in session.ini, which may be replaced */
	const char *name;   /* in it */
	uint8_t incarnation[CONTACT_INCARNATION_BYTES];
	struct link *link;
	struct run_peer *run;
	bool closing; /* takes no new streams */

	struct stream_list all;
	struct stream_list waiting_ports; /* for the link */
	/* Of two parties only the one with the smaller index dials, so that these are
	 * all opened, or all accepted. */
	struct stream_list waiting_mpyc; /* for their turn, and the link */
	struct stream *live_mpyc;        /* whose turn it is */
	struct event *advance;           /* somebody who waits may proceed */
	unsigned n_mpyc;                 /* that went live, ever */
	struct stream_list fed;          /* have data for their local programs */
	struct event *feed;              /* only ever activated, for them */
	size_t n_streams[2];
	struct flow_list flows;
	size_t n_flows[2];
	struct meter out, in; /* of everything but MPyC's streams */
	struct event *refill;
	struct event *idle; /* while there is a limit */
	uint64_t bytes_sent, bytes_received;
	struct log_gate gate;
};

static enum direction
direction(const struct stream *s)
{
	return stream_is_opener(s) ? OPENED : ACCEPTED;
}

/* --- queues --- */

static void
enqueue(struct stream_list *queue, struct stream *s, bool first)
{
	struct stream_links *links = stream_links(s);

	if (first)
		TAILQ_INSERT_HEAD(queue, links, waiting);
	else
		TAILQ_INSERT_TAIL(queue, links, waiting);
	links->queue = queue;
}

static struct stream *
dequeue(struct stream_list *queue)
{
	struct stream_links *links = TAILQ_FIRST(queue);

	TAILQ_REMOVE(queue, links, waiting);
	links->queue = NULL;
	return links->stream;
}

/* Not at once: whoever asks for it may be half gone, or inside a callback of a
 * connection that is. */
static void
advance_soon(struct peer *p)
{
	event_active(p->advance, EV_TIMEOUT, 0);
}

/* Let the first of ${queue} proceed; -1 when it cannot now. */
static int
proceed_first(struct peer *p, struct stream_list *queue)
{
	struct timeval tv = {.tv_usec = CREDIT_RETRY_MS * 1000};
	struct stream *s = dequeue(queue);

	if (stream_proceed(s) == 0)
		return 0;
	enqueue(queue, s, true);
	event_add(p->advance, &tv);
	return -1;
}

static void
advance_mpyc(struct peer *p)
{
	struct stream *s;

	if (p->live_mpyc != NULL || TAILQ_EMPTY(&p->waiting_mpyc))
		return;
	s = TAILQ_FIRST(&p->waiting_mpyc)->stream;
	if (stream_is_opener(s) && !link_is_up(p->link))
		return;
	p->live_mpyc = s;
	if (proceed_first(p, &p->waiting_mpyc) != 0)
		p->live_mpyc = NULL;
}

/* Whoever has waited and need not any more. */
static void
on_advance(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;

	(void)fd;
	(void)what;
	advance_mpyc(p);
	while (link_is_up(p->link) && !TAILQ_EMPTY(&p->waiting_ports))
		if (proceed_first(p, &p->waiting_ports) != 0)
			break;
}

bool
peer_may_log(struct peer *p)
{
	unsigned hidden;

	if (!log_gate_pass(&p->gate, (long long)clock_now_ns(), &hidden))
		return false;
	if (hidden > 0)
		log_info("peer=%s %u lines about its streams are left out", p->name,
			 hidden);
	return true;
}

static void
refusal(struct peer *p, const char *why)
{
	if (peer_may_log(p))
		log_warn("peer=%s a stream is refused: %s", p->name, why);
}

int
peer_add(struct peer *p, struct stream *s)
{
	struct stream_links *links = stream_links(s);

	if (p->closing) {
		refusal(p, "this proxy is shutting down");
		return -1;
	}
	if (p->n_streams[direction(s)] >= PEER_STREAMS_MAX) {
		char why[64];

		snprintf(why, sizeof why, "there are %u already, the most for one party",
			 (unsigned)PEER_STREAMS_MAX);
		refusal(p, why);
		return -1;
	}
	p->n_streams[direction(s)]++;
	links->stream = s;
	TAILQ_INSERT_TAIL(&p->all, links, all);
	return 0;
}

int
peer_admit_mpyc(struct peer *p)
{
	size_t n = 0;
	struct stream_links *links;

	TAILQ_FOREACH (links, &p->all, all)
		n += stream_is_mpyc(links->stream);
	/* One of them may be live. */
	if (n <= PEER_MPYC_HELD_MAX + 1)
		return 0;
	refusal(p, "too many MPyC connections wait already; end the programs that made "
		   "them");
	return -1;
}

/* Whether local.ini allows ${d} to have what it has, and ${more}. */
static int
admit(struct peer *p, enum direction d, uint64_t more)
{
	uint64_t max = local_limit(p->cfg.local, LIMIT_STREAMS, p->cfg.peer);
	uint64_t n = p->n_flows[d] + more;
	struct stream_links *links;

	if (max == 0)
		return 0;
	TAILQ_FOREACH (links, &p->all, all)
		n += direction(links->stream) == d && !stream_is_mpyc(links->stream);
	if (n <= max)
		return 0;
	refusal(p, "local.ini's max-streams is reached");
	return -1;
}

int
peer_admit_port(struct peer *p, const struct stream *s)
{
	return admit(p, direction(s), 0);
}

/* --- limits --- */

void
peer_meter(struct peer *p, struct joint *j)
{
	joint_set_meters(j, &p->out, &p->in);
}

bool
peer_may_transmit(struct peer *p, size_t len)
{
	return meter_pass(&p->out, len, clock_now_ns());
}

bool
peer_may_deliver(struct peer *p, size_t len)
{
	return meter_pass(&p->in, len, clock_now_ns());
}

void
peer_refill_soon(struct peer *p)
{
	static const struct timeval tv = {.tv_usec = REFILL_MS * 1000};

	if (!event_pending(p->refill, EV_TIMEOUT, NULL))
		event_add(p->refill, &tv);
}

static void
on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct stream_links *links = TAILQ_FIRST(&p->all), *next, *last;

	(void)fd;
	(void)what;
	/* Each goes behind the others, so that none takes all there is every time. */
	last = TAILQ_LAST(&p->all, stream_list);
	for (bool end = links == NULL; !end; links = next) {
		end = links == last;
		next = TAILQ_NEXT(links, all);
		if (!stream_is_metered(links->stream))
			continue;
		TAILQ_REMOVE(&p->all, links, all);
		TAILQ_INSERT_TAIL(&p->all, links, all);
		stream_resume(links->stream);
	}
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	uint64_t now = clock_now_ns();
	uint64_t limit = local_limit(p->cfg.local, LIMIT_IDLE, p->cfg.peer) * NS_PER_S;
	struct stream_links *links = TAILQ_FIRST(&p->all), *next;

	(void)fd;
	(void)what;
	for (; links != NULL && limit > 0 && now > limit; links = next) {
		next = TAILQ_NEXT(links, all);
		if (stream_is_mpyc(links->stream) ||
		    !stream_is_quiet(links->stream, now - limit))
			continue;
		log_info("peer=%s a stream is ended: nothing has moved for %u s "
			 "(max-idle)",
			 p->name, (unsigned)(limit / NS_PER_S));
		stream_kill(links->stream);
	}
}

static void
apply_limits(struct peer *p)
{
	static const struct timeval every = {.tv_sec = IDLE_LOOK_S};
	uint64_t rate = local_limit(p->cfg.local, LIMIT_RATE, p->cfg.peer);

	meter_set(&p->out, rate, clock_now_ns());
	meter_set(&p->in, rate, clock_now_ns());
	if (local_limit(p->cfg.local, LIMIT_IDLE, p->cfg.peer) > 0)
		event_add(p->idle, &every);
	else
		event_del(p->idle);
}

/* --- queues of those that wait --- */

void
peer_wait(struct peer *p, struct stream *s)
{
	bool mpyc = stream_is_mpyc(s);

	/* One that waits again on a new link keeps its turn. */
	enqueue(mpyc ? &p->waiting_mpyc : &p->waiting_ports, s, p->live_mpyc == s);
	if (p->live_mpyc == s)
		p->live_mpyc = NULL;
	else if (mpyc && p->live_mpyc != NULL && peer_may_log(p))
		log_info("peer=%s an MPyC connection waits until the one before it has "
			 "ended",
			 p->name);
	else if (stream_is_opener(s) && !link_is_up(p->link))
		log_info("peer=%s a connection is held until %s is connected", p->name,
			 p->name);
	advance_soon(p);
}

/* A local program gets what a train of packets brought with one write. */
static void
on_feed(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct stream_links *links;

	(void)fd;
	(void)what;
	while ((links = TAILQ_FIRST(&p->fed)) != NULL) {
		TAILQ_REMOVE(&p->fed, links, fed);
		links->is_fed = false;
		stream_move(links->stream);
	}
}

void
peer_feed(struct peer *p, struct stream *s)
{
	struct stream_links *links = stream_links(s);

	if (links->is_fed)
		return;
	links->is_fed = true;
	TAILQ_INSERT_TAIL(&p->fed, links, fed);
	event_active(p->feed, EV_TIMEOUT, 0);
}

void
peer_remove(struct peer *p, struct stream *s)
{
	struct stream_links *links = stream_links(s);

	if (links->stream == NULL)
		return;
	if (links->is_fed)
		TAILQ_REMOVE(&p->fed, links, fed);
	links->is_fed = false;
	if (links->queue != NULL)
		TAILQ_REMOVE(links->queue, links, waiting);
	TAILQ_REMOVE(&p->all, links, all);
	links->stream = NULL;
	p->n_streams[direction(s)]--;
	if (p->live_mpyc == s) {
		p->live_mpyc = NULL;
		advance_soon(p);
	}
}

int
peer_add_flow(struct peer *p, bool opener)
{
	enum direction d = opener ? OPENED : ACCEPTED;

	if (p->closing || p->n_flows[d] >= FLOWS_MAX) {
		refusal(p, "there are too many of UDP");
		return -1;
	}
	/* What the peer opens was admitted as a stream. */
	if (opener && admit(p, d, 1) != 0)
		return -1;
	p->n_flows[d]++;
	return 0;
}

void
peer_remove_flow(struct peer *p, bool opener)
{
	p->n_flows[opener ? OPENED : ACCEPTED]--;
}

struct flow_list *
peer_flows(struct peer *p)
{
	return &p->flows;
}

void
peer_mpyc_went_live(struct peer *p)
{
	p->n_mpyc++;
}

bool
peer_mpyc_is_live(const struct peer *p)
{
	return p->live_mpyc != NULL && !stream_is_held(p->live_mpyc);
}

unsigned
peer_mpyc_count(const struct peer *p)
{
	return p->n_mpyc;
}

struct run_peer *
peer_run(struct peer *p)
{
	return p->run;
}

void
peer_count(struct peer *p, size_t sent, size_t received)
{
	p->bytes_sent += sent;
	p->bytes_received += received;
}

/* --- the link --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct peer *p = arg;

	p->cb.send(p->arg, &p->party.key, sealed, len);
}

static void
on_silent(void *arg)
{
	struct peer *p = arg;

	p->cb.silent(p->arg);
}

static void
on_roster(void *arg, struct session *s)
{
	struct peer *p = arg;

	p->cb.roster(p->arg, s);
}

static void
on_up(void *arg)
{
	struct peer *p = arg;
	struct link_info info;
	char local[ADDR_TEXT_BYTES], remote[ADDR_TEXT_BYTES];

	link_get_info(p->link, &info);
	if (info.has_path)
		log_info("peer=%s path=%s local=%s:%s remote=%s:%s connected", p->name,
			 info.path.relayed ? "relay" : "direct",
			 path_candidate_type_name(info.path.local_type),
			 addr_format(&info.path.local, local),
			 path_candidate_type_name(info.path.remote_type),
			 addr_format(&info.path.remote, remote));
	else
		log_info("peer=%s connected", p->name);
	advance_soon(p);
	p->cb.changed(p->arg);
}

static void
on_down(void *arg, const char *why)
{
	struct peer *p = arg;

	if (p->closing || run_peer_has_ended(p->run))
		log_info("peer=%s disconnected: %s", p->name, why);
	else
		log_warn("peer=%s disconnected: %s", p->name, why);
	p->cb.changed(p->arg);
}

static struct link_owner *
on_opened(void *arg, struct quic_stream *qs)
{
	struct stream *s = stream_accept(arg, qs);

	return s == NULL ? NULL : stream_owner(s);
}

static void
on_refused(void *arg)
{
	struct peer *p = arg;

	if (peer_may_log(p))
		log_warn("peer=%s says that another mpcproxy runs with our identity, and "
			 "refuses us",
			 p->name);
	p->cb.refused(p->arg);
}

static void
on_datagram(void *arg, const uint8_t *data, size_t len)
{
	struct peer *p = arg;
	struct reader r;
	struct flow *f;
	uint64_t id;

	reader_init(&r, data, len);
	id = read_varint(&r);
	if (!r.ok)
		return;
	/* The stream's request may still be under way. */
	f = flow_find(&p->flows, id);
	if (f != NULL)
		flow_datagram(f, r.p, r.left);
}

static const struct link_callbacks link_callbacks = {
    .send = on_send,
    .silent = on_silent,
    .up = on_up,
    .down = on_down,
    .opened = on_opened,
    .datagram = on_datagram,
    .refused = on_refused,
    .roster = on_roster,
};

/* --- local connections --- */

void
peer_open_mpyc(struct peer *p, int fd)
{
	stream_open_mpyc(p, fd);
}

struct stream *
peer_open_port(struct peer *p, int fd, const struct target *t,
	       const struct stream_caller *caller)
{
	return stream_open_port(p, fd, t, caller);
}

/* --- life --- */

static void
free_events(struct peer *p)
{
	if (p->advance != NULL)
		event_free(p->advance);
	if (p->feed != NULL)
		event_free(p->feed);
	if (p->refill != NULL)
		event_free(p->refill);
	if (p->idle != NULL)
		event_free(p->idle);
}

struct peer *
peer_new(const struct link_config *cfg, const struct peer_callbacks *cb, void *arg,
	 struct err *err)
{
	struct peer *p = calloc(1, sizeof *p);

	if (p == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	p->cfg = *cfg;
	p->cb = *cb;
	p->arg = arg;
	p->party = cfg->session->parties[cfg->peer];
	p->name = p->party.name;
	p->cfg.them = &p->party;
	p->cfg.incarnation = p->incarnation;
	TAILQ_INIT(&p->all);
	TAILQ_INIT(&p->waiting_ports);
	TAILQ_INIT(&p->waiting_mpyc);
	TAILQ_INIT(&p->fed);
	TAILQ_INIT(&p->flows);
	p->advance = evtimer_new(cfg->base, on_advance, p);
	p->feed = evtimer_new(cfg->base, on_feed, p);
	p->refill = evtimer_new(cfg->base, on_refill, p);
	p->idle = event_new(cfg->base, -1, EV_PERSIST, on_idle, p);
	if (p->advance == NULL || p->feed == NULL || p->refill == NULL ||
	    p->idle == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	/* Its own, so that a party that is removed and added again meets somebody new. */
	if (RAND_bytes(p->incarnation, sizeof p->incarnation) != 1) {
		err_ssl(err, "no random numbers");
		goto err1;
	}
	p->run = run_peer_new(p, cfg->runs);
	if (p->run == NULL) {
		err_set(err, "out of memory");
		goto err1;
	}
	p->link = link_new(&p->cfg, &link_callbacks, p, err);
	if (p->link == NULL)
		goto err1;
	apply_limits(p);
	return p;

err1:
	run_peer_free(p->run);
	free_events(p);
	free(p);
	return NULL;
}

/* Permission that is taken back ends what it allowed. */
static void
end_forbidden(struct peer *p)
{
	struct stream_links *links = TAILQ_FIRST(&p->all), *next;

	for (; links != NULL; links = next) {
		next = TAILQ_NEXT(links, all);
		if (stream_is_forbidden(links->stream)) {
			log_info("peer=%s a stream is ended: what it leads to is not "
				 "exposed to it any more",
				 p->name);
			stream_kill(links->stream);
		}
	}
}

void
peer_update(struct peer *p, size_t self, size_t index, const struct party *party)
{
	if (strcmp(p->party.name, party->name) != 0)
		log_info("peer=%s is called %s now", p->party.name, party->name);
	p->party = *party;
	p->cfg.self = self;
	p->cfg.peer = index;
	end_forbidden(p);
	flows_end_forbidden(&p->flows);
	apply_limits(p);
	link_set_roster(p->link, p->cfg.session->roster_digest);
}

void
peer_dismiss(struct peer *p)
{
	link_dismiss(p->link);
}

void
peer_stop_accepting(struct peer *p)
{
	p->closing = true;
	flows_end(&p->flows);
}

bool
peer_is_idle(const struct peer *p)
{
	struct stream_links *links;
	struct link_info info;
	size_t attached = 0;

	TAILQ_FOREACH (links, &p->all, all) {
		if (!stream_is_idle(links->stream))
			return false;
		attached += stream_is_attached(links->stream);
	}
	/* Streams that QUIC still delivers without us. */
	link_get_info(p->link, &info);
	return info.quic.streams <= attached;
}

void
peer_free(struct peer *p)
{
	struct stream_links *links;

	if (p == NULL)
		return;
	p->closing = true;
	while ((links = TAILQ_FIRST(&p->all)) != NULL)
		stream_kill(links->stream);
	flows_end(&p->flows);
	run_peer_free(p->run);
	link_free(p->link);
	free_events(p);
	free(p);
}

struct link *
peer_link(struct peer *p)
{
	return p->link;
}

const char *
peer_name(const struct peer *p)
{
	return p->name;
}

size_t
peer_index(const struct peer *p)
{
	return p->cfg.peer;
}

const struct link_config *
peer_config(const struct peer *p)
{
	return &p->cfg;
}

void
peer_status(const struct peer *p, struct peer_status *out)
{
	struct stream_links *links;
	struct link_info info;

	link_get_info(p->link, &info);
	memset(out, 0, sizeof *out);
	out->name = p->name;
	out->index = p->cfg.peer;
	out->connected = info.up;
	out->since_ns = info.since_ns;
	snprintf(out->state, sizeof out->state, "%s", info.state);
	out->has_path = info.has_path;
	out->path = info.path;
	out->smoothed_rtt_ns = info.quic.smoothed_rtt_ns;
	TAILQ_FOREACH (links, &p->all, all) {
		if (stream_is_held(links->stream))
			out->held++;
		else
			out->streams++;
	}
	out->bytes_sent = p->bytes_sent;
	out->bytes_received = p->bytes_received;
	out->datagrams_lost = info.quic.packets_lost;
	snprintf(out->last_error, sizeof out->last_error, "%s", info.last_error);
	snprintf(out->why, sizeof out->why, "%s", info.why);
}
