#ifndef MPCPROXY_RENDEZVOUS_SEALED_STREAM_H
#define MPCPROXY_RENDEZVOUS_SEALED_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "rendezvous/envelope.h"

/* Sealed messages (envelope.h) in a stream of bytes, each with its length before it. */
#define SEALED_STREAM_HEADER 2
#define SEALED_STREAM_MAX    (SEALED_STREAM_HEADER + ENVELOPE_SEALED_MAX)

/* A reader's state; all zero is the beginning. */
struct sealed_stream {
	size_t have;
	uint8_t buf[SEALED_STREAM_MAX];
};

/* Take bytes from ${*data}, which is moved on, until a message is complete. 1: it is at
 * ${*msg} until the next call, nothing of it is verified; 0: there is none yet, all was
 * taken; -1: a length that no sealed message has, and the stream is void. */
int sealed_stream_next(struct sealed_stream *s, const uint8_t **data, size_t *len,
		       const uint8_t **msg, size_t *msg_len);

/* Write ${sealed} as it is to be sent; returns the length. ${len} is at most
 * ENVELOPE_SEALED_MAX. */
size_t sealed_stream_encode(const uint8_t *sealed, size_t len,
			    uint8_t out[SEALED_STREAM_MAX]);

#endif
