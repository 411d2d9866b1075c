/* Sealed messages in a stream: cut anywhere, the same messages come out, and end at the
 * same fault; each is written as it was read. The first byte says where it is cut. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/sealed_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	unsigned messages;
	unsigned sum;
	int last;
};

static void
feed(struct result *r, struct sealed_stream *s, const uint8_t *data, size_t len)
{
	static uint8_t out[SEALED_STREAM_MAX];
	const uint8_t *msg;
	size_t n;

	if (r->last < 0)
		return;
	while ((r->last = sealed_stream_next(s, &data, &len, &msg, &n)) > 0) {
		r->messages++;
		for (size_t i = 0; i < n; i++)
			r->sum = r->sum * 31 + msg[i];
		if (n < ENVELOPE_SEALED_MIN || n > ENVELOPE_SEALED_MAX ||
		    sealed_stream_encode(msg, n, out) != n + SEALED_STREAM_HEADER ||
		    memcmp(out, s->buf, n + SEALED_STREAM_HEADER) != 0)
			abort();
	}
	if (r->last == 0 && len != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sealed_stream s;
	struct result whole = {0}, cut = {0};
	size_t piece;

	if (size == 0)
		return 0;
	piece = (size_t)data[0] * 8 + 1;
	data++;
	size--;
	s.have = 0;
	feed(&whole, &s, data, size);
	s.have = 0;
	for (size_t at = 0; at < size; at += piece)
		feed(&cut, &s, data + at, size - at < piece ? size - at : piece);
	if (whole.messages != cut.messages || whole.sum != cut.sum || whole.last != cut.last)
		abort();
	return 0;
}
