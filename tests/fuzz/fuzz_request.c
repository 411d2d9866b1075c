/* A request of the control socket: what parses means the same when written back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watch/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[REQUEST_LINE_MAX];
	struct request r, again;

	if (request_parse(&r, (const char *)data, size) != 0)
		return 0;
	request_format(&r, line);
	if (request_parse(&again, line, strlen(line)) != 0 || again.verb != r.verb ||
	    again.count != r.count || strcmp(again.party, r.party) != 0 ||
	    !target_equal(&again.target, &r.target) ||
	    !endpoint_equal(&again.at, &r.at) || again.at.everyone != r.at.everyone)
		abort();
	return 0;
}
