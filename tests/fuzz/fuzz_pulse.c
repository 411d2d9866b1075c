/* Any datagram as a pulse: without the password none is one, and one that was changed on
 * its way is none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "path/pulse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PASSWORD "correct horse battery staple"

static void
read_any(const uint8_t *data, size_t size)
{
	uint8_t token[PULSE_TOKEN_BYTES], again[PULSE_FULL_BYTES];

	for (unsigned type = PULSE_ASK; type <= PULSE_ANSWER_FULL; type++)
		if (pulse_read(data, size, type, PASSWORD, token) &&
		    (!pulse_is_one(data, size) ||
		     pulse_write(again, type, token, PASSWORD) != size ||
		     memcmp(again, data, PULSE_BYTES) != 0))
			abort();
}

/* The token, and then what to change: a place, and how. */
static void
read_changed(const uint8_t *data, size_t size)
{
	uint8_t token[PULSE_TOKEN_BYTES], was[PULSE_FULL_BYTES], is[PULSE_FULL_BYTES];
	enum pulse_type type = PULSE_ASK + data[0] % 4;
	size_t len = pulse_write(was, type, data + 1, PASSWORD);

	memcpy(is, was, sizeof is);
	for (size_t i = 1 + PULSE_TOKEN_BYTES; i + 1 < size; i += 2)
		is[data[i] % PULSE_BYTES] ^= data[i + 1];
	if (pulse_read(is, len, type, PASSWORD, token) !=
	    (memcmp(is, was, PULSE_BYTES) == 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_any(data, size);
	if (size >= 1 + PULSE_TOKEN_BYTES)
		read_changed(data, size);
	return 0;
}
