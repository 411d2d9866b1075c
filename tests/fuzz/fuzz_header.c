#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/guard.h"
#include "tunnel/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_request req, again;
	uint8_t out[HEADER_REQUEST_MAX];
	int used = header_parse_request(&req, data, size);

	if (used > 0) {
		size_t len = header_encode_request(&req, out);

		/* What was understood can be said again, and means the same. */
		if ((size_t)used > size ||
		    header_parse_request(&again, out, len) != (int)len ||
		    strcmp(req.host, again.host) != 0 || req.port != again.port ||
		    req.udp != again.udp)
			abort();
	}
	used = header_parse_datagram(&req, data, size);
	if (used > 0 &&
	    ((size_t)used > size ||
	     header_encode_datagram(&req, out) == 0 ||
	     header_parse_datagram(&again, out, sizeof out) <= 0 ||
	     strcmp(req.host, again.host) != 0 || req.port != again.port))
		abort();
	if (size >= HEADER_REPLY_BYTES && header_parse_reply(data) >= 0 && data[0] != 5)
		abort();
	guard_check(data, size, 0);
	return 0;
}
