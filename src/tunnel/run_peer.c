#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/header.h"
#include "tunnel/peer.h"
#include "tunnel/run.h"
#include "tunnel/run_peer.h"

/* When they have refused a stream of ours, how long until the next. */
#define AGAIN_NS (200 * NS_PER_MS)

/* A stream of ours. */
struct told {
	struct link_owner owner; /* first: see conn.h */
	struct run_peer *rp;
	struct quic_stream *qs;
	uint8_t head[HEADER_REPLY_BYTES];
	size_t head_len;
};

/* A stream of theirs. */
struct heard {
	struct link_owner owner; /* first: see conn.h */
	TAILQ_ENTRY(heard) entry;
	struct run_peer *rp;
	struct quic_stream *qs;
	uint8_t *offer; /* NULL until it is there */
	size_t offer_len;
	uint8_t ready[RUN_DIGEST_BYTES];
	bool is_ready;
	bool begun;
	bool bound;
	size_t len;
	uint8_t buf[RUN_MESSAGE_MAX];
};

struct run_peer {
	struct peer *peer;
	struct runs *runs;
	struct run_partner partner;
	struct told *told; /* NULL: nothing, or not any more */
	uint64_t again_ns; /* not before may they be told again */
	TAILQ_HEAD(, heard) heard;
	size_t n_heard;
	/* Of a run that they refused, since what all offer differs: ours is to see that,
	 * too, though they are gone. */
	uint8_t *refused;
	size_t refused_len;
	bool unable;
	bool ended; /* the last thing they said */
	bool closing;
};

static void
changed(struct run_peer *rp)
{
	runs_peer_changed(rp->runs);
}

static void
flush(struct run_peer *rp)
{
	link_flush_soon(peer_link(rp->peer));
}

static void
unable(struct run_peer *rp, const char *why)
{
	rp->unable = true;
	if (peer_may_log(rp->peer))
		log_warn("peer=%s cannot run programs together with us: %s",
			 peer_name(rp->peer), why);
}

/* --- ours --- */

static void
told_free(struct told *t)
{
	if (t->rp != NULL)
		t->rp->told = NULL;
	if (t->qs != NULL)
		quic_stream_set_arg(t->qs, NULL);
	free(t);
}

static void
told_refused(struct told *t)
{
	struct run_peer *rp = t->rp;

	rp->again_ns = clock_now_ns() + AGAIN_NS;
	quic_stream_abort(t->qs, QUIC_CODE_NONE);
	told_free(t);
	flush(rp);
	changed(rp);
}

static void
told_on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct told *t = owner;
	size_t left = sizeof t->head - t->head_len;
	int reply;

	quic_stream_consumed(t->qs, len);
	if (len > left)
		len = left;
	memcpy(t->head + t->head_len, data, len);
	t->head_len += len;
	if (len > 0 && t->head_len == sizeof t->head &&
	    (reply = header_parse_reply(t->head)) != REPLY_SUCCEEDED) {
		if (reply == REPLY_NOT_ALLOWED)
			unable(t->rp, "its mpcproxy is too old");
		fin = true;
	}
	if (!fin)
		return;
	told_refused(t);
}

static void
told_on_writable(void *owner)
{
	(void)owner;
}

static void
told_on_reset(void *owner, uint64_t code)
{
	struct told *t = owner;

	if (code == QUIC_CODE_REFUSED)
		unable(t->rp, "its mpcproxy is of another version");
	told_refused(t);
}

static void
told_on_closed(void *owner, bool lost)
{
	struct told *t = owner;
	struct run_peer *rp = t->rp;

	(void)lost;
	t->qs = NULL;
	told_free(t);
	changed(rp);
}

static const struct link_stream_ops told_ops = {
    .data = told_on_data,
    .writable = told_on_writable,
    .reset = told_on_reset,
    .stopped = told_on_reset,
    .closed = told_on_closed,
};

static int
say(struct told *t, const struct run_message *m)
{
	uint8_t out[RUN_MESSAGE_MAX];
	size_t len = run_message_encode(m, out);

	return quic_stream_write(t->qs, out, len);
}

int
run_peer_publish(struct run_peer *rp, const uint8_t *offer, size_t len)
{
	static const struct header_request request = {.host = "run"};
	const struct run_message m = {.type = RUN_MESSAGE_OFFER,
				      .value = offer,
				      .len = len};
	uint8_t head[HEADER_REQUEST_MAX];
	struct told *t;

	if (rp->told != NULL || rp->unable)
		return 0;
	if (rp->closing || clock_now_ns() < rp->again_ns ||
	    (t = calloc(1, sizeof *t)) == NULL)
		return -1;
	t->owner.ops = &told_ops;
	t->rp = rp;
	t->qs = link_open_stream(peer_link(rp->peer), &t->owner);
	if (t->qs == NULL) {
		free(t);
		return -1;
	}
	if (quic_stream_write(t->qs, head, header_encode_request(&request, head)) != 0 ||
	    say(t, &m) != 0) {
		quic_stream_set_arg(t->qs, NULL);
		quic_stream_abort(t->qs, QUIC_CODE_LIMIT);
		t->qs = NULL;
		t->rp = NULL;
		told_free(t);
		flush(rp);
		return -1;
	}
	rp->told = t;
	flush(rp);
	return 0;
}

