#include <stdlib.h>
#include <string.h>

#include "session/roster.h"
#include "tunnel/header.h"
#include "tunnel/roster_stream.h"

struct roster_heard {
	struct link_owner owner; /* first: see conn.h */
	struct link *link;
	struct roster_heard **slot;
	struct quic_stream *qs;
	size_t len;
	uint8_t data[ROSTER_SIGNED_MAX];
};

void
roster_tell(struct link *l, const struct session *s)
{
	static const struct header_request request = {.host = ROSTER_SERVICE};
	uint8_t head[HEADER_REQUEST_MAX], data[ROSTER_SIGNED_MAX];
	int len = roster_pack(s, data, NULL);
	struct quic_stream *qs = len > 0 ? link_open_stream(l, NULL) : NULL;

	if (qs == NULL)
		return;
	if (quic_stream_write(qs, head, header_encode_request(&request, head)) == 0 &&
	    quic_stream_write(qs, data, (size_t)len) == 0)
		quic_stream_finish(qs);
	else
		quic_stream_abort(qs, QUIC_CODE_LIMIT);
	link_flush_soon(l);
}

static void
destroy(struct roster_heard *h)
{
	*h->slot = NULL;
	if (h->qs != NULL)
		quic_stream_set_arg(h->qs, NULL);
	free(h);
}

static void
end(struct roster_heard *h, enum quic_code code)
{
	struct link *l = h->link;

	quic_stream_abort(h->qs, code);
	destroy(h);
	link_flush_soon(l);
}

static void
take(struct roster_heard *h)
{
	uint8_t head[HEADER_REPLY_BYTES];

	header_encode_reply(REPLY_SUCCEEDED, head);
	quic_stream_write(h->qs, head, sizeof head);
	quic_stream_finish(h->qs);
	link_flush_soon(h->link);
	link_take_roster(h->link, h->data, h->len);
	destroy(h);
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct roster_heard *h = owner;

	quic_stream_consumed(h->qs, len);
	if (len > sizeof h->data - h->len) {
		end(h, QUIC_CODE_PROTOCOL);
		return;
	}
	memcpy(h->data + h->len, data, len);
	h->len += len;
	if (fin)
		take(h);
}

static void
on_reset(void *owner, uint64_t code)
{
	(void)code;
	end(owner, QUIC_CODE_NONE);
}

static void
on_closed(void *owner, bool lost)
{
	struct roster_heard *h = owner;

	(void)lost;
	h->qs = NULL;
	destroy(h);
}

static const struct link_stream_ops heard_ops = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_reset,
    .closed = on_closed,
};

struct link_owner *
roster_accept(struct link *l, struct roster_heard **slot, struct quic_stream *qs)
{
	struct roster_heard *h = calloc(1, sizeof *h);

	if (h == NULL)
		return NULL;
	if (*slot != NULL)
		end(*slot, QUIC_CODE_CANCELLED);
	h->owner.ops = &heard_ops;
	h->link = l;
	h->slot = slot;
	h->qs = qs;
	*slot = h;
	quic_stream_set_arg(qs, h);
	return &h->owner;
}
