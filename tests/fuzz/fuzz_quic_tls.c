#include <stdlib.h>

#include "base/bytes.h"
#include "unit/tls_pair.h"

/*
 * A handshake that the input disturbs. It is a sequence of steps, each a byte that says
 * what to do (two bits), which end speaks (one) and at which level (two):
 *
 *   0 deliver the next bytes of what the end has said; their number follows (16 bits)
 *   1 in place of the end, say what follows a length (16 bits)
 *   2 alter a byte not yet delivered: its offset (16 bits) and what to XOR follow
 *   3 deliver all that there is, both ways
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
deliver(struct reader *r, int from, enum quic_level level)
{
	struct tls_queue *q = &ends[from].out[level];
	size_t n = read_u16(r), at = q->sent;

	if (n > q->len - q->sent)
		n = q->len - q->sent;
	q->sent += n;
	quic_tls_receive(ends[!from].tls, level, q->data + at, n);
}

static void
say(struct reader *r, int from, enum quic_level level)
{
	size_t n = read_u16(r);
	const uint8_t *p;

	if (n > r->left)
		n = r->left;
	p = read_bytes(r, n);
	if (p != NULL)
		quic_tls_receive(ends[!from].tls, level, p, n);
}

static void
alter(struct reader *r, int from, enum quic_level level)
{
	struct tls_queue *q = &ends[from].out[level];
	size_t at = read_u16(r);
	uint8_t mask = read_u8(r);

	if (at < q->len - q->sent)
		q->data[q->sent + at] ^= mask;
}

static void
check(const struct tls_end *e)
{
	bool silent = *quic_tls_error(e->tls) == '\0';

	if (e->alert_times > 1 || (e->alert_times > 0 && silent))
		abort();
	if (quic_tls_complete(e->tls) &&
	    (!silent || e->params_times != 1 ||
	     e->secrets[QUIC_LEVEL_APPLICATION][0].times != 1 ||
	     e->secrets[QUIC_LEVEL_APPLICATION][1].times != 1))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r;

	if (ends[0].ctx == NULL)
		pair_open();
	else
		pair_again();
	reader_init(&r, data, size);
	quic_tls_start(ends[CLIENT].tls);
	while (r.ok && r.left > 0) {
		uint8_t step = read_u8(&r);
		int from = step >> 2 & 1;
		enum quic_level level = (enum quic_level)((step >> 3 & 3) % TLS_LEVELS);

		switch (step & 3) {
		case 0:
			deliver(&r, from, level);
			break;
		case 1:
			say(&r, from, level);
			break;
		case 2:
			alter(&r, from, level);
			break;
		default:
			pair_pump(WHOLE);
		}
	}
	check(&ends[CLIENT]);
	check(&ends[SERVER]);
	return 0;
}
