#include <string.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "tunnel/echo.h"
#include "tunnel/flow.h"
#include "tunnel/roster_stream.h"
#include "tunnel/run_peer.h"
#include "tunnel/stream_internal.h"

/* The side of a stream that the peer opened: see stream.h for its states. */

static const struct link_stream_ops acceptor_ops;

/* What came is not ours to answer. */
static void
reject(struct stream *s, enum quic_code code)
{
	quic_stream_refuse(s->qs);
	stream_abort(s, code);
}

/* Say no, and forget the stream. */
static void
refuse(struct stream *s, enum header_reply reply)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(reply, head);
	quic_stream_write(s->qs, head, sizeof head);
	quic_stream_finish(s->qs);
	quic_stream_refuse(s->qs);
	stream_flush(s);
	stream_destroy(s);
}

struct stream *
stream_accept(struct peer *p, struct quic_stream *qs)
{
	struct stream *s = stream_new(p, &acceptor_ops, false);

	if (s == NULL)
		return NULL;
	if (peer_add(p, s) != 0) {
		stream_destroy(s);
		return NULL;
	}
	s->qs = qs;
	joint_set_stream(s->joint, qs);
	s->state = STATE_HEADER;
	return s;
}

static void
on_dialled(void *arg, int fd, int error, const char *why)
{
	struct stream *s = arg;
	char text[TARGET_TEXT_BYTES];
	uint8_t head[HEADER_REPLY_BYTES];

	s->dialer = NULL;
	if (fd < 0) {
		if (peer_may_log(s->peer))
			log_info("peer=%s target=%s cannot be reached from here: %s",
				 peer_name(s->peer), target_format(&s->target, text),
				 why);
		refuse(s, header_reply_for(error));
		return;
	}
	header_encode_reply(REPLY_SUCCEEDED, head);
	if (joint_set_fd(s->joint, fd) != 0 ||
	    quic_stream_write(s->qs, head, sizeof head) != 0) {
		stream_abort(s, QUIC_CODE_LIMIT);
		return;
	}
	if (!s->mpyc)
		joint_reset_if_killed(s->joint);
	stream_go_live(s);
	stream_move(s);
}

int
acceptor_dial(struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);

	if (s->mpyc)
		s->target.port = (uint16_t)(cfg->local->base_port + cfg->self);
	s->dialer = dialer_start(cfg->base, &s->target, s->mpyc, cfg->runs,
				 on_dialled, s);
	if (s->dialer == NULL)
		return -1;
	s->state = STATE_DIALLING;
	if (s->mpyc)
		log_debug("peer=%s port=%u its MPyC program is there, dialling ours",
			  peer_name(s->peer), s->target.port);
	return 0;
}

/* -1 when ${s} is gone. */
static int
request_mpyc(struct stream *s)
{
	const struct link_config *cfg = peer_config(s->peer);

	s->mpyc = true;
	s->state = STATE_GREETING;
	/* Our MPyC waits for those with a smaller index, and believes whoever comes. */
	if (cfg->peer > cfg->self) {
		if (peer_may_log(s->peer))
			log_warn("peer=%s asked for our MPyC program, which is for "
				 "parties "
				 "with a smaller index: refused",
				 peer_name(s->peer));
		refuse(s, REPLY_NOT_ALLOWED);
		return -1;
	}
	if (peer_admit_mpyc(s->peer) != 0) {
		refuse(s, REPLY_FAILURE);
		return -1;
	}
	return 0;
}

/* -1 when ${s} is gone. */
static int
request_port(struct stream *s, const struct header_request *req)
{
	const struct link_config *cfg = peer_config(s->peer);
	char text[TARGET_TEXT_BYTES];

	header_target(&s->target, req);
	if (!local_exposes(cfg->local, &s->target, req->udp, cfg->peer)) {
		if (peer_may_log(s->peer))
			log_warn("peer=%s asked for %s%s, which is not exposed to it",
				 peer_name(s->peer), target_format(&s->target, text),
				 req->udp ? "/udp" : "");
		refuse(s, REPLY_NOT_ALLOWED);
		return -1;
	}
	if (descriptors_are_short()) {
		if (peer_may_log(s->peer))
			log_warn("peer=%s target=%s a connection is refused: no descriptors "
				 "are left (raise the limit of open files: ulimit -n)",
				 peer_name(s->peer), target_format(&s->target, text));
		refuse(s, REPLY_FAILURE);
		return -1;
	}
	if (peer_admit_port(s->peer, s) != 0) {
		refuse(s, REPLY_FAILURE);
		return -1;
	}
	if (req->udp)
		return 0;
	if (acceptor_dial(s) != 0) {
		refuse(s, REPLY_FAILURE);
		return -1;
	}
	return 0;
}

