#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/connector.h"
#include "base/log.h"
#include "rendezvous/backend.h"
#include "rendezvous/backoff.h"
#include "rendezvous/wire.h"
#include "session/cert.h"

/* TLS handshake and READY together. */
#define OPEN_TIMEOUT_MS 10000
/* A PING this long after the last, and its PONG within: a connection that died without
 * a word is noticed after the sum of both at most. */
#define PING_INTERVAL_MS 20000
#define PONG_TIMEOUT_MS  10000
/* A connection that held this long was a good one: the next wait is the shortest. */
#define STEADY_NS (10 * NS_PER_S)
/* A greeting and its candidates for each of 255 parties, all at once. */
#define OUTPUT_MAX_BYTES (4 * 1024 * 1024)

struct tls {
	struct rendezvous *r;
	struct event_base *base;
	const struct url *url;
	const struct http_proxy *proxy;
	SSL_CTX *ctx;
	uint8_t tag[FRAME_TAG_BYTES];
	/* What the timer means. */
	enum { WAITING, CONNECTING, OPENING, ONLINE, PINGED } state;
	struct event *timer;
	struct connector *connector;
	struct wire *wire;
	size_t first; /* which of the host's addresses to begin with */
	struct backoff backoff;
	bool trusting; /* online with OPEN, not only with READY */
	bool probed;   /* PINGED, with less patience */
	unsigned ping_ms;
	uint64_t online_ns;
	size_t message_max;
};

static void
set_timer(struct tls *t, unsigned ms)
{
	const struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	event_add(t->timer, &tv);
}

/* Drop the connection, if there is one, and try again later. The report comes last:
 * ${t} may be gone after it. */
static void
lost(struct tls *t, const char *why)
{
	char kept[WIRE_WHY_BYTES + 64];

	snprintf(kept, sizeof kept, "%s", why);
	if ((t->state == ONLINE || t->state == PINGED) &&
	    clock_now_ns() - t->online_ns >= STEADY_NS)
		backoff_reset(&t->backoff);
	/* Somebody who is no mailbox answered there, or one that does not want us. */
	if (t->state == OPENING) {
		t->first++;
		t->trusting = false;
	}
	connector_cancel(t->connector);
	t->connector = NULL;
	wire_free(t->wire);
	t->wire = NULL;
	t->probed = false;
	t->state = WAITING;
	set_timer(t, backoff_next(&t->backoff));
	log_debug("rendezvous=%s:%u offline: %s", t->url->host, t->url->port, kept);
	backend_offline(t->r, kept);
}

static void
on_ready(struct tls *t, const struct frame *f)
{
	unsigned third = f->idle_ms / 3;

	if (t->state != OPENING) {
		lost(t, "the mailbox breaks the protocol: READY twice");
		return;
	}
	t->message_max = f->message_max;
	t->ping_ms = PING_INTERVAL_MS;
	/* The mailbox must hear two PINGs before its patience ends. */
	if (third < t->ping_ms)
		t->ping_ms = third > 1000 ? third : 1000;
	t->state = ONLINE;
	t->online_ns = clock_now_ns();
	t->trusting = true;
	set_timer(t, t->ping_ms);
	backend_online(t->r);
}

static void
on_error(struct tls *t, const struct frame *f)
{
	char text[FRAME_TEXT_MAX + 1], why[sizeof text + 32];

	log_clean(text, sizeof text, f->body, f->len);
	snprintf(why, sizeof why, "the mailbox says: %s", text);
	lost(t, why);
}

/* A PONG, or a message ahead of it. */
static void
heard(struct tls *t)
{
	if (t->state != PINGED)
		return;
	t->probed = false;
	t->state = ONLINE;
	set_timer(t, t->ping_ms);
}

static void
on_frame(void *arg, const struct frame *f)
{
	struct tls *t = arg;

	if (f->type == FRAME_READY) {
		on_ready(t, f);
	} else if (f->type == FRAME_ERROR) {
		on_error(t, f);
	} else if (t->state == OPENING) {
		lost(t, "the mailbox breaks the protocol: something before READY");
	} else {
		heard(t);
		if (f->type == FRAME_MESSAGE)
			backend_message(t->r, f->body, f->len);
	}
}

/* It has the key in the URL and speaks the protocol, so it is the mailbox: what there is to
 * send follows OPEN at once and saves a round trip. After a mailbox that has not answered
 * OPEN with READY, the next one has to. */
static void
on_opened(void *arg)
{
	struct tls *t = arg;
	const struct frame open = {.type = FRAME_OPEN, .tag = t->tag};

	wire_send(t->wire, &open);
	t->message_max = RENDEZVOUS_MESSAGE_MAX;
	if (t->trusting)
		backend_online(t->r);
}

static void
on_closed(void *arg, const char *why)
{
	lost(arg, why);
}

