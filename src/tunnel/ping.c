#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tunnel/header.h"
#include "tunnel/ping.h"

/* What is echoed: as much as a small MPyC message. */
#define PING_BYTES 16

/* Longer than any round trip; an outage is not waited out. */
#define PING_LIMIT_S 10

struct proxy_ping {
	struct link_owner owner; /* first: see conn.h */
	struct link *link;       /* outlives ${qs} */
	struct quic_stream *qs;
	struct event *deadline;
	uint64_t sent_ns;
	size_t received;
	proxy_ping_done *done;
	void *arg;
};

void
proxy_ping_cancel(struct proxy_ping *ping)
{
	struct quic_stream *qs = ping->qs;

	if (qs != NULL) {
		quic_stream_set_arg(qs, NULL);
		quic_stream_abort(qs, QUIC_CODE_CANCELLED);
		link_flush_soon(ping->link);
	}
	event_free(ping->deadline);
	free(ping);
}

static void
finish(struct proxy_ping *ping, uint64_t rtt_ns, const char *why)
{
	proxy_ping_done *done = ping->done;
	void *arg = ping->arg;

	proxy_ping_cancel(ping);
	done(arg, rtt_ns, why);
}

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct proxy_ping *ping = owner;

	(void)data;
	quic_stream_consumed(ping->qs, len);
	ping->received += len;
	if (ping->received >= HEADER_REPLY_BYTES + PING_BYTES) {
		uint64_t rtt_ns = clock_now_ns() - ping->sent_ns;

		/* It has ended by itself; only its last acknowledgements are due. */
		quic_stream_set_arg(ping->qs, NULL);
		ping->qs = NULL;
		finish(ping, rtt_ns, NULL);
	} else if (fin) {
		finish(ping, 0, "the party's proxy refused the ping");
	}
}

static void
on_reset(void *owner, uint64_t code)
{
	(void)code;
	finish(owner, 0, "the party's proxy refused the ping");
}

static void
on_closed(void *owner, bool lost)
{
	struct proxy_ping *ping = owner;

	(void)lost;
	ping->qs = NULL;
	finish(ping, 0, "the connection was lost");
}

static const struct link_stream_ops ping_ops = {
    .data = on_data,
    .reset = on_reset,
    .stopped = on_reset,
    .closed = on_closed,
};

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	finish(arg, 0, "no answer within 10 s");
}

struct proxy_ping *
ping_start(struct event_base *base, struct link *l, proxy_ping_done *done, void *arg,
	   struct err *err)
{
	static const struct header_request request = {.host = "echo"};
	static const uint8_t payload[PING_BYTES];
	struct timeval limit = {.tv_sec = PING_LIMIT_S};
	uint8_t head[HEADER_REQUEST_MAX];
	struct proxy_ping *ping = calloc(1, sizeof *ping);
	size_t len;

	if (ping == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	ping->owner.ops = &ping_ops;
	ping->link = l;
	ping->done = done;
	ping->arg = arg;
	ping->deadline = evtimer_new(base, on_deadline, ping);
	if (ping->deadline == NULL || event_add(ping->deadline, &limit) != 0) {
		err_set(err, "out of memory");
		goto err1;
	}
	ping->qs = link_open_stream(l, &ping->owner);
	if (ping->qs == NULL) {
		err_set(err, "it is not connected");
		goto err2;
	}
	ping->sent_ns = clock_now_ns();
	len = header_encode_request(&request, head);
	quic_stream_write(ping->qs, head, len);
	quic_stream_write(ping->qs, payload, sizeof payload);
	quic_stream_finish(ping->qs);
	link_flush_soon(l);
	return ping;

err2:
	event_free(ping->deadline);
err1:
	free(ping);
	return NULL;
}