/* The stream becomes ${service}'s, NULL when it cannot have one more; what came behind the
 * header is its first data. */
static void
hand_over(struct stream *s, struct link_owner *service, const uint8_t *data, size_t len,
	  bool fin)
{
	if (service == NULL) {
		reject(s, QUIC_CODE_LIMIT);
		return;
	}
	s->qs = NULL;
	stream_destroy(s);
	if (len > 0 || fin)
		service->ops->data(service, data, len, fin);
}

/* The stream becomes a flow's. */
static void
hand_to_flow(struct stream *s, const uint8_t *data, size_t len, bool fin)
{
	struct link_owner *flow = flow_accept(s->peer, s->qs, &s->target);

	if (flow == NULL) {
		refuse(s, REPLY_FAILURE);
		return;
	}
	s->qs = NULL;
	stream_destroy(s);
	if (len > 0 || fin)
		flow->ops->data(flow, data, len, fin);
}

static bool
is_service(const struct header_request *req, const char *name)
{
	return req->port == 0 && !req->udp && strcmp(req->host, name) == 0;
}

/* Collect the header and do what it asks for; ${data} is the rest behind it. */
static void
on_header(struct stream *s, const uint8_t *data, size_t len, bool fin)
{
	size_t before = s->head_len;
	size_t room = sizeof s->head - before;
	struct header_request req;
	size_t n;
	int used;

	memcpy(s->head + before, data, len < room ? len : room);
	s->head_len += len < room ? len : room;
	used = header_parse_request(&req, s->head, s->head_len);
	if (used < 0) {
		if (peer_may_log(s->peer))
			log_warn("peer=%s opened a stream with a header that is refused: "
				 "%s",
				 peer_name(s->peer), header_reply_text(-used));
		refuse(s, (enum header_reply) - used);
		return;
	}
	n = used > 0 ? (size_t)used - before : len;
	quic_stream_consumed(s->qs, n);
	if (used == 0) {
		if (fin)
			reject(s, QUIC_CODE_PROTOCOL);
		return;
	}
	if (is_service(&req, SERVICE_ECHO))
		hand_over(s, echo_accept(peer_link(s->peer), s->qs), data + n, len - n,
			  fin);
	else if (is_service(&req, SERVICE_RUN))
		hand_over(s, run_peer_accept(peer_run(s->peer), s->qs), data + n, len - n,
			  fin);
	else if (is_service(&req, ROSTER_SERVICE))
		hand_over(s, link_accept_roster(peer_link(s->peer), s->qs), data + n,
			  len - n, fin);
	else if (is_service(&req, SERVICE_SIGNAL))
		hand_over(s, link_accept_signals(peer_link(s->peer), s->qs), data + n,
			  len - n, fin);
	else if ((is_service(&req, SERVICE_MPYC) ? request_mpyc(s)
						 : request_port(s, &req)) == 0) {
		if (req.udp)
			hand_to_flow(s, data + n, len - n, fin);
		else
			acceptor_ops.data(s, data + n, len - n, fin);
	}
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct stream *s = owner;

	if (s->state == STATE_HEADER) {
		if (len > 0)
			on_header(s, data, len, fin);
		else if (fin)
			reject(s, QUIC_CODE_PROTOCOL);
		return;
	}
	/* An MPyC party that ends while it is held was killed. */
	if (fin && s->mpyc && s->state != STATE_LIVE) {
		log_debug("peer=%s its MPyC program ended while it was held",
			  peer_name(s->peer));
		stream_abort(s, QUIC_CODE_CANCELLED);
		return;
	}
	if (s->state == STATE_LIVE) {
		stream_deliver(s, data, len, fin);
		return;
	}
	if (joint_take(s->joint, data, len, fin) != 0)
		stream_local_gone(s);
	else if (s->state == STATE_GREETING && stream_check_greeting(s) != 0)
		refuse(s, REPLY_NOT_ALLOWED);
}

static void
on_closed(void *owner, bool lost)
{
	struct stream *s = owner;

	s->qs = NULL;
	joint_set_stream(s->joint, NULL);
	/* Both halves are over; the local program may still have to take the rest. */
	if (!lost && s->state == STATE_LIVE)
		stream_move(s);
	else
		stream_abort(s, QUIC_CODE_NONE);
}

static const struct link_stream_ops acceptor_ops = {
    .data = on_data,
    .writable = stream_on_writable,
    .reset = stream_on_reset,
    .stopped = stream_on_reset,
    .closed = on_closed,
};
