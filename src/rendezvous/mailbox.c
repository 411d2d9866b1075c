#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "rendezvous/mailbox_internal.h"
#include "rendezvous/tree.h"
#include "session/cert.h"

#define BACKLOG 512

const struct mailbox_limits mailbox_default_limits = {
    .connections = 10000,
    .source_connections = 1024,
    .readers = 4,
    .open_ns = 10 * NS_PER_S,
    .idle_ns = 90 * NS_PER_S,
    .stall_ns = 30 * NS_PER_S,
    .sweep_ns = NS_PER_S,
    .burst_bytes = 4 * 1024 * 1024,
    .rate_bytes = 1024 * 1024,
    .boxes =
	{
	    .per_sender = 8,
	    .senders = 256,
	    .sender_boxes = 1024,
	    .box_bytes = 4 * 1024 * 1024,
	    .bytes = 64 * 1024 * 1024,
	    .age_ns = 300 * NS_PER_S,
	},
};

static int
by_place(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_source));
}

static struct place *
place_get(struct mailbox *m, const struct box_source *id)
{
	struct place *p;
	bool added;

	p = tree_get(&m->place_tree, id, sizeof *id, sizeof *p, by_place, &added);
	if (added) {
		TAILQ_INIT(&p->conns);
		TAILQ_INSERT_TAIL(&m->places, p, in_mailbox);
	}
	return p;
}

void
mailbox_place_release(struct mailbox *m, struct place *p)
{
	if (p->n > 0)
		return;
	TAILQ_REMOVE(&m->places, p, in_mailbox);
	tree_drop(&m->place_tree, p, by_place);
}

static void
turn_away(struct mailbox *m, const union addr *addr, const char *why)
{
	char text[ADDR_TEXT_BYTES];
	unsigned held_back;

	m->stats.turned_away++;
	if (log_gate_pass(&m->log_turned_away, (long long)clock_now_ns(), &held_back))
		log_warn("mailbox from=%s suppressed=%u turned away: %s",
			 addr_format(addr, text), held_back, why);
}

/*
 * Whether one more connection from ${id} may come. When all are taken, the oldest one
 * goes of the address that has most, unless that is the newcomer's own: nobody keeps
 * everybody out from a few addresses.
 */
static bool
make_way(struct mailbox *m, const struct box_source *id, const union addr *addr)
{
	const struct place *own = tree_find(&m->place_tree, id, by_place);
	size_t n = own != NULL ? own->n : 0;
	struct place *p, *most = NULL;
	struct conn *oldest;

	if (n >= m->limits.source_connections) {
		turn_away(m, addr, "too many connections from this address");
		return false;
	}
	if (m->stats.connections < m->limits.connections)
		return true;
	TAILQ_FOREACH (p, &m->places, in_mailbox)
		if (most == NULL || p->n > most->n)
			most = p;
	if (most == NULL || most->n <= n + 1) {
		turn_away(m, addr, "too many connections");
		return false;
	}
	oldest = TAILQ_FIRST(&most->conns);
	turn_away(m, &oldest->addr, "too many connections, most of them from there");
	mailbox_conn_refuse(oldest, FRAME_CODE_LIMIT, "too many connections");
	return true;
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
	  int sa_len, void *arg)
{
	struct mailbox *m = arg;
	struct box_source id;
	struct place *place;
	union addr addr;

	(void)listener;
	if (addr_from_sockaddr(&addr, sa, (socklen_t)sa_len) != 0)
		goto fail;
	box_source_of(&id, &addr);
	if (!make_way(m, &id, &addr))
		goto fail;
	place = place_get(m, &id);
	if (place == NULL)
		goto fail;
	if (mailbox_conn_new(m, fd, place, &addr) == NULL)
		mailbox_place_release(m, place);
	return;

fail:
	evutil_closesocket(fd);
}

/* Out of descriptors or memory, most likely: the waiting connection would keep the
 * loop busy. The next sweep tries again. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct mailbox *m = arg;
	int error = errno;
	unsigned held_back;

	evconnlistener_disable(listener);
	m->accepting = false;
	if (log_gate_pass(&m->log_accept, (long long)clock_now_ns(), &held_back))
		log_warn("mailbox connections=%zu cannot accept: %s",
			 m->stats.connections, strerror(error));
}

/* One connection's deadlines and credit. */
static void
inspect(struct mailbox *m, struct conn *c, uint64_t now_ns)
{
	const struct mailbox_limits *max = &m->limits;
	size_t earned =
	    (size_t)((double)max->rate_bytes * (double)max->sweep_ns / NS_PER_S);
	bool stalled = wire_queued(c->wire) > 0 &&
		       now_ns - wire_progress_ns(c->wire) >= max->stall_ns;

	if (c->inbox == NULL && now_ns - c->heard_ns >= max->open_ns) {
		mailbox_conn_failed(c, "no OPEN in time");
		mailbox_conn_refuse(c, FRAME_CODE_TIMEOUT, "no OPEN in time");
		return;
	}
	if (stalled || now_ns - c->heard_ns >= max->idle_ns) {
		log_debug("mailbox reader closed: %s", stalled ? "stalled" : "silent");
		mailbox_conn_refuse(c, FRAME_CODE_TIMEOUT, "nothing was heard from you");
		return;
	}
	c->credit_bytes += earned;
	if (c->credit_bytes > max->burst_bytes)
		c->credit_bytes = max->burst_bytes;
	wire_resume(c->wire);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct mailbox *m = arg;
	uint64_t now_ns = clock_now_ns();
	struct conn *c, *next;

	(void)fd;
	(void)what;
	for (c = TAILQ_FIRST(&m->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, in_mailbox);
		inspect(m, c, now_ns);
	}
	boxes_expire(m->boxes, now_ns);
	if (!m->accepting) {
		m->accepting = true;
		evconnlistener_enable(m->listener);
	}
}

