#include "watch/flags.h"

void
flags_write(FILE *out, uint16_t base_port, size_t n_parties, size_t index)
{
	for (size_t i = 0; i < n_parties; i++)
		fprintf(out, "-P localhost:%zu ", base_port + i);
	fprintf(out, "-I %zu\n", index);
}
