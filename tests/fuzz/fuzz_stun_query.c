#include <stdint.h>
#include <stdlib.h>

#include "path/stun_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is understood has what it promises, and is not understood from fewer bytes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stun_reply r;

	if (stun_reply_parse(&r, data, size) != 0)
		return 0;
	if (size < 20 || size > STUN_REPLY_MAX ||
	    (r.success ? addr_len(&r.mapped) == 0 : r.error < 300 || r.error > 699) ||
	    stun_reply_parse(&r, data, size - 1) == 0)
		abort();
	return 0;
}
