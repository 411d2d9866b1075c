#include <stdlib.h>

#include "tunnel/echo.h"
#include "tunnel/header.h"

struct echo {
	struct link_owner owner; /* first: see conn.h */
	struct link *link;
	struct quic_stream *qs;
	size_t echoed;
};

static void
destroy(struct echo *e)
{
	if (e->qs != NULL)
		quic_stream_set_arg(e->qs, NULL);
	free(e);
}

static void
end(struct echo *e, enum quic_code code)
{
	quic_stream_abort(e->qs, code);
	link_flush_soon(e->link);
	destroy(e);
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct echo *e = owner;

	e->echoed += len;
	if (e->echoed > ECHO_MAX ||
	    (len > 0 && quic_stream_write(e->qs, data, len) != 0)) {
		end(e, QUIC_CODE_LIMIT);
		return;
	}
	quic_stream_consumed(e->qs, len);
	link_flush_soon(e->link);
	if (fin) {
		quic_stream_finish(e->qs);
		destroy(e);
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
	struct echo *e = owner;

	(void)lost;
	e->qs = NULL;
	destroy(e);
}

static const struct link_stream_ops echo_ops = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_reset,
    .closed = on_closed,
};

struct link_owner *
echo_accept(struct link *l, struct quic_stream *qs)
{
	uint8_t head[HEADER_REPLY_BYTES];
	struct echo *e = calloc(1, sizeof *e);

	if (e == NULL)
		return NULL;
	header_encode_reply(REPLY_SUCCEEDED, head);
	if (quic_stream_write(qs, head, sizeof head) != 0) {
		free(e);
		return NULL;
	}
	e->owner.ops = &echo_ops;
	e->link = l;
	e->qs = qs;
	quic_stream_set_arg(qs, e);
	return &e->owner;
}
