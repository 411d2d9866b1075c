#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "rendezvous/mailbox.h"
#include "rendezvous/wire.h"
#include "session/cert.h"

/* More messages go into a reader's output only below this; until then they wait in
 * the box, where the bounds are fair to their senders. */
#define OUTPUT_LOW_BYTES (32 * 1024)
/* A message on top, and some answers to PINGs. */
#define OUTPUT_MAX_BYTES (OUTPUT_LOW_BYTES + 3 * FRAME_MAX)
#define BACKLOG          512

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

TAILQ_HEAD(conns, conn);

/* An address that has connections. */
struct place {
	struct box_source id; /* first, for by_place() */
	TAILQ_ENTRY(place) in_mailbox;
	struct conns conns; /* the oldest first */
	size_t n;
};

/* One party in one session, while it is connected. */
struct inbox {
	struct box_id id;     /* first, for by_inbox() */
	struct conns readers; /* the newest first */
	size_t n;
};

struct conn {
	struct mailbox *mailbox;
	struct wire *wire;
	struct place *place;
	struct inbox *inbox; /* NULL before OPEN */
	TAILQ_ENTRY(conn) in_mailbox, in_place, in_inbox;
	union addr addr;
	struct pubkey key;
	uint64_t heard_ns;   /* accepted, then the last frame */
	size_t credit_bytes; /* may be read before it is held back */
};

struct mailbox {
	struct event_base *base;
	struct mailbox_limits limits;
	SSL_CTX *ctx;
	struct evconnlistener *listener;
	bool accepting;
	struct event *sweep;
	union addr addr;
	struct boxes *boxes;
	void *inbox_tree, *place_tree; /* tsearch(3), as in boxes.c */
	TAILQ_HEAD(, place) places;
	struct conns conns;
	struct mailbox_stats stats;
	struct log_gate log_failed, log_turned_away, log_accept;
};

static int
by_inbox(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_id));
}

static int
by_place(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_source));
}

static struct place *
place_find(const struct mailbox *m, const struct box_source *id)
{
	struct place *const *node = tfind(id, &m->place_tree, by_place);

	return node != NULL ? *node : NULL;
}

static struct place *
place_get(struct mailbox *m, const struct box_source *id)
{
	struct place *p = place_find(m, id);

	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->id = *id;
	TAILQ_INIT(&p->conns);
	if (tsearch(p, &m->place_tree, by_place) == NULL) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&m->places, p, in_mailbox);
	return p;
}

static void
place_release(struct mailbox *m, struct place *p)
{
	if (p->n > 0)
		return;
	TAILQ_REMOVE(&m->places, p, in_mailbox);
	tdelete(p, &m->place_tree, by_place);
	free(p);
}

static struct inbox *
inbox_find(const struct mailbox *m, const struct box_id *id)
{
	struct inbox *const *node = tfind(id, &m->inbox_tree, by_inbox);

	return node != NULL ? *node : NULL;
}

static struct inbox *
inbox_get(struct mailbox *m, const struct box_id *id)
{
	struct inbox *in = inbox_find(m, id);

	if (in != NULL)
		return in;
	in = calloc(1, sizeof *in);
	if (in == NULL)
		return NULL;
	in->id = *id;
	TAILQ_INIT(&in->readers);
	if (tsearch(in, &m->inbox_tree, by_inbox) == NULL) {
		free(in);
		return NULL;
	}
	return in;
}

static void
inbox_release(struct mailbox *m, struct inbox *in)
{
	if (in->n > 0)
		return;
	tdelete(in, &m->inbox_tree, by_inbox);
	free(in);
}

static void
conn_free(struct conn *c)
{
	struct mailbox *m = c->mailbox;

	if (c->inbox != NULL) {
		TAILQ_REMOVE(&c->inbox->readers, c, in_inbox);
		c->inbox->n--;
		m->stats.readers--;
		inbox_release(m, c->inbox);
	}
	TAILQ_REMOVE(&c->place->conns, c, in_place);
	c->place->n--;
	place_release(m, c->place);
	TAILQ_REMOVE(&m->conns, c, in_mailbox);
	m->stats.connections--;
	wire_free(c->wire);
	free(c);
}

/* Tell the party why, and close. */
static void
conn_refuse(struct conn *c, enum frame_code code, const char *text)
{
	const struct frame f = {
	    .type = FRAME_ERROR,
	    .code = (uint16_t)code,
	    .body = (const uint8_t *)text,
	    .len = strlen(text),
	};

	wire_send(c->wire, &f);
	conn_free(c);
}

static void
conn_failed(struct conn *c, const char *why)
{
	struct mailbox *m = c->mailbox;
	char text[ADDR_TEXT_BYTES];
	unsigned held_back;

	m->stats.failed++;
	if (log_gate_pass(&m->log_failed, (long long)clock_now_ns(), &held_back))
		log_info("mailbox from=%s suppressed=%u closed: %s",
			 addr_format(&c->addr, text), held_back, why);
}

static bool
has_room(const struct conn *c)
{
	return wire_queued(c->wire) < OUTPUT_LOW_BYTES;
}

/*
 * To every reader that has room. The newest one decides whether a message has to wait:
 * older ones of the same party are mostly connections that died without a word.
 */
static void
deliver(struct inbox *in, const uint8_t *msg, size_t len)
{
	const struct frame f = {.type = FRAME_MESSAGE, .body = msg, .len = len};
	struct conn *c;

	TAILQ_FOREACH (c, &in->readers, in_inbox)
		if (has_room(c) && wire_send(c->wire, &f) == 0)
			c->mailbox->stats.delivered++;
}

