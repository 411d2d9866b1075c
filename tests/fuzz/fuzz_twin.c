/*
 * Everything another holder of our own key, or of a recording, can do to a process that
 * asks whether it is the only one. The input is a script: one byte says what happens,
 * those after it how. The seal is a copy (fake_envelope.h).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "rendezvous/twin.h"
#include "../unit/fake_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUESTIONS_MAX 4096
#define BODY_MAX      32

/* As in twin.c, and doc/protocol.md. */
#define REMEMBERED   16
#define ANSWER_IN_NS (10 * NS_PER_S)

static const struct identity self = {.key = {.point = {2, 'A'}}};
static const struct incarnation own = {.bytes = {0x80}};

struct run {
	struct twin *twin;
	uint64_t now_ns;
	uint64_t asked_ns[QUESTIONS_MAX + 1]; /* by the number of the message sent */
	uint64_t questions;
	unsigned sent; /* in this step */
	size_t refusals;
	bool lost;
	const struct envelope *arriving;
};

static void
check(bool ok)
{
	if (!ok)
		abort();
}

/* What is sent is ours, well-formed, and numbered. */
static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct run *r = arg;
	struct fake_sealed f;
	struct reader body;

	check(!r->lost && ++r->sent == 1);
	check(len == sizeof f + 16);
	memcpy(&f, sealed, sizeof f);
	check(memcmp(&f.m.from, &own, sizeof own) == 0);
	reader_init(&body, sealed + sizeof f, 16);
	check(read_u64(&body) == ++r->questions);
	if (r->questions <= QUESTIONS_MAX)
		r->asked_ns[r->questions] = r->now_ns;
}

static size_t
on_refusals(void *arg)
{
	return ((struct run *)arg)->refusals;
}

/* Only the answer to what we have just asked ends us. */
static void
on_lost(void *arg)
{
	struct run *r = arg;
	const struct envelope *m = r->arriving;

	check(!r->lost && m != NULL && (m->type == 131 || m->type == 132));
	check(memcmp(&m->to, &own, sizeof own) == 0);
	check(m->number > 0 && m->number <= r->questions &&
	      r->questions - m->number < REMEMBERED);
	check(m->number > QUESTIONS_MAX ||
	      r->now_ns - r->asked_ns[m->number] <= ANSWER_IN_NS);
	r->lost = true;
}

static void
on_alone(void *arg)
{
	check(!((struct run *)arg)->lost);
}

static void
arrive(struct run *r, struct reader *in)
{
	uint8_t sealed[sizeof(struct fake_sealed) + BODY_MAX];
	uint8_t who = read_u8(in);
	struct fake_sealed f;

	memset(&f, 0, sizeof f);
	f.sender = f.recipient = self.key;
	f.m.type = read_u8(in);
	/* Below ours, above it, or ours. */
	f.m.from.bytes[0] = (uint8_t)(0x7e + who % 4);
	if ((who & 0x10) != 0)
		f.m.to = own;
	/* Numbers near the last. */
	f.m.number = r->questions - 8 + read_u8(in) % 32;
	f.m.len = (who & 0x20) != 0 ? 16 : who >> 3;
	for (size_t i = 0; i < f.m.len; i++)
		sealed[sizeof f + i] = read_u8(in);
	memcpy(sealed, &f, sizeof f);
	r->arriving = &f.m;
	check(twin_receive(r->twin, sealed, sizeof f + f.m.len, r->now_ns, NULL) == 0);
	r->arriving = NULL;
}

static void
step(struct run *r, struct reader *in)
{
	const uint8_t op = read_u8(in);
	uint64_t due_ns;

	r->sent = 0;
	switch (op % 8) {
	case 0:
		twin_ask(r->twin, r->now_ns);
		break;
	case 1:
		due_ns = twin_expiry(r->twin);
		if (due_ns == CLOCK_NEVER)
			break;
		check(!r->lost);
		if (due_ns > r->now_ns)
			r->now_ns = due_ns;
		twin_tick(r->twin, r->now_ns);
		check(twin_expiry(r->twin) > r->now_ns);
		break;
	case 2:
		r->now_ns += op * 50 * NS_PER_MS;
		break;
	case 3:
		r->refusals = op == 0xfb ? SIZE_MAX : op / 8;
		break;
	default:
		arrive(r, in);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct twin_callbacks cb = {on_send, on_refusals, on_lost, on_alone};
	static const uint8_t roster[32];
	const struct twin_config cfg = {
	    .self = &self,
	    .session_name = "santa",
	    .roster_digest = roster,
	    .incarnation = own.bytes,
	    .started_ns = NS_PER_S,
	};
	static struct run r;
	struct reader in;

	memset(&r, 0, sizeof r);
	r.now_ns = 20 * NS_PER_S;
	r.twin = twin_new(&cfg, &cb, &r, NULL);
	check(r.twin != NULL);
	reader_init(&in, data, size);
	while (in.ok && in.left > 0)
		step(&r, &in);
	r.sent = 0;
	/* As it came: any bytes at all. */
	twin_receive(r.twin, data, size, r.now_ns, NULL);
	twin_free(r.twin);
	return 0;
}
