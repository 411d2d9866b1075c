/*
 * Everything the holder of a peer's key, or of a recording, can do to a contact. The
 * input is a script: one byte says what happens, those after it how. The seal is a copy
 * (fake_envelope.h), or nothing would ever come through.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "rendezvous/contact.h"
#include "../unit/fake_envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIVES     4 /* of the peer; few enough that the contact remembers them all */
#define NUMBERS   256
#define STEP_SENT 64 /* more than any one step may send */

static const struct identity self = {.key = {.point = {2, 'A'}}};
static const struct identity peer = {.key = {.point = {2, 'B'}}};
static const struct incarnation own = {.bytes = {0xee}};

struct run {
	struct contact *contact;
	uint64_t now_ns;
	unsigned sent; /* in this step */
	bool met, heard, answer;
	unsigned arriving_life, arriving_number;
	bool arriving_echo;
	bool got[LIVES][NUMBERS];
};

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct run *r = arg;

	(void)sealed;
	check(len > 0 && ++r->sent <= STEP_SENT);
}

static void
on_met(void *arg, bool replaced)
{
	struct run *r = arg;

	check(replaced == r->met);
	r->met = true;
	if (r->answer)
		check(contact_send(r->contact, 2, NULL, 0, r->now_ns) == 0);
}

static void
on_message(void *arg, uint8_t type, const uint8_t *body, size_t len)
{
	struct run *r = arg;
	bool *got = &r->got[r->arriving_life][r->arriving_number];

	check(type < 128 && r->met && r->arriving_echo && !*got);
	check(len == 0 || body[0] == 'x');
	*got = true;
	if (r->answer)
		contact_withdraw(r->contact, type);
}

static bool
on_heard(void *arg, uint64_t since_ns)
{
	struct run *r = arg;

	return r->heard && since_ns <= r->now_ns;
}

static void
on_refused(void *arg)
{
	struct run *r = arg;

	check(r->arriving_echo && !contact_is_met(r->contact));
	r->met = false;
}

static void
on_roster_differs(void *arg)
{
	check(((struct run *)arg)->met);
}

static void
arrive(struct run *r, struct reader *in)
{
	uint8_t sealed[sizeof(struct fake_sealed) + 1];
	uint8_t who = read_u8(in);
	struct fake_sealed f;

	memset(&f, 0, sizeof f);
	f.sender = peer.key;
	f.recipient = self.key;
	f.m.type = read_u8(in);
	r->arriving_life = who % LIVES;
	f.m.from.bytes[0] = (uint8_t)(1 + r->arriving_life);
	r->arriving_echo = (who & 0x10) != 0;
	if (r->arriving_echo)
		f.m.to = own;
	else
		f.m.to.bytes[0] = who >> 5;
	r->arriving_number = read_u8(in);
	f.m.number = r->arriving_number;
	f.m.seen.top = read_u8(in);
	f.m.seen.bits = (who & 0x08) != 0 ? UINT64_MAX : 1;
	f.m.roster[0] = (who & 0x04) != 0;
	f.m.len = f.m.type & 1;
	memcpy(sealed, &f, sizeof f);
	sealed[sizeof f] = 'x';
	check(contact_receive(r->contact, sealed, sizeof f + f.m.len, r->now_ns, NULL) ==
	      0);
}

static void
step(struct run *r, struct reader *in)
{
	static const uint8_t body[300];
	const uint8_t op = read_u8(in);
	uint64_t due_ns;

	r->sent = 0;
	switch (op % 8) {
	case 0:
		contact_online(r->contact, r->now_ns);
		break;
	case 1:
		contact_offline(r->contact);
		break;
	case 2:
		check((contact_send(r->contact, op, body, op, r->now_ns) == 0) ==
		      (contact_is_met(r->contact) && op < 128));
		break;
	case 3:
		due_ns = contact_expiry(r->contact);
		if (due_ns == CLOCK_NEVER)
			break;
		if (due_ns > r->now_ns)
			r->now_ns = due_ns;
		contact_tick(r->contact, r->now_ns);
		check(contact_expiry(r->contact) > r->now_ns);
		break;
	case 4:
		if (op == 0xfc) {
			contact_forget(r->contact, r->now_ns);
			r->met = false;
			check(!contact_is_met(r->contact));
		}
		r->now_ns += op * 50 * NS_PER_MS;
		break;
	case 5:
		r->heard = (op & 0x10) != 0;
		r->answer = (op & 0x20) != 0;
		break;
	default:
		arrive(r, in);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct contact_callbacks cb = {
	    on_send, on_met, on_message, on_heard, on_refused, on_roster_differs, NULL,
	};
	static const uint8_t roster[32];
	const struct contact_config cfg = {
	    .self = &self,
	    .peer = peer.key,
	    .session_name = "santa",
	    .roster_digest = roster,
	    .incarnation = own.bytes,
	};
	struct run r = {.now_ns = NS_PER_S};
	struct reader in;

	r.contact = contact_new(&cfg, &cb, &r, NULL);
	check(r.contact != NULL);
	reader_init(&in, data, size);
	while (in.ok && in.left > 0)
		step(&r, &in);
	/* As it came: any bytes at all. */
	contact_receive(r.contact, data, size, r.now_ns, NULL);
	contact_free(r.contact);
	return 0;
}
