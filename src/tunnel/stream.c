#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tunnel/dialer.h"
#include "tunnel/guard.h"
#include "tunnel/header.h"
#include "tunnel/joint.h"
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

struct stream {
	struct link_owner owner; /* first: see conn.h */
	struct stream_links links;
	struct peer *peer;
	struct quic_stream *qs;
	struct joint *joint;
	struct dialer *dialer;
	enum state state;
	bool opener, mpyc;
	bool socks; /* the local program waits for a SOCKS5 reply */
	uint16_t port;
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

static void
flush(struct stream *s)
{
	link_flush_soon(peer_link(s->peer));
}

static void
on_local(void *arg)
{
	move(arg);
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
	s->joint = joint_new(peer_config(p)->base, on_local, s);
	if (s->joint == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

static void
count(struct stream *s)
{
	size_t sent, received;

	joint_count(s->joint, &sent, &received);
	peer_count(s->peer, sent, received);
}

/* Free ${s}; the local connection is closed as it is, and what QUIC has to send goes out
 * without us. */
static void
destroy(struct stream *s)
{
	count(s);
	if (s->qs != NULL)
		quic_stream_set_arg(s->qs, NULL);
	peer_remove(s->peer, s);
	if (s->dialer != NULL)
		dialer_cancel(s->dialer);
	joint_free(s->joint);
	free(s);
}

/*
 * End ${s} abnormally, and let the local program see it. MPyC takes a reset for a reason
 * to wait for ever, and stops at once on an end of file; every other program gets the
 * reset, which cannot be mistaken for the end of the data.
 */
static void
abort_stream(struct stream *s, enum quic_code code)
{
	struct quic_stream *qs = s->qs;

	if (s->mpyc && s->state == STATE_LIVE)
		log_error("peer=%s the connection between the MPyC programs is lost, "
			  "which "
			  "MPyC cannot mend: end the program at every party and start it "
			  "again",
			  peer_of(s));
	if (s->mpyc)
		joint_end_of_file(s->joint);
	else
		joint_arm_reset(s->joint);
	if (qs != NULL) {
		s->qs = NULL;
		quic_stream_set_arg(qs, NULL);
		quic_stream_abort(qs, code);
		flush(s);
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
	joint_say(s->joint, head, sizeof head);
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
	flush(s);
	destroy(s);
}

/* The local program closed or reset its connection while it should not. */
static void
local_gone(struct stream *s, const char *why)
{
	if (s->state != STATE_LIVE)
		log_info("peer=%s the local program hung up before the other side was "
			 "there",
			 peer_of(s));
	else
		log_info("peer=%s a local connection broke: %s", peer_of(s), why);
	abort_stream(s, s->state != STATE_LIVE ? QUIC_CODE_CANCELLED : QUIC_CODE_ABORTED);
}

/* The greeting of an MPyC party: at its own end, before anything is asked of the peer,
 * and at the far end, before anything is dialled. -1 when ${s} is gone. */
static int
check_greeting(struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);
	size_t expected = s->opener ? cfg->self : cfg->peer;
	uint8_t head[GUARD_BYTES];
	size_t n = s->opener ? joint_peek_held(s->joint, head, sizeof head)
			     : joint_peek_waiting(s->joint, head, sizeof head);

	switch (cfg->local->mpyc_guard ? guard_check(head, n, expected) : GUARD_PASS) {
	case GUARD_MORE:
		return 0;
	case GUARD_PASS:
		s->state = STATE_WAITING;
		peer_wait(s->peer, s);
		return 0;
	case GUARD_TLS:
		log_error("peer=%s MPyC %s runs with --ssl: leave --ssl out, every "
			  "stream is "
			  "encrypted and authenticated already (or set mpyc-guard = no "
			  "at "
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
	enum joint_state state = joint_move(s->joint);

	count(s);
	if (s->qs != NULL)
		flush(s);
	if (state == JOINT_BROKEN) {
		local_gone(s, strerror(errno));
		return;
	}
	/* An MPyC party that ends now was killed: the far side must not be handed its
	 * greeting. For other programs, half-closing early is legitimate. */
	if (s->opener && s->mpyc && s->state != STATE_LIVE && joint_hung_up(s->joint)) {
		local_gone(s, "");
		return;
	}
	if (s->opener && s->state == STATE_GREETING && check_greeting(s) != 0)
		return;
	if (state == JOINT_DONE) {
		log_debug("peer=%s a stream has ended", peer_of(s));
		destroy(s);
	}
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
	if (joint_set_fd(s->joint, fd) != 0) {
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
		abort_stream(s, QUIC_CODE_LIMIT);
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
		abort_stream(s, QUIC_CODE_LIMIT);
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
	s->head_len = 0;
	joint_set_stream(s->joint, s->qs);
	joint_move(s->joint);
	flush(s);
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
		joint_open(s->joint);
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
		log_info("peer=%s cannot reach port %u here: %s", peer_of(s), s->port,
			 why);
		refuse(s, REPLY_REFUSED);
		return;
	}
	if (joint_set_fd(s->joint, fd) != 0) {
		abort_stream(s, QUIC_CODE_LIMIT);
		return;
	}
	s->state = STATE_LIVE;
	joint_open(s->joint);
	header_encode_reply(REPLY_SUCCEEDED, head);
	quic_stream_write(s->qs, head, sizeof head);
	flush(s);
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
		log_debug("peer=%s its MPyC program waits for ours on port %u",
			  peer_of(s), s->port);
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
		log_warn("peer=%s asked for %s:%u, which is not exposed to it",
			 peer_of(s),
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
	joint_set_stream(s->joint, qs);
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
		refuse(s, (enum header_reply) - used);
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
	quic_stream_consumed(s->qs, len);
	flush(s);
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
		quic_stream_consumed(s->qs, (size_t)n);
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
	if (joint_take(s->joint, data, len, fin) != 0) {
		local_gone(s, strerror(errno));
		return;
	}
	if (!s->opener && s->state == STATE_GREETING && check_greeting(s) != 0)
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
	joint_set_stream(s->joint, NULL);
	if (lost && s->opener && s->state == STATE_REQUESTED) {
		/* Nothing has reached a far program yet: ask again on the next link. */
		s->state = STATE_WAITING;
		peer_wait(s->peer, s);
		return;
	}
	if (lost || !joint_has_fd(s->joint)) {
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
	return !joint_is_waiting(s->joint) &&
	       (s->qs == NULL || quic_stream_unacked(s->qs) == 0);
}

struct stream_links *
stream_links(struct stream *s)
{
	return &s->links;
}
