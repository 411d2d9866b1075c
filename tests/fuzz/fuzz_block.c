#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is found is found again in its own text, and the search comes to an end. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct block b, again;
	size_t at = 0, before;
	int rc;

	do {
		before = at;
		rc = block_next(&b, (const char *)data, size, &at, NULL);
		if (rc != 0 && at <= before)
			abort();
		if (rc == 1) {
			char *text = block_format(&b);
			size_t from = 0;

			if (text == NULL ||
			    block_next(&again, text, strlen(text), &from, NULL) != 1 ||
			    again.n != b.n || from != strlen(text))
				abort();
			block_free(&again);
			block_free(&b);
			free(text);
		}
	} while (rc != 0);
	return 0;
}
