#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rendezvous/mailbox_internal.h"
#include "rendezvous/tree.h"
#include "session/cert.h"

/* More messages go into a reader's output only below this; until then they wait in
 * the box, where the bounds are fair to their senders. */
#define OUTPUT_LOW_BYTES (32 * 1024)
/* A message on top, and some answers to PINGs. */
#define OUTPUT_MAX_BYTES (OUTPUT_LOW_BYTES + 3 * FRAME_MAX)

static int
by_inbox(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct box_id));
}

static struct inbox *
inbox_get(struct mailbox *m, const struct box_id *id)
{
	struct inbox *in;
	bool added;

	in = tree_get(&m->inbox_tree, id, sizeof *id, sizeof *in, by_inbox, &added);
	if (added)
		TAILQ_INIT(&in->readers);
	return in;
}

static void
inbox_release(struct mailbox *m, struct inbox *in)
{
	if (in->n == 0)
		tree_drop(&m->inbox_tree, in, by_inbox);
}

void
mailbox_conn_free(struct conn *c)
{
	struct mailbox *m = c->mailbox;

	if (c->inbox != NULL) {
		TAILQ_REMOVE(&c->inbox->readers, c, in_inbox);
		c->inbox->n--;
		m->stats.readers--;
		inbox_release(m, c->inbox);
	}
	TAILQ_REMOVE(&c->place->conns, c, in_place);
	c->place->n--;
	mailbox_place_release(m, c->place);
	TAILQ_REMOVE(&m->conns, c, in_mailbox);
	m->stats.connections--;
	wire_free(c->wire);
	free(c);
}

void
mailbox_conn_refuse(struct conn *c, enum frame_code code, const char *text)
{
	const struct frame f = {
	    .type = FRAME_ERROR,
	    .code = (uint16_t)code,
	    .body = (const uint8_t *)text,
	    .len = strlen(text),
	};

	wire_send(c->wire, &f);
	mailbox_conn_free(c);
}

void
mailbox_conn_failed(struct conn *c, const char *why)
{
	struct mailbox *m = c->mailbox;
	char text[ADDR_TEXT_BYTES];
	unsigned held_back;

	m->stats.failed++;
	if (log_gate_pass(&m->log_failed, (long long)clock_now_ns(), &held_back))
		log_info("mailbox from=%s suppressed=%u closed: %s",
			 addr_format(&c->addr, text), held_back, why);
}

static bool
has_room(const struct conn *c)
{
	return wire_queued(c->wire) < OUTPUT_LOW_BYTES;
}

/*
 * To every reader that has room. The newest one decides whether a message has to wait:
 * older ones of the same party are mostly connections that died without a word.
 */
static void
deliver(struct inbox *in, const uint8_t *msg, size_t len)
{
	const struct frame f = {.type = FRAME_MESSAGE, .body = msg, .len = len};
	struct conn *c;

	TAILQ_FOREACH (c, &in->readers, in_inbox)
		if (has_room(c) && wire_send(c->wire, &f) == 0)
			c->mailbox->stats.delivered++;
}

/* What waits in the box goes out as far as there is room. */
static void
feed(struct mailbox *m, struct inbox *in)
{
	struct box_message *msg;

	while (has_room(TAILQ_FIRST(&in->readers)) &&
	       (msg = boxes_take(m->boxes, &in->id)) != NULL) {
		deliver(in, msg->data, msg->len);
		free(msg);
	}
}

static void
on_send(struct conn *c, const struct frame *f)
{
	struct mailbox *m = c->mailbox;
	struct box_id id;
	struct inbox *in;

	memcpy(id.tag, c->inbox->id.tag, sizeof id.tag);
	memcpy(id.key, f->to, sizeof id.key);
	in = tree_find(&m->inbox_tree, &id, by_inbox);
	if (in != NULL && has_room(TAILQ_FIRST(&in->readers))) {
		deliver(in, f->body, f->len);
		return;
	}
	if (boxes_put(m->boxes, &id, &c->key, &c->place->id, f->body, f->len,
		      clock_now_ns()) == 0)
		m->stats.stored++;
}

