#include <stdlib.h>
#include <string.h>

#include "run/compare.h"

/* As much of a digest as people compare. */
#define DIGEST_SHOWN 8
#define LABEL_COLUMN 12

enum aspect { PROGRAM, WORDS, PYTHON, MPYC, ASPECTS };

static const char *const labels[ASPECTS] = {"program", "arguments", "Python", "MPyC"};

static void
write_words(FILE *out, const struct run_offer *o)
{
	static const char special[] = " \t\"'\\$`*?;&|<>()#";

	if (o->n_words == 0 && !o->open_end)
		fputs("(none)", out);
	for (size_t i = 0; i < o->n_words; i++) {
		const struct run_word *w = &o->word[i];
		bool quote = w->kind == RUN_WORD_SHOWN &&
			     (w->text[0] == '\0' || strpbrk(w->text, special) != NULL);

		fprintf(out, "%s%s%s%s", i > 0 ? " " : "", quote ? "'" : "", w->text,
			quote ? "'" : "");
		/* What is not told. */
		if (w->kind == RUN_WORD_HIDDEN ||
		    (w->kind == RUN_WORD_OPTION && w->text[strlen(w->text) - 1] == '='))
			fputc('*', out);
	}
	if (o->open_end)
		fprintf(out, "%s...", o->n_words > 0 ? " " : "");
}

/* Malloc'ed; NULL when memory is short. */
static char *
describe(const struct run_offer *o, enum aspect a)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	switch (a) {
	case PROGRAM:
		fprintf(f, "%s ", o->program);
		for (size_t i = 0; i < DIGEST_SHOWN; i++)
			fprintf(f, "%02x", o->digest[i]);
		break;
	case WORDS:
		write_words(f, o);
		break;
	case PYTHON:
		fputs(o->python[0] != '\0' ? o->python : "(no Python program)", f);
		break;
	default:
		fputs(o->mpyc[0] != '\0' ? o->mpyc : "(not found)", f);
		break;
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static bool
agree(const struct run_offer *a, const struct run_offer *b, enum aspect aspect)
{
	switch (aspect) {
	case PROGRAM:
		/* A copy under another name is the same program. */
		return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
	case WORDS:
		return run_words_agree(a, b);
	case PYTHON:
		return strcmp(a->python, b->python) == 0;
	default:
		return strcmp(a->mpyc, b->mpyc) == 0;
	}
}

static bool
all_agree(const struct session *s, const struct run_offer *offers, enum aspect a)
{
	for (size_t i = 0; i < s->n_parties; i++)
		for (size_t j = i + 1; j < s->n_parties; j++)
			if (!agree(&offers[i], &offers[j], a))
				return false;
	return true;
}

/* The names of those whose text is ${texts[i]}, none of whom has been named. */
static size_t
write_names(FILE *out, const struct session *s, char **texts, size_t i, bool *named)
{
	size_t n = 0;

	for (size_t j = i; j < s->n_parties; j++) {
		if (named[j] || texts[j] == NULL || strcmp(texts[i], texts[j]) != 0)
			continue;
		named[j] = true;
		n += (size_t)fprintf(out, "%s%s", n > 0 ? ", " : "", s->parties[j].name);
	}
	return n;
}

static void
write_aspect(FILE *out, const struct session *s, const struct run_offer *offers,
	     enum aspect a)
{
	char *texts[SESSION_PARTIES_MAX];
	char *names[SESSION_PARTIES_MAX] = {NULL};
	bool named[SESSION_PARTIES_MAX] = {false};
	size_t widest = 0, len;
	bool first = true;

	for (size_t i = 0; i < s->n_parties; i++)
		texts[i] = describe(&offers[i], a);
	for (size_t i = 0; i < s->n_parties; i++) {
		FILE *f =
		    named[i] || texts[i] == NULL ? NULL : open_memstream(&names[i], &len);
		size_t n;

		if (f == NULL)
			continue;
		n = write_names(f, s, texts, i, named);
		fclose(f);
		widest = n > widest ? n : widest;
	}
	for (size_t i = 0; i < s->n_parties; i++) {
		if (names[i] == NULL)
			continue;
		fprintf(out, "  %-*s%-*s  %s\n", LABEL_COLUMN, first ? labels[a] : "",
			(int)widest, names[i], texts[i]);
		first = false;
	}
	for (size_t i = 0; i < s->n_parties; i++) {
		free(texts[i]);
		free(names[i]);
	}
}

bool
compare_offers(FILE *out, const struct session *s, const struct run_offer *offers)
{
	bool same = true;

	for (int a = 0; a < ASPECTS; a++) {
		if (all_agree(s, offers, (enum aspect)a))
			continue;
		same = false;
		write_aspect(out, s, offers, (enum aspect)a);
	}
	return same;
}