/* What waits in the box goes out as far as there is room. */
static void
feed(struct mailbox *m, struct inbox *in)
{
	struct box_message *msg;

	while (has_room(TAILQ_FIRST(&in->readers)) &&
	       (msg = boxes_take(m->boxes, &in->id)) != NULL) {
		deliver(in, msg->data, msg->len);
		free(msg);
	}
}

static void
on_send(struct conn *c, const struct frame *f)
{
	struct mailbox *m = c->mailbox;
	struct box_id id;
	struct inbox *in;

	memcpy(id.tag, c->inbox->id.tag, sizeof id.tag);
	memcpy(id.key, f->to, sizeof id.key);
	in = inbox_find(m, &id);
	if (in != NULL && has_room(TAILQ_FIRST(&in->readers))) {
		deliver(in, f->body, f->len);
		return;
	}
	if (boxes_put(m->boxes, &id, &c->key, &c->place->id, f->body, f->len,
		      clock_now_ns()) == 0)
		m->stats.stored++;
}

static void
on_open(struct conn *c, const struct frame *f)
{
	struct mailbox *m = c->mailbox;
	const struct frame ready = {
	    .type = FRAME_READY,
	    .message_max = RENDEZVOUS_MESSAGE_MAX,
	    .idle_ms = (uint32_t)(m->limits.idle_ns / NS_PER_MS),
	};
	struct box_id id;
	struct inbox *in;

	memcpy(id.tag, f->tag, sizeof id.tag);
	memcpy(id.key, c->key.point, sizeof id.key);
	in = inbox_get(m, &id);
	if (in == NULL) {
		conn_refuse(c, FRAME_CODE_LIMIT, "out of memory");
		return;
	}
	c->inbox = in;
	TAILQ_INSERT_HEAD(&in->readers, c, in_inbox);
	in->n++;
	m->stats.readers++;
	if (in->n > m->limits.readers)
		conn_refuse(TAILQ_LAST(&in->readers, conns), FRAME_CODE_REPLACED,
			    "newer connections of the same party took its place");
	wire_send(c->wire, &ready);
	feed(m, in);
}

static void
on_ping(struct conn *c)
{
	const struct frame pong = {.type = FRAME_PONG};

	if (wire_send(c->wire, &pong) != 0) {
		conn_failed(c, "sends and does not read");
		conn_free(c);
	}
}

static void
on_frame(void *arg, const struct frame *f)
{
	struct conn *c = arg;
	size_t bytes = FRAME_HEADER_BYTES + f->len;

	c->heard_ns = clock_now_ns();
	c->credit_bytes -= bytes < c->credit_bytes ? bytes : c->credit_bytes;
	if (c->credit_bytes == 0)
		wire_pause(c->wire);
	if ((f->type == FRAME_OPEN) != (c->inbox == NULL)) {
		conn_failed(c, c->inbox == NULL ? "no OPEN first" : "a second OPEN");
		conn_refuse(c, FRAME_CODE_PROTOCOL, "OPEN comes first, and once");
	} else if (f->type == FRAME_OPEN) {
		on_open(c, f);
	} else if (f->type == FRAME_SEND) {
		on_send(c, f);
	} else if (f->type == FRAME_PING) {
		on_ping(c);
	}
}

static void
on_opened(void *arg)
{
	struct conn *c = arg;

	if (cert_peer_key(wire_ssl(c->wire), &c->key) != 0) {
		conn_failed(c, "no key");
		conn_free(c);
	}
}

static void
on_drained(void *arg)
{
	struct conn *c = arg;

	if (c->inbox != NULL)
		feed(c->mailbox, c->inbox);
}

static void
on_closed(void *arg, const char *why)
{
	struct conn *c = arg;

	if (c->inbox == NULL)
		conn_failed(c, why);
	else
		log_debug("mailbox reader closed: %s", why);
	conn_free(c);
}

static struct conn *
conn_new(struct mailbox *m, int fd, struct place *place, const union addr *addr)
{
	static const struct wire_callbacks cb = {
	    .opened = on_opened,
	    .frame = on_frame,
	    .drained = on_drained,
	    .closed = on_closed,
	};
	const struct wire_config cfg = {.mailbox = true, .output_max = OUTPUT_MAX_BYTES};
	struct conn *c = calloc(1, sizeof *c);
	SSL *ssl = SSL_new(m->ctx);

	if (c == NULL || ssl == NULL || cert_expect_any(ssl) != 0) {
		SSL_free(ssl);
		evutil_closesocket(fd);
		free(c);
		return NULL;
	}
	c->wire = wire_new(m->base, fd, ssl, &cfg, &cb, c);
	if (c->wire == NULL) {
		free(c);
		return NULL;
	}
	c->mailbox = m;
	c->place = place;
	c->addr = *addr;
	c->heard_ns = clock_now_ns();
	c->credit_bytes = m->limits.burst_bytes;
	TAILQ_INSERT_TAIL(&place->conns, c, in_place);
	place->n++;
	TAILQ_INSERT_TAIL(&m->conns, c, in_mailbox);
	m->stats.connections++;
	m->stats.accepted++;
	return c;
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
	const struct place *own = place_find(m, id);
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
	conn_refuse(oldest, FRAME_CODE_LIMIT, "too many connections");
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
	if (conn_new(m, fd, place, &addr) == NULL)
		place_release(m, place);
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
		conn_failed(c, "no OPEN in time");
		conn_refuse(c, FRAME_CODE_TIMEOUT, "no OPEN in time");
		return;
	}
	if (stalled || now_ns - c->heard_ns >= max->idle_ns) {
		log_debug("mailbox reader closed: %s", stalled ? "stalled" : "silent");
		conn_refuse(c, FRAME_CODE_TIMEOUT, "nothing was heard from you");
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
		conn_refuse(c, FRAME_CODE_SHUTDOWN, "the mailbox is shut down");
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