static void
on_connected(void *arg, int fd, const char *why)
{
	static const struct wire_callbacks cb = {
	    .opened = on_opened,
	    .frame = on_frame,
	    .closed = on_closed,
	};
	const struct wire_config cfg = {.mailbox = false, .output_max = OUTPUT_MAX_BYTES};
	struct tls *t = arg;
	SSL *ssl;

	t->connector = NULL;
	if (fd < 0) {
		lost(t, why);
		return;
	}
	ssl = SSL_new(t->ctx);
	if (ssl == NULL || cert_expect(ssl, &t->url->key) != 0) {
		SSL_free(ssl);
		evutil_closesocket(fd);
		lost(t, "out of memory");
		return;
	}
	t->wire = wire_new(t->base, fd, ssl, &cfg, &cb, t);
	if (t->wire == NULL) {
		lost(t, "out of memory");
		return;
	}
	t->state = OPENING;
	set_timer(t, OPEN_TIMEOUT_MS);
}

static void
start_connecting(struct tls *t)
{
	struct err err;

	t->state = CONNECTING; /* the connector has its own time limit */
	t->connector = connector_start(t->base, t->proxy, t->url->host, t->url->port,
				       t->first, on_connected, t, &err);
	if (t->connector == NULL)
		lost(t, err.text);
}

static void
send_ping(struct tls *t)
{
	const struct frame ping = {.type = FRAME_PING};

	if (wire_send(t->wire, &ping) != 0) {
		lost(t, "the mailbox has stopped reading");
		return;
	}
	t->state = PINGED;
	set_timer(t, t->probed ? RENDEZVOUS_PROBE_MS : PONG_TIMEOUT_MS);
}

static void
on_pong_late(struct tls *t)
{
	uint64_t moved_ns = clock_now_ns() - wire_progress_ns(t->wire);

	/* The mailbox takes in slowly what was sent before the PING. */
	if (wire_queued(t->wire) > 0 && moved_ns < PONG_TIMEOUT_MS * NS_PER_MS)
		set_timer(t, PONG_TIMEOUT_MS);
	else
		lost(t, "the mailbox does not answer any more");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;

	(void)fd;
	(void)what;
	switch (t->state) {
	case WAITING:
		start_connecting(t);
		break;
	case CONNECTING:
		break;
	case OPENING:
		lost(t, "it accepts connections but does not answer: is it a mailbox?");
		break;
	case ONLINE:
		send_ping(t);
		break;
	case PINGED:
		on_pong_late(t);
		break;
	}
}

static void
tls_close(void *impl)
{
	struct tls *t = impl;

	connector_cancel(t->connector);
	wire_free(t->wire);
	event_free(t->timer);
	SSL_CTX_free(t->ctx);
	free(t);
}

static void *
tls_open(struct rendezvous *r, struct event_base *base, const struct url *url,
	 const struct local *local, const char *session_name,
	 const struct identity *self, struct err *err)
{
	struct tls *t = calloc(1, sizeof *t);

	if (t == NULL) {
		err_sys(err, "cannot open the rendezvous");
		goto err0;
	}
	t->r = r;
	t->base = base;
	t->url = url;
	t->proxy = local != NULL ? web_proxy_for(local->proxy, url->host) : NULL;
	t->state = WAITING;
	t->trusting = true;
	backoff_reset(&t->backoff);
	if (frame_session_tag(t->tag, session_name) != 0) {
		err_ssl(err, "cannot open the rendezvous");
		goto err1;
	}
	t->ctx = cert_ssl_ctx(self, false, WIRE_ALPN, err);
	if (t->ctx == NULL)
		goto err1;
	t->timer = evtimer_new(base, on_timer, t);
	if (t->timer == NULL) {
		err_set(err, "cannot open the rendezvous: out of memory");
		goto err2;
	}
	set_timer(t, 0);
	return t;

err2:
	SSL_CTX_free(t->ctx);
err1:
	free(t);
err0:
	return NULL;
}

static int
tls_send(void *impl, const struct pubkey *to, const uint8_t *msg, size_t len)
{
	struct tls *t = impl;
	const struct frame f = {.type = FRAME_SEND,
				.to = to->point,
				.body = msg,
				.len = len};

	if (len > t->message_max)
		return -1;
	return wire_send(t->wire, &f);
}

/* A connection from an address that is gone would be found dead half a minute later. */
static void
tls_network_changed(void *impl)
{
	struct tls *t = impl;

	backoff_reset(&t->backoff);
	if (t->state == WAITING)
		set_timer(t, 0);
	else
		lost(t, "the network has changed");
}

static void
tls_probe(void *impl)
{
	struct tls *t = impl;

	if (t->probed || (t->state != ONLINE && t->state != PINGED))
		return;
	t->probed = true;
	/* No reports from within a call. */
	set_timer(t, t->state == ONLINE ? 0 : RENDEZVOUS_PROBE_MS);
}

const struct backend tls_backend = {
    .open = tls_open,
    .close = tls_close,
    .network_changed = tls_network_changed,
    .probe = tls_probe,
    .send = tls_send,
};