static int
start_listening(struct mailbox *m, const union addr *listen, struct err *err)
{
	unsigned flags =
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	char text[ADDR_TEXT_BYTES];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	m->listener = evconnlistener_new_bind(m->base, on_accept, m, flags, BACKLOG,
					      &listen->sa, (int)addr_len(listen));
	if (m->listener == NULL && errno == EADDRINUSE)
		return err_set(err,
			       "cannot serve a mailbox on %s: another program has this "
			       "port; choose another one",
			       addr_format(listen, text));
	if (m->listener == NULL && errno == EACCES)
		return err_set(err,
			       "cannot serve a mailbox on %s: ports below 1024 need "
			       "privileges; choose a higher one",
			       addr_format(listen, text));
	if (m->listener == NULL)
		return err_sys(err, "cannot serve a mailbox on %s",
			       addr_format(listen, text));
	evconnlistener_set_error_cb(m->listener, on_accept_error);
	m->accepting = true;
	if (getsockname(evconnlistener_get_fd(m->listener), (struct sockaddr *)&ss,
			&len) == 0 &&
	    addr_from_sockaddr(&m->addr, (struct sockaddr *)&ss, len) == 0)
		return 0;
	return err_sys(err, "cannot serve a mailbox on %s", addr_format(listen, text));
}

static int
start_sweep(struct mailbox *m)
{
	const struct timeval tv = {
	    (time_t)(m->limits.sweep_ns / NS_PER_S),
	    (suseconds_t)(m->limits.sweep_ns % NS_PER_S / NS_PER_US),
	};

	m->sweep = event_new(m->base, -1, EV_PERSIST, on_sweep, m);
	return m->sweep != NULL && event_add(m->sweep, &tv) == 0 ? 0 : -1;
}

/* At most half of what the process may open: a proxy with a mailbox in it needs
 * descriptors for its own work. */
static void
fit_descriptors(struct mailbox_limits *limits)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / 2 < limits->connections)
		limits->connections = rl.rlim_cur / 2;
}

struct mailbox *
mailbox_new(struct event_base *base, const union addr *listen, const struct identity *id,
	    const struct mailbox_limits *limits, struct err *err)
{
	struct mailbox *m = calloc(1, sizeof *m);

	if (m == NULL) {
		err_sys(err, "cannot serve a mailbox");
		return NULL;
	}
	m->base = base;
	m->limits = limits != NULL ? *limits : mailbox_default_limits;
	fit_descriptors(&m->limits);
	TAILQ_INIT(&m->conns);
	TAILQ_INIT(&m->places);
	m->ctx = cert_ssl_ctx(id, true, WIRE_ALPN, err);
	if (m->ctx == NULL)
		goto fail;
	m->boxes = boxes_new(&m->limits.boxes);
	if (m->boxes == NULL || start_sweep(m) != 0) {
		err_set(err, "cannot serve a mailbox: out of memory");
		goto fail;
	}
	if (start_listening(m, listen, err) != 0)
		goto fail;
	return m;

fail:
	mailbox_free(m);
	return NULL;
}

void
mailbox_free(struct mailbox *m)
{
	struct conn *c;

	if (m == NULL)
		return;
	if (m->listener != NULL)
		evconnlistener_free(m->listener);
	while ((c = TAILQ_FIRST(&m->conns)) != NULL)
		mailbox_conn_refuse(c, FRAME_CODE_SHUTDOWN, "the mailbox is shut down");
	if (m->sweep != NULL)
		event_free(m->sweep);
	boxes_free(m->boxes);
	SSL_CTX_free(m->ctx);
	free(m);
}

const union addr *
mailbox_addr(const struct mailbox *m)
{
	return &m->addr;
}

void
mailbox_get_stats(const struct mailbox *m, struct mailbox_stats *stats)
{
	*stats = m->stats;
	boxes_get_stats(m->boxes, &stats->waiting);
}
