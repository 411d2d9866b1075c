#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/dialer.h"
#include "tunnel/guard.h"
#include "tunnel/header.h"
#include "tunnel/stream.h"

enum state {
	STATE_HEADER,
	STATE_GREETING,
	STATE_WAITING,
	STATE_REQUESTED,
	STATE_DIALLING,
	STATE_LIVE,
	STATE_ECHO,
};

/* Services that a request can name besides ports; their port is 0. */
#define SERVICE_MPYC "mpyc"
#define SERVICE_ECHO "echo"

/* What one stream of the echo service returns at most. */
#define ECHO_MAX 1024

#define READ_BYTES (16 * 1024)

struct stream {
	struct link_owner owner; /* first: see link.h */
	struct stream_links links;
	struct peer *peer;
	struct quic_stream *qs;
	enum state state;
	bool opener, mpyc, socks;
	uint16_t port;

	int fd; /* the local connection, -1 for none yet */
	struct event *ev;
	struct dialer *dialer;
	/* The event is edge-triggered and watches both directions for the life of the
	 * fd; these remember what the edges said. */
	bool readable, writable, hung_up;
	bool local_eof;  /* the local program's FIN has been read */
	bool finished;   /* and passed on */
	bool remote_fin; /* the peer's FIN has come */
	bool shut;       /* and has been passed on */
	/* From the peer, not yet written to the local program. Bounded by the stream's
	 * window: credit returns as bytes leave. */
	struct evbuffer *out;
	/* From the local program, while not LIVE; the first ${held_sent} are written to
	 * ${qs} as well. At most STREAM_HELD_MAX. */
	struct evbuffer *held;
	size_t held_sent;
	/* The header (acceptor) or reply (opener), as far as it has come. */
	uint8_t head[HEADER_REQUEST_MAX];
	size_t head_len;
	size_t echoed;
};

static const struct link_stream_ops stream_ops;
static void move(struct stream *s);

static const char *
peer_of(const struct stream *s)
{
	return peer_name(s->peer);
}

static size_t
self_index(const struct stream *s)
{
	return peer_config(s->peer)->self;
}

static struct stream *
stream_new(struct peer *p, bool opener)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->owner.ops = &stream_ops;
	s->peer = p;
	s->opener = opener;
	s->fd = -1;
	s->out = evbuffer_new();
	s->held = opener ? evbuffer_new() : NULL;
	if (s->out == NULL || (opener && s->held == NULL))
		goto err1;
	return s;

err1:
	if (s->out != NULL)
		evbuffer_free(s->out);
	free(s);
	return NULL;
}

/* Free ${s}; the local connection is closed as it is, and what QUIC has to send goes out
 * without us. */
static void
destroy(struct stream *s)
{
	if (s->qs != NULL)
		quic_stream_set_arg(s->qs, NULL);
	peer_remove(s->peer, s);
	if (s->dialer != NULL)
		dialer_cancel(s->dialer);
	if (s->ev != NULL)
		event_free(s->ev);
	if (s->fd >= 0)
		close(s->fd);
	evbuffer_free(s->out);
	if (s->held != NULL)
		evbuffer_free(s->held);
	free(s);
}

/*
 * The local program must see that its connection did not end well. MPyC takes a reset
 * for a reason to wait for ever, and stops at once on an end of file; every other
 * program gets the reset, which cannot be mistaken for the end of the data.
 */
