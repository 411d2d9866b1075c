#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {""};
	struct session *s = session_parse("f", (const char *)data, size, &err);

	if (s == NULL) {
		/* Every refusal says why, and where. */
		if (strncmp(err.text, "f:", 2) != 0)
			abort();
		return 0;
	}
	if (s->n_parties < 2 || s->n_parties > SESSION_PARTIES_MAX ||
	    s->n_rendezvous < 1 || s->name[0] == '\0')
		abort();
	for (size_t i = 0; i < s->n_parties; i++) {
		if (session_find_name(s, s->parties[i].name) != (int)i ||
		    session_find_key(s, &s->parties[i].key) != (int)i)
			abort();
	}
	session_free(s);
	return 0;
}
