#include <string.h>

#include "rendezvous/sealed_stream.h"

/* Move bytes until ${want} are there. */
static void
fill(struct sealed_stream *s, size_t want, const uint8_t **data, size_t *len)
{
	size_t n = s->have < want ? want - s->have : 0;

	n = n < *len ? n : *len;
	if (n == 0)
		return;
	memcpy(s->buf + s->have, *data, n);
	s->have += n;
	*data += n;
	*len -= n;
}

int
sealed_stream_next(struct sealed_stream *s, const uint8_t **data, size_t *len,
		   const uint8_t **msg, size_t *msg_len)
{
	size_t size;

	fill(s, SEALED_STREAM_HEADER, data, len);
	if (s->have < SEALED_STREAM_HEADER)
		return 0;
	size = (size_t)s->buf[0] << 8 | s->buf[1];
	if (size < ENVELOPE_SEALED_MIN || size > ENVELOPE_SEALED_MAX)
		return -1;
	fill(s, SEALED_STREAM_HEADER + size, data, len);
	if (s->have < SEALED_STREAM_HEADER + size)
		return 0;
	s->have = 0;
	*msg = s->buf + SEALED_STREAM_HEADER;
	*msg_len = size;
	return 1;
}

size_t
sealed_stream_encode(const uint8_t *sealed, size_t len, uint8_t out[SEALED_STREAM_MAX])
{
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	memcpy(out + SEALED_STREAM_HEADER, sealed, len);
	return SEALED_STREAM_HEADER + len;
}
