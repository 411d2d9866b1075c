#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/resolve.h"
#include "tunnel/flow.h"
#include "tunnel/header.h"

/* Datagrams read from a socket in one go. */
#define BATCH 64

struct flow {
	struct link_owner owner; /* first: see conn.h */
	TAILQ_ENTRY(flow) entry;
	struct peer *peer;
	struct quic_stream *qs;
	uint64_t id;
	struct target target;
	bool opener;
	bool live; /* the far end has answered, or the socket is there */
	/* Each with its length (2 bytes) in front: what came on the stream, a part of one
	 * perhaps; and what waits to be sent until it is live. */
	struct evbuffer *in, *held;
	/* opener */
	struct flow_callbacks cb;
	void *arg;
	uint8_t reply[HEADER_REPLY_BYTES];
	size_t reply_len;
	/* acceptor */
	struct resolve *resolve;
	struct event *readable, *idle;
	int fd;
	uint64_t moved_ns;
};

static const struct link_stream_ops flow_ops;

static void
destroy(struct flow *f)
{
	if (f->qs != NULL)
		quic_stream_set_arg(f->qs, NULL);
	peer_remove_flow(f->peer, f->opener);
	TAILQ_REMOVE(peer_flows(f->peer), f, entry);
	resolve_cancel(f->resolve);
	if (f->readable != NULL)
		event_free(f->readable);
	if (f->idle != NULL)
		event_free(f->idle);
	if (f->fd >= 0)
		close(f->fd);
	if (f->in != NULL)
		evbuffer_free(f->in);
	if (f->held != NULL)
		evbuffer_free(f->held);
	free(f);
}

/* End it abnormally. */
static void
end(struct flow *f, enum quic_code code)
{
	void (*ended)(void *arg) = f->cb.ended;
	void *arg = f->arg;

	if (f->qs != NULL) {
		quic_stream_abort(f->qs, code);
		link_flush_soon(peer_link(f->peer));
	}
	destroy(f);
	if (ended != NULL)
		ended(arg);
}

static struct flow *
new_flow(struct peer *p, const struct target *t, bool opener)
{
	struct flow *f = calloc(1, sizeof *f);

	if (f == NULL || peer_add_flow(p, opener) != 0) {
		free(f);
		return NULL;
	}
	f->owner.ops = &flow_ops;
	f->peer = p;
	f->target = *t;
	f->opener = opener;
	f->fd = -1;
	f->moved_ns = clock_now_ns();
	TAILQ_INSERT_TAIL(peer_flows(p), f, entry);
	f->in = evbuffer_new();
	f->held = evbuffer_new();
	if (f->in == NULL || f->held == NULL) {
		destroy(f);
		return NULL;
	}
	return f;
}

/* --- datagrams --- */