bool
run_peer_is_told(const struct run_peer *rp)
{
	return rp->told != NULL;
}

void
run_peer_say_ready(struct run_peer *rp, const uint8_t digest[RUN_DIGEST_BYTES])
{
	const struct run_message m = {.type = RUN_MESSAGE_READY,
				      .value = digest,
				      .len = RUN_DIGEST_BYTES};

	if (rp->told == NULL)
		return;
	/* Without room for it: they wait for it in vain and see the stream end. */
	if (say(rp->told, &m) != 0)
		quic_stream_abort(rp->told->qs, QUIC_CODE_LIMIT);
	flush(rp);
}

void
run_peer_say_end(struct run_peer *rp, enum run_end how, uint8_t code)
{
	const struct run_message m = {.type = RUN_MESSAGE_END, .how = how, .code = code};
	struct told *t = rp->told;

	if (t == NULL)
		return;
	/* QUIC delivers it, and what they answer is not waited for. */
	if (say(t, &m) == 0)
		quic_stream_finish(t->qs);
	else
		quic_stream_abort(t->qs, QUIC_CODE_LIMIT);
	told_free(t);
	flush(rp);
}

/* --- theirs --- */

static void
heard_free(struct heard *h)
{
	struct run_peer *rp = h->rp;

	TAILQ_REMOVE(&rp->heard, h, entry);
	rp->n_heard--;
	if (h->qs != NULL)
		quic_stream_set_arg(h->qs, NULL);
	free(h->offer);
	free(h);
}

/* It is gone without a word. */
static void
heard_gone(struct heard *h)
{
	struct run_peer *rp = h->rp;
	bool bound = h->bound;

	heard_free(h);
	if (bound)
		runs_peer_lost(rp->runs, rp->peer);
	changed(rp);
}

static void
heard_refuse(struct heard *h, enum quic_code code)
{
	quic_stream_abort(h->qs, code);
	flush(h->rp);
	heard_gone(h);
}

static void
forget_refused(struct run_peer *rp)
{
	free(rp->refused);
	rp->refused = NULL;
}

/* -1 when ${h} is gone. */
static int
take_offer(struct heard *h, const struct run_message *m)
{
	struct run_offer parsed;
	enum run_offer_result result = run_offer_parse(&parsed, m->value, m->len);

	if (result == RUN_OFFER_OTHER_VERSION) {
		unable(h->rp, "its mpcproxy is of another version");
		heard_refuse(h, QUIC_CODE_REFUSED);
		return -1;
	}
	if (result != RUN_OFFER_OK || h->offer != NULL ||
	    (h->offer = malloc(m->len)) == NULL) {
		heard_refuse(h, QUIC_CODE_PROTOCOL);
		return -1;
	}
	memcpy(h->offer, m->value, m->len);
	h->offer_len = m->len;
	forget_refused(h->rp);
	h->rp->ended = false;
	log_debug("peer=%s is about to run %s", peer_name(h->rp->peer), parsed.program);
	return 0;
}

/* The last message. ${h} is gone. */
static void
take_end(struct heard *h, const struct run_message *m)
{
	struct run_peer *rp = h->rp;
	bool bound = h->bound, concerns = bound || !h->begun;
	enum run_end how = m->how;
	uint8_t code = m->code;

	rp->ended = true;
	if (how == RUN_END_REFUSED && !h->begun && runs_is_collecting(rp->runs)) {
		forget_refused(rp);
		rp->refused = h->offer;
		rp->refused_len = h->offer_len;
		h->offer = NULL;
	}
	quic_stream_finish(h->qs);
	flush(rp);
	heard_free(h);
	if (concerns)
		runs_peer_ended(rp->runs, rp->peer, bound, how, code);
	changed(rp);
}

/* -1 when ${h} is gone. */
static int
take_message(struct heard *h, const struct run_message *m)
{
	if ((m->type == RUN_MESSAGE_OFFER) != (h->offer == NULL)) {
		heard_refuse(h, QUIC_CODE_PROTOCOL);
		return -1;
	}
	switch (m->type) {
	case RUN_MESSAGE_OFFER:
		if (take_offer(h, m) != 0)
			return -1;
		break;
	case RUN_MESSAGE_READY:
		memcpy(h->ready, m->value, sizeof h->ready);
		h->is_ready = true;
		break;
	default:
		take_end(h, m);
		return -1;
	}
	changed(h->rp);
	return 0;
}

