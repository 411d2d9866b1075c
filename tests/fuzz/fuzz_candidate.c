#include <stdlib.h>
#include <string.h>

#include "path/candidate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is understood must survive being written and read again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct candidate c, again;
	char written[PATH_CANDIDATE_MAX];
	struct err err;
	char *line = malloc(size + 1);

	if (line == NULL)
		abort();
	memcpy(line, data, size);
	line[size] = '\0';
	candidate_ice_chars(line, 4);
	if (candidate_parse(&c, line, &err) == 1) {
		candidate_format(&c, written);
		if (candidate_parse(&again, written, &err) != 1 ||
		    !candidate_equal(&c, &again))
			abort();
	}
	free(line);
	return 0;
}