/* To the other end. */
static void
transmit(struct flow *f, const uint8_t *data, size_t len)
{
	uint8_t head[8], size[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	uint8_t whole[2 + FLOW_BYTES_MAX];
	struct iovec part[2] = {{head, 0}, {(void *)data, len}};
	struct writer w;

	if (!peer_may_transmit(f->peer, len))
		return;
	f->moved_ns = clock_now_ns();
	peer_count(f->peer, len, 0);
	writer_init(&w, head, sizeof head);
	write_varint(&w, f->id);
	part[0].iov_len = w.len;
	if (link_send_datagram(peer_link(f->peer), part, 2) == 0 || f->qs == NULL)
		return;
	/* Too large for the path: or lost, when the stream has no room for all of it. */
	memcpy(whole, size, sizeof size);
	memcpy(whole + sizeof size, data, len);
	if (quic_stream_write(f->qs, whole, sizeof size + len) == 0)
		link_flush_soon(peer_link(f->peer));
}

/* From the other end, to where it belongs. */
static void
deliver(struct flow *f, const uint8_t *data, size_t len)
{
	if (!peer_may_deliver(f->peer, len))
		return;
	f->moved_ns = clock_now_ns();
	peer_count(f->peer, 0, len);
	if (f->opener)
		f->cb.received(f->arg, data, len);
	else if (send(f->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_debug("peer=%s a datagram is lost: %s", peer_name(f->peer),
			  strerror(errno));
}

static void
hold(struct flow *f, const uint8_t *data, size_t len)
{
	uint8_t size[2] = {(uint8_t)(len >> 8), (uint8_t)len};

	if (evbuffer_get_length(f->held) + sizeof size + len > FLOW_HELD_BYTES)
		return;
	evbuffer_add(f->held, size, sizeof size);
	evbuffer_add(f->held, data, len);
}

/* The first whole one of ${from}; its length in ${*len}. NULL when there is none. */
static uint8_t *
first_of(struct evbuffer *from, size_t *len)
{
	uint8_t size[2];

	if (evbuffer_copyout(from, size, sizeof size) != sizeof size)
		return NULL;
	*len = (size_t)size[0] << 8 | size[1];
	if (evbuffer_get_length(from) < sizeof size + *len)
		return NULL;
	return evbuffer_pullup(from, (ev_ssize_t)(sizeof size + *len)) + sizeof size;
}

static void
go_live(struct flow *f)
{
	struct evbuffer *held = f->held;
	uint8_t *data;
	size_t len;

	f->live = true;
	while ((data = first_of(held, &len)) != NULL) {
		if (f->opener)
			transmit(f, data, len);
		else
			deliver(f, data, len);
		evbuffer_drain(held, len + 2);
	}
}

void
flow_send(struct flow *f, const uint8_t *data, size_t len)
{
	if (len > FLOW_BYTES_MAX)
		return;
	if (f->live)
		transmit(f, data, len);
	else
		hold(f, data, len);
}

void
flow_datagram(struct flow *f, const uint8_t *data, size_t len)
{
	if (len > FLOW_BYTES_MAX)
		return;
	if (f->live)
		deliver(f, data, len);
	else if (!f->opener)
		hold(f, data, len);
}

/* --- the stream --- */

/* The opener's end: -1 when ${f} is gone. */
static int
take_reply(struct flow *f, const uint8_t **data, size_t *len)
{
	size_t n = sizeof f->reply - f->reply_len;
	char text[TARGET_TEXT_BYTES];
	int code;

	n = *len < n ? *len : n;
	memcpy(f->reply + f->reply_len, *data, n);
	f->reply_len += n;
	*data += n;
	*len -= n;
	if (f->reply_len < sizeof f->reply)
		return 0;
	code = header_parse_reply(f->reply);
	if (code == REPLY_SUCCEEDED) {
		go_live(f);
		return 0;
	}
	if (peer_may_log(f->peer))
		log_info("peer=%s target=%s/udp is refused: %s", peer_name(f->peer),
			 target_format(&f->target, text), header_reply_text(code));
	end(f, QUIC_CODE_REFUSED);
	return -1;
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct flow *f = owner;
	uint8_t *one;
	size_t n;

	quic_stream_consumed(f->qs, len);
	if (f->opener && !f->live && take_reply(f, &data, &len) != 0)
		return;
	if (fin) {
		end(f, QUIC_CODE_NONE);
		return;
	}
	evbuffer_add(f->in, data, len);
	while ((one = first_of(f->in, &n)) != NULL) {
		flow_datagram(f, one, n);
		evbuffer_drain(f->in, n + 2);
	}
}

static void
on_reset(void *owner, uint64_t code)
{
	(void)code;
	end(owner, QUIC_CODE_CANCELLED);
}

static void
on_closed(void *owner, bool lost)
{
	struct flow *f = owner;

	(void)lost;
	f->qs = NULL;
	end(f, QUIC_CODE_NONE);
}

static const struct link_stream_ops flow_ops = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_reset,
    .closed = on_closed,
};

/* --- opener --- */

struct flow *
flow_open(struct peer *p, const struct target *t, const struct flow_callbacks *cb,
	  void *arg)
{
	struct header_request req;
	uint8_t head[HEADER_REQUEST_MAX];
	struct flow *f = new_flow(p, t, true);
	size_t len;

	if (f == NULL)
		return NULL;
	f->qs = link_open_stream(peer_link(p), &f->owner);
	if (f->qs == NULL) {
		destroy(f);
		return NULL;
	}
	f->id = quic_stream_id(f->qs);
	header_request_for(&req, t, true);
	len = header_encode_request(&req, head);
	if (quic_stream_write(f->qs, head, len) != 0) {
		end(f, QUIC_CODE_LIMIT);
		return NULL;
	}
	f->cb = *cb;
	f->arg = arg;
	link_flush_soon(peer_link(p));
	return f;
}

void
flow_close(struct flow *f)
{
	f->cb.ended = NULL;
	end(f, QUIC_CODE_NONE);
}

/* --- acceptor --- */

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct flow *f = arg;
	uint8_t data[FLOW_BYTES_MAX];

	(void)what;
	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);

		if (n >= 0)
			transmit(f, data, (size_t)n);
		else if (errno != ECONNREFUSED) /* which is about one of ours */
			return;
	}
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct flow *f = arg;

	(void)fd;
	(void)what;
	if (clock_now_ns() - f->moved_ns >= FLOW_IDLE_S * NS_PER_S)
		end(f, QUIC_CODE_NONE);
}

