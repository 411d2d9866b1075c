/*
 * Two connections on a network in memory, to which the input does what an attacker on
 * the path, a stranger with a well-formed Initial packet, and an authenticated peer
 * that lost its mind can do: the latter by writing over the plaintext of packets
 * before they are sealed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "quic/protect.h"
#include "unit/quic_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INITIAL_BYTES 1200
#define CID_BYTES     8
#define PN_BYTES      4
/* First byte, version, both connection ids, empty token, length. */
#define HEADER_BYTES (1 + 4 + 1 + CID_BYTES + 1 + CID_BYTES + 1 + 2)

/* What the next packet that anybody seals carries instead. */
static const uint8_t *tamper;
static size_t tamper_len;

int __real_protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in,
			size_t len, const uint8_t *nonce, const uint8_t *aad,
			size_t aad_len);
int __wrap_protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in,
			size_t len, const uint8_t *nonce, const uint8_t *aad,
			size_t aad_len);

int
__wrap_protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
		    const uint8_t *nonce, const uint8_t *aad, size_t aad_len)
{
	uint8_t plain[2048];
	size_t n = tamper_len < len ? tamper_len : len;

	if (n == 0 || len > sizeof plain)
		return __real_protect_seal(k, out, in, len, nonce, aad, aad_len);
	memcpy(plain, in, len);
	memcpy(plain, tamper, n);
	tamper_len = 0;
	return __real_protect_seal(k, out, plain, len, nonce, aad, aad_len);
}

/* A client's Initial packet with these frames, as anybody can make one. */
static void
make_initial(uint8_t packet[INITIAL_BYTES], uint8_t number, const uint8_t *frames,
	     size_t len)
{
	const size_t payload =
	    INITIAL_BYTES - HEADER_BYTES - PN_BYTES - PROTECT_TAG_BYTES;
	const uint8_t cid[CID_BYTES] = "fuzzfuz";
	uint8_t secret[32], other[32], mask[5], nonce[PROTECT_IV_BYTES];
	uint8_t *pn = packet + HEADER_BYTES;
	struct protect_header *h;
	struct protect_key *k;
	struct writer w;

	memset(packet, 0, INITIAL_BYTES);
	writer_init(&w, packet, INITIAL_BYTES);
	write_u8(&w, 0xc0 | (PN_BYTES - 1));
	write_u32(&w, 1);
	write_u8(&w, CID_BYTES);
	write_bytes(&w, cid, CID_BYTES);
	write_u8(&w, CID_BYTES);
	write_bytes(&w, cid, CID_BYTES);
	write_u8(&w, 0);
	write_u16(&w, (uint16_t)(0x4000 | (INITIAL_BYTES - HEADER_BYTES)));
	pn[PN_BYTES - 1] = number;
	memcpy(pn + PN_BYTES, frames, len < payload ? len : payload);

	protect_initial_secrets(cid, CID_BYTES, secret, other);
	k = protect_key_new(QUIC_AES_128_GCM, secret, sizeof secret, 1);
	h = protect_header_new(QUIC_AES_128_GCM, secret, sizeof secret);
	if (k == NULL || h == NULL)
		abort();
	memcpy(nonce, protect_key_iv(k), sizeof nonce);
	nonce[sizeof nonce - 1] ^= number;
	__real_protect_seal(k, pn + PN_BYTES, pn + PN_BYTES, payload, nonce, packet,
			    HEADER_BYTES + PN_BYTES);
	protect_header_mask(h, mask, pn + 4);
	packet[0] ^= mask[0] & 0x0f;
	for (int i = 0; i < PN_BYTES; i++)
		pn[i] ^= mask[1 + i];
	protect_key_free(k);
	protect_header_free(h);
}

static void
do_to_stream(struct rig *r, struct rig_end *e, uint8_t what)
{
	struct flow *f = e->flows;

	for (unsigned n = what >> 3; f != NULL && n > 0; n--)
		f = f->next;
	switch (what & 7) {
	case 0:
		rig_open(e, 5000);
		break;
	case 1:
		rig_open_half(e, 100);
		break;
	case 2:
		if (f != NULL && !f->closed)
			quic_stream_abort(f->s, QUIC_CODE_CANCELLED);
		break;
	case 3:
		e->reply_stall = !e->reply_stall;
		break;
	case 4:
		if (f != NULL && !f->closed && f->stall)
			rig_unstall(f);
		break;
	case 5:
		r->net.path[1].dead = !r->net.path[1].dead;
		break;
	case 6:
		(void)quic_migrate(e->q, what, what % 2 == 0, r->net.now_ns);
		break;
	default:
		e->reply_bytes += 1000;
	}
	quic_flush(e->q, r->net.now_ns);
}

/* One step of the input; false at its end. */
static bool
step(struct rig *r, struct reader *in)
{
	uint8_t op = read_u8(in);
	struct rig_end *e = &r->end[op >> 7];
	uint8_t packet[INITIAL_BYTES], *copy;
	const uint8_t *bytes;
	size_t len;

	switch (op & 3) {
	case 0: /* time passes */
		rig_run(r, rig_never, (op & 0x7c) * 10 * NS_PER_MS);
		return in->ok;
	case 1:
		do_to_stream(r, e, read_u8(in));
		return in->ok;
	default:
		break;
	}
	len = read_u8(in) * 4U;
	len = len < in->left ? len : in->left;
	bytes = read_bytes(in, len);
	if (bytes == NULL || len == 0)
		return in->ok;
	if ((op & 3) == 2) {
		tamper = bytes;
		tamper_len = len;
	} else if ((op & 4) != 0) {
		make_initial(packet, op & 0x0f, bytes, len);
		quic_receive(r->end[1].q, 1, packet, sizeof packet, false, r->net.now_ns);
	} else {
		/* From memory of exactly its size. */
		if ((copy = malloc(len)) == NULL)
			abort();
		memcpy(copy, bytes, len);
		quic_receive(e->q, (op >> 4) & 3, copy, len, (op & 8) != 0,
			     r->net.now_ns);
		free(copy);
	}
	return in->ok;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_options o = {.seed = 1,
				.path = {.delay_ns = 10 * NS_PER_MS},
				.idle_ns = 20 * NS_PER_S,
				.keep_alive_ns = 2 * NS_PER_S};
	struct reader in;
	struct rig r;
	int steps = 100;

	tamper_len = 0;
	reader_init(&in, data, size);
	if (rig_init(&r, &o) < 0)
		abort();
	if ((read_u8(&in) & 1) != 0)
		rig_run(&r, rig_established, NS_PER_S);
	while (steps-- > 0 && step(&r, &in))
		;
	tamper_len = 0;
	rig_run(&r, rig_ended, 2 * NS_PER_S);
	for (int i = 0; i < 2; i++)
		quic_close(r.end[i].q, QUIC_CODE_SHUTDOWN, "", r.net.now_ns);
	if (r.end[0].ended != 1 || r.end[1].ended != 1 || !rig_flows_closed(&r))
		abort();
	rig_free(&r);
	return 0;
}