static void
heard_on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct heard *h = owner;
	struct run_message m;

	quic_stream_consumed(h->qs, len);
	while (len > 0) {
		size_t room = sizeof h->buf - h->len;
		size_t n = len < room ? len : room;
		int used;

		memcpy(h->buf + h->len, data, n);
		h->len += n;
		data += n;
		len -= n;
		while ((used = run_message_parse(&m, h->buf, h->len)) > 0) {
			if (take_message(h, &m) != 0)
				return;
			h->len -= (size_t)used;
			memmove(h->buf, h->buf + used, h->len);
		}
		if (used < 0) {
			heard_refuse(h, QUIC_CODE_PROTOCOL);
			return;
		}
	}
	/* Its last message would have ended it. */
	if (fin)
		heard_refuse(h, QUIC_CODE_PROTOCOL);
}

static void
heard_on_reset(void *owner, uint64_t code)
{
	(void)code;
	heard_refuse(owner, QUIC_CODE_NONE);
}

static void
heard_on_closed(void *owner, bool lost)
{
	struct heard *h = owner;

	(void)lost;
	h->qs = NULL;
	heard_gone(h);
}

static const struct link_stream_ops heard_ops = {
    .data = heard_on_data,
    .writable = told_on_writable,
    .reset = heard_on_reset,
    .stopped = heard_on_reset,
    .closed = heard_on_closed,
};

struct link_owner *
run_peer_accept(struct run_peer *rp, struct quic_stream *qs)
{
	uint8_t head[HEADER_REPLY_BYTES];
	struct heard *h;

	if (rp->closing || rp->n_heard == RUN_PEER_STREAMS_MAX ||
	    (h = calloc(1, sizeof *h)) == NULL)
		return NULL;
	header_encode_reply(REPLY_SUCCEEDED, head);
	if (quic_stream_write(qs, head, sizeof head) != 0) {
		free(h);
		return NULL;
	}
	h->owner.ops = &heard_ops;
	h->rp = rp;
	h->qs = qs;
	TAILQ_INSERT_HEAD(&rp->heard, h, entry);
	rp->n_heard++;
	quic_stream_set_arg(qs, h);
	flush(rp);
	return &h->owner;
}

static const struct heard *
newest(const struct run_peer *rp)
{
	const struct heard *h;

	TAILQ_FOREACH (h, &rp->heard, entry)
		if (h->offer != NULL && !h->begun)
			return h;
	return NULL;
}

const uint8_t *
run_peer_offer(const struct run_peer *rp, size_t *len)
{
	const struct heard *h = newest(rp);

	*len = h != NULL ? h->offer_len : rp->refused_len;
	return h != NULL ? h->offer : rp->refused;
}

bool
run_peer_is_offering(const struct run_peer *rp)
{
	return newest(rp) != NULL;
}

bool
run_peer_agrees(const struct run_peer *rp, const uint8_t digest[RUN_DIGEST_BYTES])
{
	const struct heard *h = newest(rp);

	return h != NULL && h->is_ready && memcmp(h->ready, digest, sizeof h->ready) == 0;
}

bool
run_peer_is_ready(const struct run_peer *rp)
{
	const struct heard *h = newest(rp);

	return h != NULL && h->is_ready;
}

bool
run_peer_is_unable(const struct run_peer *rp)
{
	return rp->unable;
}

bool
run_peer_has_ended(const struct run_peer *rp)
{
	return rp->ended;
}

bool
run_peer_is_busy(const struct run_peer *rp)
{
	const struct heard *h;

	TAILQ_FOREACH (h, &rp->heard, entry)
		if (h->begun)
			return true;
	return false;
}

void
run_peer_bind(struct run_peer *rp)
{
	struct heard *h;

	TAILQ_FOREACH (h, &rp->heard, entry) {
		if (h->offer != NULL && !h->begun) {
			h->begun = h->bound = true;
			return;
		}
	}
}

void
run_peer_release(struct run_peer *rp)
{
	struct heard *h;

	TAILQ_FOREACH (h, &rp->heard, entry)
		h->bound = false;
	forget_refused(rp);
	memset(&rp->partner, 0, sizeof rp->partner);
}

void
run_peer_forget(struct run_peer *rp)
{
	rp->unable = false;
}

void
run_peer_close(struct run_peer *rp)
{
	struct heard *h;

	rp->closing = true;
	while ((h = TAILQ_FIRST(&rp->heard)) != NULL) {
		quic_stream_abort(h->qs, QUIC_CODE_CANCELLED);
		heard_free(h);
	}
	flush(rp);
}

struct run_peer *
run_peer_new(struct peer *p, struct runs *rs)
{
	struct run_peer *rp = calloc(1, sizeof *rp);

	if (rp == NULL)
		return NULL;
	rp->peer = p;
	rp->runs = rs;
	TAILQ_INIT(&rp->heard);
	return rp;
}

struct run_partner *
run_peer_partner(struct run_peer *rp)
{
	return &rp->partner;
}

void
run_peer_free(struct run_peer *rp)
{
	struct heard *h;

	if (rp == NULL)
		return;
	while ((h = TAILQ_FIRST(&rp->heard)) != NULL)
		heard_free(h);
	if (rp->told != NULL)
		told_free(rp->told);
	forget_refused(rp);
	free(rp);
}