static void
answer(struct flow *f, enum header_reply code)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(code, head);
	quic_stream_write(f->qs, head, sizeof head);
	link_flush_soon(peer_link(f->peer));
	if (code == REPLY_SUCCEEDED)
		return;
	quic_stream_finish(f->qs);
	destroy(f);
}

static int
open_socket(struct flow *f, const union addr *to)
{
	static const struct timeval look = {.tv_sec = FLOW_IDLE_S / 10};
	struct event_base *base = peer_config(f->peer)->base;

	f->fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || connect(f->fd, &to->sa, addr_len(to)) != 0)
		return errno;
	f->readable = event_new(base, f->fd, EV_READ | EV_PERSIST, on_readable, f);
	f->idle = event_new(base, -1, EV_PERSIST, on_idle, f);
	if (f->readable == NULL || f->idle == NULL || event_add(f->readable, NULL) != 0 ||
	    event_add(f->idle, &look) != 0)
		return ENOMEM;
	return 0;
}

static void
on_looked_up(void *arg, const union addr *addrs, size_t n, const char *why)
{
	struct flow *f = arg;
	int error;

	f->resolve = NULL;
	error = n > 0 ? open_socket(f, &addrs[0]) : EHOSTUNREACH;
	if (error != 0) {
		if (peer_may_log(f->peer))
			log_info("peer=%s host=%s cannot be reached from here: %s",
				 peer_name(f->peer), f->target.host,
				 n > 0 ? strerror(error) : why);
		answer(f, header_reply_for(error));
		return;
	}
	answer(f, REPLY_SUCCEEDED);
	go_live(f);
}

struct link_owner *
flow_accept(struct peer *p, struct quic_stream *qs, const struct target *t)
{
	const char *host = t->host[0] != '\0' ? t->host : "127.0.0.1";
	struct flow *f = new_flow(p, t, false);
	struct err err;

	if (f == NULL)
		return NULL;
	/* Also for an address: what follows is never from within this call. */
	f->resolve = resolve_start(peer_config(p)->base, host, t->port, on_looked_up, f,
				   &err);
	if (f->resolve == NULL) {
		destroy(f);
		return NULL;
	}
	f->qs = qs;
	f->id = quic_stream_id(qs);
	quic_stream_set_arg(qs, f);
	return &f->owner;
}

/* --- all of a party's --- */

struct flow *
flow_find(struct flow_list *flows, uint64_t id)
{
	struct flow *f;

	TAILQ_FOREACH (f, flows, entry)
		if (f->id == id && f->qs != NULL)
			return f;
	return NULL;
}

void
flows_end_forbidden(struct flow_list *flows)
{
	struct flow *f = TAILQ_FIRST(flows), *next;

	for (; f != NULL; f = next) {
		const struct link_config *cfg = peer_config(f->peer);

		next = TAILQ_NEXT(f, entry);
		if (!f->opener &&
		    !local_exposes(cfg->local, &f->target, true, cfg->peer))
			end(f, QUIC_CODE_REFUSED);
	}
}

void
flows_end(struct flow_list *flows)
{
	struct flow *f;

	while ((f = TAILQ_FIRST(flows)) != NULL)
		end(f, QUIC_CODE_NONE);
}
