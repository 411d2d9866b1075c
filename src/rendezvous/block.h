#ifndef MPCPROXY_RENDEZVOUS_BLOCK_H
#define MPCPROXY_RENDEZVOUS_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rendezvous/frame.h"
#include "session/pubkey.h"

/*
 * A block of text that a party passes to all others by hand, with one sealed offer for
 * each (doc/protocol.md, "Blocks"). It survives what mail and chat do to text: other line
 * ends and widths, quoting, text around it.
 */
#define BLOCK_ENTRIES_MAX 255
#define BLOCK_ID_BYTES    8 /* of a recipient */
/* Of a text in which blocks are looked for. */
#define BLOCK_TEXT_MAX (8 * 1024 * 1024)

struct block_entry {
	uint8_t to[BLOCK_ID_BYTES];
	const uint8_t *sealed;
	size_t len;
};

struct block {
	uint8_t tag[FRAME_TAG_BYTES]; /* the session's */
	struct pubkey from;
	size_t n;
	struct block_entry entry[BLOCK_ENTRIES_MAX];
	uint8_t *data; /* that the entries point into; see block_free() */
};

/* The start of a hash over session and key. */
int block_id(uint8_t out[BLOCK_ID_BYTES], const uint8_t tag[FRAME_TAG_BYTES],
	     const struct pubkey *key);

/* The text, malloc'ed, with a newline at its end. NULL when memory is short. */
char *block_format(const struct block *b);

/*
 * The first block in the ${len} bytes of ${text} from ${*at} on: 1, and ${*at} is behind
 * it; 0 when there is none; -1 when what begins there is none, with the line in the
 * message, and ${*at} behind that. On 1 block_free() is due.
 */
int block_next(struct block *b, const char *text, size_t len, size_t *at,
	       struct err *err);
void block_free(struct block *b);

#endif