static void
on_open(struct conn *c, const struct frame *f)
{
	struct mailbox *m = c->mailbox;
	const struct frame ready = {
	    .type = FRAME_READY,
	    .message_max = RENDEZVOUS_MESSAGE_MAX,
	    .idle_ms = (uint32_t)(m->limits.idle_ns / NS_PER_MS),
	};
	struct box_id id;
	struct inbox *in;

	memcpy(id.tag, f->tag, sizeof id.tag);
	memcpy(id.key, c->key.point, sizeof id.key);
	in = inbox_get(m, &id);
	if (in == NULL) {
		mailbox_conn_refuse(c, FRAME_CODE_LIMIT, "out of memory");
		return;
	}
	c->inbox = in;
	TAILQ_INSERT_HEAD(&in->readers, c, in_inbox);
	in->n++;
	m->stats.readers++;
	if (in->n > m->limits.readers)
		mailbox_conn_refuse(TAILQ_LAST(&in->readers, conns), FRAME_CODE_REPLACED,
				    "newer connections of the same party took its place");
	wire_send(c->wire, &ready);
	feed(m, in);
}

static void
on_ping(struct conn *c)
{
	const struct frame pong = {.type = FRAME_PONG};

	if (wire_send(c->wire, &pong) != 0) {
		mailbox_conn_failed(c, "sends and does not read");
		mailbox_conn_free(c);
	}
}

static void
on_frame(void *arg, const struct frame *f)
{
	struct conn *c = arg;
	size_t bytes = FRAME_HEADER_BYTES + f->len;

	c->heard_ns = clock_now_ns();
	c->credit_bytes -= bytes < c->credit_bytes ? bytes : c->credit_bytes;
	if (c->credit_bytes == 0)
		wire_pause(c->wire);
	if ((f->type == FRAME_OPEN) != (c->inbox == NULL)) {
		mailbox_conn_failed(c,
				    c->inbox == NULL ? "no OPEN first" : "a second OPEN");
		mailbox_conn_refuse(c, FRAME_CODE_PROTOCOL, "OPEN comes first, and once");
	} else if (f->type == FRAME_OPEN) {
		on_open(c, f);
	} else if (f->type == FRAME_SEND) {
		on_send(c, f);
	} else if (f->type == FRAME_PING) {
		on_ping(c);
	}
}

static void
on_opened(void *arg)
{
	struct conn *c = arg;

	if (cert_peer_key(wire_ssl(c->wire), &c->key) != 0) {
		mailbox_conn_failed(c, "no key");
		mailbox_conn_free(c);
	}
}

static void
on_drained(void *arg)
{
	struct conn *c = arg;

	if (c->inbox != NULL)
		feed(c->mailbox, c->inbox);
}

static void
on_closed(void *arg, const char *why)
{
	struct conn *c = arg;

	if (c->inbox == NULL)
		mailbox_conn_failed(c, why);
	else
		log_debug("mailbox reader closed: %s", why);
	mailbox_conn_free(c);
}

struct conn *
mailbox_conn_new(struct mailbox *m, int fd, struct place *place, const union addr *addr)
{
	static const struct wire_callbacks cb = {
	    .opened = on_opened,
	    .frame = on_frame,
	    .drained = on_drained,
	    .closed = on_closed,
	};
	const struct wire_config cfg = {.mailbox = true, .output_max = OUTPUT_MAX_BYTES};
	struct conn *c = calloc(1, sizeof *c);
	SSL *ssl = SSL_new(m->ctx);

	if (c == NULL || ssl == NULL || cert_expect_any(ssl) != 0) {
		SSL_free(ssl);
		evutil_closesocket(fd);
		free(c);
		return NULL;
	}
	c->wire = wire_new(m->base, fd, ssl, &cfg, &cb, c);
	if (c->wire == NULL) {
		free(c);
		return NULL;
	}
	c->mailbox = m;
	c->place = place;
	c->addr = *addr;
	c->heard_ns = clock_now_ns();
	c->credit_bytes = m->limits.burst_bytes;
	TAILQ_INSERT_TAIL(&place->conns, c, in_place);
	place->n++;
	TAILQ_INSERT_TAIL(&m->conns, c, in_mailbox);
	m->stats.connections++;
	m->stats.accepted++;
	return c;
}
