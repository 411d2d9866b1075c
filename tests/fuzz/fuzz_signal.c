#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct signal_candidates m, again;
	uint8_t out[CONTACT_BODY_MAX];
	uint32_t generation;
	int n;

	if (signal_decode_candidates(&m, data, size) == 0) {
		n = signal_encode_candidates(&m, out, sizeof out);
		if (n < 0 || signal_decode_candidates(&again, out, (size_t)n) != 0 ||
		    memcmp(&m, &again, sizeof m) != 0)
			abort();
		if (signal_decode_generation(&generation, data, size) != 0 ||
		    generation != m.generation)
			abort();
	}
	if (signal_decode_generation(&generation, data, size) == 0 &&
	    signal_encode_generation(generation, out, sizeof out) != 7)
		abort();
	return 0;
}
