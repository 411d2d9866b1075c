#include <stdint.h>

#include <openssl/rand.h>

#include "rendezvous/backoff.h"

void
backoff_reset(struct backoff *b)
{
	b->next_ms = BACKOFF_MIN_MS;
}

unsigned
backoff_next(struct backoff *b)
{
	unsigned ms = b->next_ms;
	uint32_t random = 0;

	b->next_ms = ms * 2 < BACKOFF_MAX_MS ? ms * 2 : BACKOFF_MAX_MS;
	RAND_bytes((unsigned char *)&random, sizeof random);
	return ms / 2 + random % (ms / 2 + 1);
}