static void
end_local(struct stream *s)
{
	struct linger now = {.l_onoff = 1};
	char waste[READ_BYTES];

	if (s->fd < 0)
		return;
	if (s->mpyc) {
		shutdown(s->fd, SHUT_WR);
		/* Unread bytes would turn the close into a reset. */
		while (recv(s->fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
			continue;
	} else {
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
}

static void
abort_stream(struct stream *s, enum quic_code code)
{
	struct quic_stream *qs = s->qs;

	end_local(s);
	if (qs != NULL) {
		s->qs = NULL;
		quic_stream_set_arg(qs, NULL);
		quic_stream_abort(qs, code);
		link_flush_soon(peer_link(s->peer));
	}
	destroy(s);
}

void
stream_kill(struct stream *s)
{
	abort_stream(s, QUIC_CODE_ABORTED);
}

/* Towards a SOCKS5 client: success before anything else, failure at the end. */
static void
socks_reply(struct stream *s, enum header_reply reply)
{
	uint8_t head[HEADER_REPLY_BYTES];

	if (!s->socks)
		return;
	header_encode_reply(reply, head);
	if (send(s->fd, head, sizeof head, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("peer=%s a SOCKS5 client is gone", peer_of(s));
	s->socks = false;
}

/* Acceptor: say no, and forget the stream. */
static void
refuse(struct stream *s, enum header_reply reply)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(reply, head);
	quic_stream_write(s->qs, head, sizeof head);
	quic_stream_finish(s->qs);
	link_flush_soon(peer_link(s->peer));
	destroy(s);
}

/* --- from the local program to the peer --- */

/* The local program closed or reset its connection, or it broke. */
static void
local_gone(struct stream *s, int error)
{
	if (s->state != STATE_LIVE) {
		log_info("peer=%s the local program hung up before the other side was there",
			 peer_of(s));
		abort_stream(s, QUIC_CODE_CANCELLED);
		return;
	}
	log_info("peer=%s a local connection broke: %s", peer_of(s), strerror(error));
	abort_stream(s, QUIC_CODE_ABORTED);
}

/* Read what may be held. -1 when ${s} is gone. */
static int
read_held(struct stream *s)
{
	while (s->readable && !s->local_eof) {
		size_t room = STREAM_HELD_MAX - evbuffer_get_length(s->held);
		int n;

		/* A full buffer must not hide that the program has gone. */
		if (room == 0)
			break;
		n = evbuffer_read(s->held, s->fd,
				  (int)(room < READ_BYTES ? room : READ_BYTES));
		if (n > 0)
			continue;
		if (n < 0 && errno == EAGAIN) {
			s->readable = false;
		} else if (n < 0) {
			local_gone(s, errno);
			return -1;
		} else {
			s->local_eof = true;
		}
	}
	/* An MPyC party that ends now was killed: the far side must not be handed its
	 * greeting. For other programs, half-closing early is legitimate. */
	if (s->mpyc && (s->local_eof || s->hung_up)) {
		local_gone(s, 0);
		return -1;
	}
	return 0;
}

/* Bytes that were held and not yet written to the QUIC stream. */
static size_t
held_left(const struct stream *s)
{
	return s->held == NULL ? 0 : evbuffer_get_length(s->held) - s->held_sent;
}

static void
send_held(struct stream *s)
{
	struct evbuffer_ptr at;
	struct iovec iov[2];
	size_t taken = 0;
	int n;

	if (held_left(s) == 0)
		return;
	n = quic_stream_reserve(s->qs, held_left(s), iov);
	for (int i = 0; i < n && held_left(s) > 0; i++) {
		size_t len = iov[i].iov_len < held_left(s) ? iov[i].iov_len : held_left(s);

		if (evbuffer_ptr_set(s->held, &at, s->held_sent, EVBUFFER_PTR_SET) != 0)
			break;
		evbuffer_copyout_from(s->held, &at, iov[i].iov_base, len);
		s->held_sent += len;
		taken += len;
	}
	quic_stream_commit(s->qs, taken);
	peer_count(s->peer, taken, 0);
	link_flush_soon(peer_link(s->peer));
}

/* Straight from the socket into QUIC's send buffer. -1 when ${s} is gone. */
static int
send_live(struct stream *s)
{
	size_t turn = 0;

	while (s->readable && !s->local_eof) {
		struct iovec iov[2];
		size_t room = 0;
		ssize_t n;
		int areas;

		if (turn >= STREAM_TURN_BYTES) {
			/* The edge is spent: come back by ourselves. */
			event_active(s->ev, EV_READ, 0);
			break;
		}
		areas = quic_stream_reserve(s->qs, STREAM_TURN_BYTES - turn, iov);
		if (areas == 0)
			break;
		for (int i = 0; i < areas; i++)
			room += iov[i].iov_len;
		n = readv(s->fd, iov, areas);
		if (n < 0 && errno == EAGAIN) {
			quic_stream_commit(s->qs, 0);
			s->readable = false;
		} else if (n < 0) {
			local_gone(s, errno);
			return -1;
		} else if (n == 0) {
			quic_stream_commit(s->qs, 0);
			s->local_eof = true;
		} else {
			quic_stream_commit(s->qs, (size_t)n);
			turn += (size_t)n;
			/* A short read has emptied the socket, and the next bytes make
			 * a new edge; only the end of file may be there already. */
			if ((size_t)n < room && !s->hung_up)
				s->readable = false;
		}
	}
	if (turn > 0) {
		peer_count(s->peer, turn, 0);
		link_flush_soon(peer_link(s->peer));
	}
	return 0;
}

/* -1 when ${s} is gone. */
static int
move_out(struct stream *s)
{
	if (s->state != STATE_LIVE) {
		if (s->opener && read_held(s) != 0)
			return -1;
		if (s->state == STATE_REQUESTED)
			send_held(s);
	} else if (s->qs != NULL) {
		send_held(s);
		if (held_left(s) == 0) {
			if (s->held != NULL)
				evbuffer_free(s->held);
			s->held = NULL;
			if (send_live(s) != 0)
				return -1;
		}
	}
	if (s->local_eof && !s->finished && s->qs != NULL && held_left(s) == 0 &&
	    (s->state == STATE_LIVE || s->state == STATE_REQUESTED)) {
		quic_stream_finish(s->qs);
		s->finished = true;
		link_flush_soon(peer_link(s->peer));
	}
	return 0;
}

/* --- from the peer to the local program --- */

static void
consumed(struct stream *s, size_t len)
{
	if (s->qs != NULL && len > 0) {
		quic_stream_consumed(s->qs, len);
		link_flush_soon(peer_link(s->peer));
	}
}

/* -1 when ${s} is gone. */
static int
move_in(struct stream *s)
{
	size_t left;

	if (s->state != STATE_LIVE)
		return 0;
	while (s->writable && (left = evbuffer_get_length(s->out)) > 0) {
		int n = evbuffer_write(s->out, s->fd);

		if (n > 0) {
			consumed(s, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			s->writable = false;
		} else {
			local_gone(s, errno);
			return -1;
		}
	}
	if (s->remote_fin && !s->shut && evbuffer_get_length(s->out) == 0) {
		shutdown(s->fd, SHUT_WR);
		s->shut = true;
	}
	return 0;
}

/* Straight from the packet to the socket as far as that takes it. Returns what it took,
 * -1 when ${s} is gone. */
static ssize_t
write_through(struct stream *s, const uint8_t *data, size_t len)
{
	ssize_t n;

	if (s->state != STATE_LIVE || !s->writable || evbuffer_get_length(s->out) > 0)
		return 0;
	n = send(s->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		s->writable = false;
		return 0;
	}
	if (n < 0) {
		local_gone(s, errno);
		return -1;
	}
	if ((size_t)n < len)
		s->writable = false;
	consumed(s, (size_t)n);
	return n;
}

/* --- both --- */

/* The greeting of an MPyC party, at whichever end ${from} holds it. -1 when ${s} is
 * gone. */
static int
check_greeting(struct stream *s, struct evbuffer *from, size_t expected)
{
	const struct link_config *cfg = peer_config(s->peer);
	uint8_t head[GUARD_BYTES];
	ssize_t n = 0;

	n = evbuffer_copyout(from, head, sizeof head);
	switch (cfg->local->mpyc_guard ? guard_check(head, n > 0 ? (size_t)n : 0, expected)
				       : GUARD_PASS) {
	case GUARD_MORE:
		return 0;
	case GUARD_PASS:
		s->state = STATE_WAITING;
		peer_wait(s->peer, s);
		return 0;
	case GUARD_TLS:
		log_error("peer=%s MPyC %s runs with --ssl: leave --ssl out, every stream is "
			  "encrypted and authenticated already (or set mpyc-guard = no at "
			  "both ends)",
			  peer_of(s), s->opener ? "here" : "there");
		break;
	case GUARD_WRONG_INDEX:
		log_error("peer=%s a program %s greets as party %u, but it is party %zu: "
			  "refused (check -I; if it is not MPyC, set mpyc-guard = no)",
			  peer_of(s), s->opener ? "here" : "there", guard_index(head),
			  expected);
		break;
	}
	if (s->opener)
		abort_stream(s, QUIC_CODE_REFUSED);
	else
		refuse(s, REPLY_NOT_ALLOWED);
	return -1;
}

/* Move what can be moved, both ways, and end what is over. ${s} may be gone after it. */
static void
move(struct stream *s)
{
	if (s->fd < 0 || move_in(s) != 0 || move_out(s) != 0)
		return;
	if (s->state == STATE_GREETING && s->opener &&
	    check_greeting(s, s->held, self_index(s)) != 0)
		return;
	if (s->state == STATE_LIVE && s->shut && s->finished) {
		log_debug("peer=%s a stream has ended", peer_of(s));
		destroy(s);
	}
}

static void
on_local(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	if (what & (EV_READ | EV_CLOSED))
		s->readable = true;
	if (what & EV_WRITE)
		s->writable = true;
	if (what & EV_CLOSED)
		s->hung_up = true;
	move(s);
}

static int
watch_local(struct stream *s, int fd)
{
	struct event_base *base = peer_config(s->peer)->base;

	s->ev = event_new(base, fd,
			  EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_local, s);
	if (s->ev == NULL)
		return -1;
	s->fd = fd;
	return event_add(s->ev, NULL);
}

/* --- opener --- */

static struct stream *
open_stream(struct peer *p, int fd)
{
	struct stream *s = stream_new(p, true);

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	if (watch_local(s, fd) != 0) {
		s->fd = fd;
		destroy(s);
		return NULL;
	}
	return s;
}

struct stream *
stream_open_mpyc(struct peer *p, int fd)
{
	struct stream *s = open_stream(p, fd);

	if (s == NULL)
		return NULL;
	s->mpyc = true;
	s->state = STATE_GREETING;
	if (peer_add(p, s) != 0 || peer_admit_mpyc(p, s) != 0) {
		end_local(s);
		destroy(s);
		return NULL;
	}
	return s;
}

struct stream *
stream_open_port(struct peer *p, int fd, uint16_t port, bool socks)
{
	struct stream *s = open_stream(p, fd);

	if (s == NULL)
		return NULL;
	s->port = port;
	s->socks = socks;
	s->state = STATE_WAITING;
	if (peer_add(p, s) != 0) {
		socks_reply(s, REPLY_FAILURE);
		end_local(s);
		destroy(s);
		return NULL;
	}
	peer_wait(p, s);
	return s;
}

static int
request(struct stream *s)
{
	struct header_request req = {.host = SERVICE_MPYC};
	uint8_t head[HEADER_REQUEST_MAX];
	size_t len;

	s->qs = link_open_stream(peer_link(s->peer), &s->owner);
	if (s->qs == NULL)
		return -1;
	if (!s->mpyc) {
		memcpy(req.host, "127.0.0.1", sizeof "127.0.0.1");
		req.port = s->port;
	}
	len = header_encode_request(&req, head);
	/* The first bytes of a new stream always find room. */
	quic_stream_write(s->qs, head, len);
	s->state = STATE_REQUESTED;
	s->held_sent = 0;
	s->head_len = 0;
	s->finished = false;
	send_held(s);
	/* Bytes and the end of file that came while waiting. */
	event_active(s->ev, EV_READ, 0);
	link_flush_soon(peer_link(s->peer));
	return 0;
}

/* The far side has answered. -1 when ${s} is gone. */
static int
on_reply(struct stream *s)
{
	int reply = header_parse_reply(s->head);

	if (reply == REPLY_SUCCEEDED) {
		socks_reply(s, REPLY_SUCCEEDED);
		s->state = STATE_LIVE;
		if (s->mpyc)
			log_info("peer=%s the MPyC programs are connected", peer_of(s));
		return 0;
	}
	if (reply < 0)
		log_warn("peer=%s answered a stream with something that is no reply",
			 peer_of(s));
	else if (s->mpyc)
		log_error("peer=%s refused the MPyC connection: its log says why",
			  peer_of(s));
	else
		log_info("peer=%s port=%u: %s", peer_of(s), s->port,
			 header_reply_text(reply));
	socks_reply(s, reply < 0 ? REPLY_FAILURE : (enum header_reply)reply);
	abort_stream(s, QUIC_CODE_REFUSED);
	return -1;
}

/* --- acceptor --- */

static void
on_dialled(void *arg, int fd, const char *why)
{
	struct stream *s = arg;
	uint8_t head[HEADER_REPLY_BYTES];

	s->dialer = NULL;
	if (fd < 0) {
		log_info("peer=%s cannot reach port %u here: %s", peer_of(s), s->port, why);
		refuse(s, REPLY_REFUSED);
		return;
	}
	if (watch_local(s, fd) != 0) {
		s->fd = fd;
		abort_stream(s, QUIC_CODE_LIMIT);
		return;
	}
	s->state = STATE_LIVE;
	s->writable = true;
	header_encode_reply(REPLY_SUCCEEDED, head);
	quic_stream_write(s->qs, head, sizeof head);
	link_flush_soon(peer_link(s->peer));
	if (s->mpyc)
		log_info("peer=%s the MPyC programs are connected", peer_of(s));
	move(s);
}

static int
dial(struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);

	if (s->mpyc)
		s->port = (uint16_t)(cfg->local->base_port + cfg->self);
	s->dialer = dialer_start(cfg->base, s->port, s->mpyc, on_dialled, s);
	if (s->dialer == NULL)
		return -1;
	s->state = STATE_DIALLING;
	if (s->mpyc)
		log_debug("peer=%s its MPyC program waits for ours on port %u", peer_of(s),
			  s->port);
	return 0;
}

int
stream_proceed(struct stream *s)
{
	return s->opener ? request(s) : dial(s);
}

/* The header is complete. -1 when ${s} is gone. */
static int
on_request(struct stream *s, const struct header_request *req)
{
	const struct link_config *cfg = peer_config(s->peer);
	char host[64];

	if (req->port == 0 && strcmp(req->host, SERVICE_MPYC) == 0) {
		s->mpyc = true;
		s->state = STATE_GREETING;
		if (peer_admit_mpyc(s->peer, s) == 0)
			return 0;
		refuse(s, REPLY_FAILURE);
		return -1;
	}
	if (req->port == 0 && strcmp(req->host, SERVICE_ECHO) == 0) {
		s->state = STATE_ECHO;
		return 0;
	}
	if (strcmp(req->host, "127.0.0.1") != 0 ||
	    !local_exposes(cfg->local, req->port, cfg->peer)) {
		log_warn("peer=%s asked for %s:%u, which is not exposed to it", peer_of(s),
			 log_clean(host, sizeof host, req->host, strlen(req->host)),
			 req->port);
		refuse(s, REPLY_NOT_ALLOWED);
		return -1;
	}
	s->port = req->port;
	if (dial(s) == 0)
		return 0;
	refuse(s, REPLY_FAILURE);
	return -1;
}

struct stream *
stream_accept(struct peer *p, struct quic_stream *qs)
{
	struct stream *s = stream_new(p, false);

	if (s == NULL)
		return NULL;
	s->qs = qs;
	s->state = STATE_HEADER;
	if (peer_add(p, s) != 0) {
		s->qs = NULL;
		destroy(s);
		return NULL;
	}
	return s;
}

/* --- what QUIC says --- */

/* Collect the header or the reply. Returns the bytes taken of ${data}, -1 when ${s} is
 * gone. */
static ssize_t
take_head(struct stream *s, const uint8_t *data, size_t len)
{
	size_t want = s->opener ? HEADER_REPLY_BYTES : sizeof s->head;
	size_t before = s->head_len;
	size_t n = len < want - before ? len : want - before;
	struct header_request req;
	int used;

	memcpy(s->head + before, data, n);
	s->head_len += n;
	if (s->opener) {
		if (s->head_len < HEADER_REPLY_BYTES)
			return (ssize_t)n;
		return on_reply(s) == 0 ? (ssize_t)n : -1;
	}
	used = header_parse_request(&req, s->head, s->head_len);
	if (used == 0)
		return (ssize_t)n;
	if (used < 0) {
		log_warn("peer=%s opened a stream with a header that is refused: %s",
			 peer_of(s), header_reply_text(-used));
		refuse(s, (enum header_reply)-used);
		return -1;
	}
	return on_request(s, &req) == 0 ? used - (ssize_t)before : -1;
}

static void
echo(struct stream *s, const uint8_t *data, size_t len, bool fin)
{
	uint8_t head[HEADER_REPLY_BYTES];
	bool ok = true;

	if (s->echoed == 0 && len > 0) {
		header_encode_reply(REPLY_SUCCEEDED, head);
		ok = quic_stream_write(s->qs, head, sizeof head) == 0;
	}
	s->echoed += len;
	if (s->echoed > ECHO_MAX || !ok ||
	    (len > 0 && quic_stream_write(s->qs, data, len) != 0)) {
		abort_stream(s, QUIC_CODE_LIMIT);
		return;
	}
	consumed(s, len);
	link_flush_soon(peer_link(s->peer));
	if (fin) {
		quic_stream_finish(s->qs);
		destroy(s);
	}
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct stream *s = owner;
	ssize_t n;

	if (s->state == STATE_HEADER || s->state == STATE_REQUESTED) {
		n = take_head(s, data, len);
		if (n < 0)
			return;
		consumed(s, (size_t)n);
		data += n;
		len -= (size_t)n;
	}
	if (s->state == STATE_ECHO) {
		echo(s, data, len, fin);
		return;
	}
	/* The peer ended before it said what it wants, or whether it will. */
	if (fin && (s->state == STATE_HEADER || s->state == STATE_REQUESTED)) {
		abort_stream(s, QUIC_CODE_PROTOCOL);
		return;
	}
	peer_count(s->peer, 0, len);
	n = len > 0 ? write_through(s, data, len) : 0;
	if (n < 0)
		return;
	if ((size_t)n < len && evbuffer_add(s->out, data + n, len - (size_t)n) != 0) {
		abort_stream(s, QUIC_CODE_LIMIT);
		return;
	}
	s->remote_fin = s->remote_fin || fin;
	if (s->state == STATE_GREETING && !s->opener &&
	    check_greeting(s, s->out, peer_index(s->peer)) != 0)
		return;
	move(s);
}

static void
on_writable(void *owner)
{
	move(owner);
}

static void
on_reset(void *owner, uint64_t code)
{
	struct stream *s = owner;

	if (s->state == STATE_LIVE || s->state == STATE_REQUESTED)
		log_info("peer=%s a stream was ended by the other side%s", peer_of(s),
			 code == QUIC_CODE_ABORTED ? ": its connection there broke" : "");
	else
		log_debug("peer=%s cancelled a stream that was held", peer_of(s));
	abort_stream(s, code == QUIC_CODE_CANCELLED ? QUIC_CODE_CANCELLED
						    : QUIC_CODE_ABORTED);
}

static void
on_closed(void *owner, bool lost)
{
	struct stream *s = owner;

	s->qs = NULL;
	if (lost && s->opener && s->state == STATE_REQUESTED) {
		/* Nothing has reached a far program yet: ask again on the next link. */
		s->state = STATE_WAITING;
		peer_wait(s->peer, s);
		return;
	}
	if (lost || s->fd < 0) {
		abort_stream(s, QUIC_CODE_NONE);
		return;
	}
	/* Both halves are over; the local program may still have to take the rest. */
	move(s);
}

static const struct link_stream_ops stream_ops = {
	.data = on_data,
	.writable = on_writable,
	.reset = on_reset,
	.stopped = on_reset,
	.closed = on_closed,
};

struct link_owner *
stream_owner(struct stream *s)
{
	return &s->owner;
}

bool
stream_is_attached(const struct stream *s)
{
	return s->qs != NULL;
}

bool
stream_is_mpyc(const struct stream *s)
{
	return s->mpyc;
}

bool
stream_is_opener(const struct stream *s)
{
	return s->opener;
}

bool
stream_is_held(const struct stream *s)
{
	return s->state != STATE_LIVE && s->state != STATE_ECHO;
}

bool
stream_is_idle(const struct stream *s)
{
	return evbuffer_get_length(s->out) == 0 &&
	       (s->qs == NULL || quic_stream_unacked(s->qs) == 0);
}

struct stream_links *
stream_links(struct stream *s)
{
	return &s->links;
}
