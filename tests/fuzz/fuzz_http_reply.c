#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In whichever pieces a head arrives, it means the same and ends at the same byte. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_reply whole, pieces;
	size_t end, at = 0;

	http_reply_init(&whole);
	end = http_reply_take(&whole, data, size);
	http_reply_init(&pieces);
	while (at < size && pieces.state == HTTP_REPLY_MORE)
		at += http_reply_take(&pieces, data + at, 1);
	if (whole.state != pieces.state || end != at || end > HTTP_REPLY_MAX + 1)
		abort();
	if (whole.state != HTTP_REPLY_DONE)
		return 0;
	if (whole.status != pieces.status || whole.status < 200 || whole.status > 599 ||
	    strcmp(whole.reason, pieces.reason) != 0 || end == 0 || data[end - 1] != '\n')
		abort();
	for (const char *c = whole.reason; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			abort();
	return 0;
}
