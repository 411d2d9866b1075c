#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tunnel/stream_internal.h"

/* The side of a stream whose local program dialled: see stream.h for its states. */

static const struct link_stream_ops opener_ops;

static struct stream *
open_stream(struct peer *p, int fd)
{
	struct stream *s = stream_new(p, &opener_ops, true);

	if (s == NULL) {
		close(fd);
		return NULL;
	}
	if (joint_set_fd(s->joint, fd) != 0) {
		stream_destroy(s);
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
	/* An MPyC party that ends now was killed: the far side must not be handed its
	 * greeting. */
	joint_end_cancels(s->joint);
	if (peer_add(p, s) != 0 || peer_admit_mpyc(p) != 0) {
		stream_abort(s, QUIC_CODE_LIMIT);
		return NULL;
	}
	return s;
}

/* The party did not come, or not answer, in time. */
static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;
	bool waits = s->state == STATE_WAITING;

	(void)fd;
	(void)what;
	log_info("peer=%s a connection is given up: %s", peer_name(s->peer),
		 waits ? "the party is not connected" : "it does not answer");
	s->socks_reply = waits ? REPLY_HOST_UNREACHABLE : REPLY_TIMED_OUT;
	s->why = waits ? "the party is not connected" : "timed out";
	stream_abort(s, QUIC_CODE_CANCELLED);
}

static int
set_caller(struct stream *s, const struct stream_caller *caller)
{
	static const struct timeval limit = {.tv_sec = STREAM_WAIT_S};

	s->socks = caller->socks;
	/* A SOCKS5 client has nothing to say before the reply. For other programs,
	 * half-closing early is legitimate. */
	if (caller->socks)
		joint_end_cancels(s->joint);
	s->limit = evtimer_new(peer_config(s->peer)->base, on_limit, s);
	return s->limit != NULL ? event_add(s->limit, &limit) : -1;
}

struct stream *
stream_open_port(struct peer *p, int fd, const struct target *t,
		 const struct stream_caller *caller)
{
	struct stream *s = open_stream(p, fd);

	if (s == NULL)
		return NULL;
	s->target = *t;
	s->state = STATE_WAITING;
	joint_reset_if_killed(s->joint);
	if ((caller != NULL && set_caller(s, caller) != 0) || peer_add(p, s) != 0 ||
	    peer_admit_port(p, s) != 0) {
		stream_abort(s, QUIC_CODE_LIMIT);
		return NULL;
	}
	if (caller != NULL) {
		s->caller = *caller;
		if (caller->close_breaks)
			joint_close_breaks(s->joint);
	}
	peer_wait(p, s);
	return s;
}

int
opener_look(struct stream *s)
{
	if ((s->mpyc || s->socks) && joint_hung_up(s->joint)) {
		stream_local_gone(s);
		return -1;
	}
	if (s->state == STATE_GREETING && stream_check_greeting(s) != 0) {
		stream_abort(s, QUIC_CODE_REFUSED);
		return -1;
	}
	return 0;
}

int
opener_request(struct stream *s)
{
	struct header_request req = {.host = SERVICE_MPYC};
	uint8_t head[HEADER_REQUEST_MAX];
	struct quic_stream *qs;
	size_t len;

	if (!s->mpyc)
		header_request_for(&req, &s->target, false);
	len = header_encode_request(&req, head);
	qs = link_open_stream(peer_link(s->peer), &s->owner);
	if (qs == NULL)
		return -1;
	if (quic_stream_write(qs, head, len) != 0) {
		/* Out of memory. */
		quic_stream_set_arg(qs, NULL);
		quic_stream_abort(qs, QUIC_CODE_LIMIT);
		stream_flush(s);
		return -1;
	}
	s->qs = qs;
	s->state = STATE_REQUESTED;
	s->head_len = 0;
	joint_set_stream(s->joint, qs);
	/* Should the local program have ended, its event is still to come. */
	joint_move(s->joint);
	stream_flush(s);
	return 0;
}

/* To a SOCKS5 client, before anything else. */
static void
say_success(struct stream *s)
{
	uint8_t head[HEADER_REPLY_BYTES];

	if (!s->socks)
		return;
	header_encode_reply(REPLY_SUCCEEDED, head);
	joint_say(s->joint, head, sizeof head);
	s->socks = false;
}

static void
log_refusal(struct stream *s, int reply)
{
	const char *name = peer_name(s->peer);
	char text[TARGET_TEXT_BYTES];

	if (!peer_may_log(s->peer))
		return;
	if (reply < 0)
		log_warn("peer=%s answered a stream with something that is no reply",
			 name);
	else if (s->mpyc)
		log_error("peer=%s refused the MPyC connection: its log says why", name);
	else
		log_info("peer=%s target=%s a connection is refused: %s", name,
			 target_format(&s->target, text), header_reply_text(reply));
}

/* The far side has answered. -1 when ${s} is gone. */
static int
on_reply(struct stream *s)
{
	int reply = header_parse_reply(s->head);

	if (reply == REPLY_SUCCEEDED) {
		say_success(s);
		stream_go_live(s);
		return 0;
	}
	log_refusal(s, reply);
	s->why = header_reply_text(reply);
	if (reply >= 0)
		s->socks_reply = (enum header_reply)reply;
	stream_abort(s, QUIC_CODE_REFUSED);
	return -1;
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct stream *s = owner;

	if (s->state == STATE_REQUESTED && len > 0) {
		size_t left = HEADER_REPLY_BYTES - s->head_len;
		size_t n = len < left ? len : left;

		memcpy(s->head + s->head_len, data, n);
		s->head_len += n;
		if (n == left && on_reply(s) != 0)
			return;
		quic_stream_consumed(s->qs, n);
		data += n;
		len -= n;
	}
	if (s->state == STATE_LIVE)
		stream_deliver(s, data, len, fin);
	else if (fin) /* It ended before it said whether it will. */
		stream_abort(s, QUIC_CODE_PROTOCOL);
}

static void
on_closed(void *owner, bool lost)
{
	struct stream *s = owner;
	bool again = s->mpyc || !joint_has_sent(s->joint);

	s->qs = NULL;
	joint_set_stream(s->joint, NULL);
	if (lost && s->state == STATE_REQUESTED && again) {
		/* MPyC's greeting has reached no program, or one that this ends; any
		 * other program must not be handed the same bytes twice. */
		s->state = STATE_WAITING;
		peer_wait(s->peer, s);
	} else if (lost || s->state != STATE_LIVE) {
		stream_abort(s, QUIC_CODE_NONE);
	} else {
		/* Both halves are over; the local program may have to take the rest. */
		stream_move(s);
	}
}

static const struct link_stream_ops opener_ops = {
    .data = on_data,
    .writable = stream_on_writable,
    .reset = stream_on_reset,
    .stopped = stream_on_reset,
    .closed = on_closed,
};
