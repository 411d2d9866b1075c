#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "rendezvous/outbox.h"

/* Bodies hold ICE passwords. */
static void
outbox_remove(struct outbox *o, size_t i)
{
	struct outbox_message *m = &o->message[i];

	OPENSSL_cleanse(m->body, m->len);
	free(m->body);
	o->n--;
	memmove(m, m + 1, (o->n - i) * sizeof *m);
}

struct outbox_message *
outbox_add(struct outbox *o, uint8_t type, const uint8_t *body, size_t len,
	   uint64_t now_ns)
{
	struct outbox_message *m;
	uint8_t *copy = malloc(len > 0 ? len : 1);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, body, len);
	o->last_number++;
	while (o->n > 0 && (o->n == OUTBOX_MAX ||
			    o->last_number - o->message[0].number >= WINDOW_BITS))
		outbox_remove(o, 0);
	m = &o->message[o->n++];
	*m = (struct outbox_message){
	    .number = o->last_number,
	    .due_ns = now_ns,
	    .interval_ns = 0,
	    .type = type,
	    .body = copy,
	    .len = len,
	};
	return m;
}

void
outbox_acknowledge(struct outbox *o, const struct window *seen)
{
	for (size_t i = o->n; i > 0; i--) {
		if (window_has(seen, o->message[i - 1].number))
			outbox_remove(o, i - 1);
	}
}

void
outbox_sent(struct outbox_message *m, uint64_t now_ns)
{
	m->interval_ns = m->interval_ns == 0 ? OUTBOX_RESEND_NS : 2 * m->interval_ns;
	if (m->interval_ns > OUTBOX_RESEND_MAX_NS)
		m->interval_ns = OUTBOX_RESEND_MAX_NS;
	m->due_ns = now_ns + m->interval_ns;
}

void
outbox_renew(struct outbox *o, uint64_t now_ns)
{
	for (size_t i = 0; i < o->n; i++) {
		o->message[i].due_ns = now_ns;
		o->message[i].interval_ns = 0;
	}
}

uint64_t
outbox_expiry(const struct outbox *o)
{
	uint64_t first = CLOCK_NEVER;

	for (size_t i = 0; i < o->n; i++) {
		if (o->message[i].due_ns < first)
			first = o->message[i].due_ns;
	}
	return first;
}

void
outbox_withdraw(struct outbox *o, uint8_t type)
{
	for (size_t i = o->n; i > 0; i--) {
		if (o->message[i - 1].type == type)
			outbox_remove(o, i - 1);
	}
}

void
outbox_clear(struct outbox *o)
{
	while (o->n > 0)
		outbox_remove(o, o->n - 1);
}
