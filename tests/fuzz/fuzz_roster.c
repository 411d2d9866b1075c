/* Any bytes as a roster: what decodes is encoded to the same bytes again, and its text
 * is parsed to the same. The signature, which is verified before, is left out. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[ROSTER_MAX];
	struct session *s, *t;
	struct err err;
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	s = roster_decode(data, size, &err);
	if (s == NULL)
		return 0;
	if (roster_encode(s, again, &err) != (int)size || memcmp(again, data, size) != 0)
		abort();
	out = open_memstream(&text, &len);
	if (out == NULL)
		abort();
	roster_write_ini(out, s);
	fclose(out);
	t = session_parse_draft("f", text, len, &err);
	if (t == NULL || memcmp(t->roster_digest, s->roster_digest, 32) != 0)
		abort();
	session_free(t);
	session_free(s);
	free(text);
	return 0;
}
