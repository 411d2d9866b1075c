#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says whose frames these are. What is understood must encode to the
 * bytes it came from, and must not have been understood from fewer. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[FRAME_MAX];
	struct frame f, g;
	bool from_mailbox;
	struct err err;
	ssize_t n;

	if (size == 0)
		return 0;
	from_mailbox = (data[0] & 1) != 0;
	data++;
	size--;
	while ((n = frame_parse(&f, from_mailbox, data, size, &err)) > 0) {
		if ((size_t)n > size || n > FRAME_MAX ||
		    frame_encode(&f, again, sizeof again) != n ||
		    memcmp(again, data, (size_t)n) != 0 ||
		    frame_parse(&g, from_mailbox, data, (size_t)n - 1, &err) != 0)
			abort();
		data += n;
		size -= (size_t)n;
	}
	return 0;
}
