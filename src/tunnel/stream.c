#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/guard.h"
#include "tunnel/stream_internal.h"

static void
on_local(void *arg)
{
	stream_move(arg);
}

struct stream *
stream_new(struct peer *p, const struct link_stream_ops *ops, bool opener)
{
	struct stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->owner.ops = ops;
	s->peer = p;
	s->opener = opener;
	s->socks_reply = REPLY_FAILURE;
	s->moved_ns = clock_now_ns();
	s->joint = joint_new(peer_config(p)->base, on_local, s);
	if (s->joint == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

void
stream_flush(struct stream *s)
{
	link_flush_soon(peer_link(s->peer));
}

static void
count(struct stream *s)
{
	size_t sent, received;

	joint_count(s->joint, &sent, &received);
	if (sent + received > 0)
		s->moved_ns = clock_now_ns();
	peer_count(s->peer, sent, received);
}

void
stream_destroy(struct stream *s)
{
	void (*ended)(void *arg, const char *why) = s->caller.ended;
	void *arg = s->caller.arg;
	const char *why = s->why;

	count(s);
	if (s->limit != NULL)
		event_free(s->limit);
	if (s->qs != NULL)
		quic_stream_set_arg(s->qs, NULL);
	peer_remove(s->peer, s);
	if (s->dialer != NULL)
		dialer_cancel(s->dialer);
	joint_free(s->joint);
	free(s);
	if (ended != NULL)
		ended(arg, why);
}

/* What its caller is told when nothing else has been said. */
static const char *
why_of(enum quic_code code)
{
	switch (code) {
	case QUIC_CODE_NONE:
		return "the connection to the party is lost";
	case QUIC_CODE_CANCELLED:
		return "it was cancelled";
	case QUIC_CODE_LIMIT:
		return "a limit is reached: there are too many streams, or too little memory";
	case QUIC_CODE_PROTOCOL:
		return "the other side broke the protocol";
	default:
		return "the connection broke";
	}
}

/* Make the local connection end in the way that its program understands. */
static void
end_local(struct stream *s)
{
	uint8_t head[HEADER_REPLY_BYTES];

	if (s->socks) {
		header_encode_reply(s->socks_reply, head);
		joint_say(s->joint, head, sizeof head);
	}
	if (s->mpyc || s->socks)
		joint_end_of_file(s->joint);
	else
		joint_arm_reset(s->joint);
}

void
stream_abort(struct stream *s, enum quic_code code)
{
	struct quic_stream *qs = s->qs;

	if (s->mpyc && s->state == STATE_LIVE)
		log_error("peer=%s the connection between the MPyC programs is lost, "
			  "which MPyC cannot mend: end the program at every party and "
			  "start it again",
			  peer_name(s->peer));
	if (s->why == NULL)
		s->why = why_of(code);
	end_local(s);
	if (qs != NULL) {
		s->qs = NULL;
		quic_stream_set_arg(qs, NULL);
		quic_stream_abort(qs, code);
		stream_flush(s);
	}
	stream_destroy(s);
}

void
stream_kill(struct stream *s)
{
	if (s->why == NULL)
		s->why = "this proxy has ended it";
	stream_abort(s, QUIC_CODE_ABORTED);
}

void
stream_cancel(struct stream *s)
{
	s->caller.ended = NULL;
	stream_abort(s, s->state == STATE_LIVE ? QUIC_CODE_ABORTED : QUIC_CODE_CANCELLED);
}

void
stream_local_gone(struct stream *s)
{
	if (s->state == STATE_LIVE) {
		if (peer_may_log(s->peer))
			log_info("peer=%s a local connection broke: %s",
				 peer_name(s->peer), joint_error(s->joint));
		stream_abort(s, QUIC_CODE_ABORTED);
	} else {
		if (peer_may_log(s->peer))
			log_info("peer=%s the local program hung up before the other "
				 "side was there",
				 peer_name(s->peer));
		stream_abort(s, QUIC_CODE_CANCELLED);
	}
}

int
stream_check_greeting(struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);
	const char *where = s->opener ? "here" : "there";
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
		if (peer_may_log(s->peer))
			log_error("peer=%s MPyC %s runs with --ssl: leave --ssl out, "
				  "every "
				  "stream is encrypted and authenticated already (or set "
				  "mpyc-guard = no at both ends)",
				  peer_name(s->peer), where);
		return -1;
	default:
		if (peer_may_log(s->peer))
			log_error("peer=%s a program %s greets as party %u, but it is "
				  "party "
				  "%zu: refused (check -I; if it is not MPyC, set "
				  "mpyc-guard = no)",
				  peer_name(s->peer), where, guard_index(head), expected);
		return -1;
	}
}

void
stream_go_live(struct stream *s)
{
	s->state = STATE_LIVE;
	if (s->limit != NULL)
		event_free(s->limit);
	s->limit = NULL;
	s->moved_ns = clock_now_ns();
	if (!s->mpyc)
		peer_meter(s->peer, s->joint);
	joint_open(s->joint);
	if (!s->mpyc)
		return;
	peer_mpyc_went_live(s->peer);
	log_info("peer=%s the MPyC programs are connected", peer_name(s->peer));
}

void
stream_move(struct stream *s)
{
	enum joint_state state = joint_move(s->joint);

	count(s);
	if (joint_is_metered_out(s->joint))
		peer_refill_soon(s->peer);
	if (s->qs != NULL)
		stream_flush(s);
	if (state == JOINT_BROKEN) {
		stream_local_gone(s);
		return;
	}
	if (s->opener && s->state != STATE_LIVE && opener_look(s) != 0)
		return;
	if (state == JOINT_DONE) {
		log_debug("peer=%s a stream has ended", peer_name(s->peer));
		stream_destroy(s);
	}
}

void
stream_deliver(struct stream *s, const uint8_t *data, size_t len, bool fin)
{
	if (joint_take(s->joint, data, len, fin) != 0)
		stream_local_gone(s);
	else
		peer_feed(s->peer, s);
}

int
stream_proceed(struct stream *s)
{
	return s->opener ? opener_request(s) : acceptor_dial(s);
}

void
stream_on_writable(void *owner)
{
	stream_move(owner);
}

void
stream_on_reset(void *owner, uint64_t code)
{
	struct stream *s = owner;

	if (s->why == NULL && code == QUIC_CODE_ABORTED)
		s->why = "the connection at the other side broke";
	else if (s->why == NULL)
		s->why = "the other side has ended it";
	if (!s->opener && s->state != STATE_LIVE)
		log_debug("peer=%s cancelled a stream that was held", peer_name(s->peer));
	else if (peer_may_log(s->peer))
		log_info("peer=%s a stream was ended by the other side%s",
			 peer_name(s->peer),
			 code == QUIC_CODE_ABORTED ? ": its connection there broke" : "");
	stream_abort(s, code == QUIC_CODE_CANCELLED ? QUIC_CODE_CANCELLED
						    : QUIC_CODE_ABORTED);
}

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
stream_is_forbidden(const struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);

	return !s->opener && !s->mpyc && s->state >= STATE_DIALLING &&
	       !local_exposes(cfg->local, &s->target, false, cfg->peer);
}

bool
stream_is_quiet(const struct stream *s, uint64_t since_ns)
{
	return s->moved_ns < since_ns;
}

bool
stream_is_metered(const struct stream *s)
{
	return joint_is_metered_out(s->joint);
}

void
stream_resume(struct stream *s)
{
	stream_move(s);
}

bool
stream_is_held(const struct stream *s)
{
	return s->state != STATE_LIVE;
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
