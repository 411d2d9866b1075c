/* The lines of a run on the control socket: what parses means the same when written
 * back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "watch/run_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[RUN_LINE_MAX + 1];
	static struct run_line l, again;
	size_t len;

	if (run_line_parse(&l, (const char *)data, size) != 0)
		return 0;
	len = run_line_format(&l, text);
	if (len > RUN_LINE_MAX || run_line_parse(&again, text, len) != 0 ||
	    memcmp(&l, &again, sizeof l) != 0)
		abort();
	return 0;
}
