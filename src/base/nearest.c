#include <string.h>

#include "base/nearest.h"

#define WORD_MAX   32 /* longer ones have no neighbour here */
#define EDITS_MAX  2
#define PREFIX_MIN 2

/* Levenshtein's distance, with one row of his table. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1];
	size_t len_a = strlen(a), len_b = strlen(b);

	if (len_a > WORD_MAX || len_b > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[len_b];
}

const char *
nearest(const char *word, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t best_edits = EDITS_MAX + 1;
	size_t len = strlen(word);

	for (size_t i = 0; i < n; i++) {
		size_t edits = distance(word, words[i]);

		/* Two edits turn any short word into any other. */
		if (edits < best_edits && edits < strlen(words[i]) && edits < len) {
			best = words[i];
			best_edits = edits;
		}
	}
	for (size_t i = 0; i < n && best == NULL && len >= PREFIX_MIN; i++) {
		if (strncmp(word, words[i], len) == 0)
			best = words[i];
	}
	return best;
}
