#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "tunnel/run_offer.h"

enum field {
	FIELD_NONCE = 1,
	FIELD_PROGRAM = 2,
	FIELD_DIGEST = 3,
	FIELD_PYTHON = 4,
	FIELD_MPYC = 5,
	FIELD_WORD = 6,
	FIELD_OPEN_END = 7,
	FIELDS,
};

/* Of a word's SHA-256, where the word itself cannot be told. */
#define WORD_DIGEST_CHARS 16
#define WORD_CUT          120

static bool
is_printable(const void *text, size_t len)
{
	const uint8_t *p = text;

	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] > '~')
			return false;
	return true;
}

/* --- words --- */

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The bytes of ${text} that are an option's name and not its value: "--repeat=" of
 * --repeat=3, "-T" of -T1; 0 for what is no option, such as -1. */
static size_t
option_name(const char *text)
{
	size_t n = 2;

	if (text[0] != '-')
		return 0;
	if (is_letter(text[1]))
		return 2;
	if (text[1] != '-' || !is_letter(text[2]))
		return 0;
	while (is_letter(text[n]) || text[n] == '-' || text[n] == '_' ||
	       (text[n] >= '0' && text[n] <= '9'))
		n++;
	if (text[n] == '=')
		return n + 1;
	return text[n] == '\0' ? n : 0;
}

static void
hide(struct run_word *w, const char *text)
{
	size_t n = option_name(text);

	memset(w, 0, sizeof *w);
	w->kind = n > 0 && n <= RUN_WORD_MAX ? RUN_WORD_OPTION : RUN_WORD_HIDDEN;
	if (w->kind == RUN_WORD_OPTION)
		memcpy(w->text, text, n);
}

static void
abridge(struct run_word *w, const char *text, size_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE] = {0};
	size_t n = len < WORD_CUT ? len : WORD_CUT;

	EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < n; i++)
		w->text[i] = is_printable(&text[i], 1) ? text[i] : '?';
	w->text[n++] = '~';
	for (size_t i = 0; i < WORD_DIGEST_CHARS / 2; i++, n += 2)
		snprintf(&w->text[n], 3, "%02x", digest[i]);
}

void
run_word_set(struct run_word *w, const char *text, bool shown)
{
	size_t len = strlen(text);

	memset(w, 0, sizeof *w);
	if (!shown)
		hide(w, text);
	else if (len <= RUN_WORD_MAX && is_printable(text, len))
		memcpy(w->text, text, len);
	else
		abridge(w, text, len);
}

bool
run_word_agrees(const struct run_word *a, const struct run_word *b)
{
	struct run_word ha = *a, hb = *b;

	if (a->kind != b->kind) {
		if (a->kind == RUN_WORD_SHOWN)
			hide(&ha, a->text);
		if (b->kind == RUN_WORD_SHOWN)
			hide(&hb, b->text);
	}
	return ha.kind == hb.kind && strcmp(ha.text, hb.text) == 0;
}

bool
run_words_agree(const struct run_offer *a, const struct run_offer *b)
{
	for (size_t i = 0; i < a->n_words && i < b->n_words; i++)
		if (!run_word_agrees(&a->word[i], &b->word[i]))
			return false;
	return (a->n_words >= b->n_words || a->open_end) &&
	       (b->n_words >= a->n_words || b->open_end);
}

/* --- the encoding --- */

static int
take_text(char out[RUN_TEXT_MAX + 1], const uint8_t *value, size_t len)
{
	if (len == 0 || len > RUN_TEXT_MAX || !is_printable(value, len))
		return -1;
	memcpy(out, value, len);
	return 0;
}

static int
take_word(struct run_offer *o, const uint8_t *value, size_t len)
{
	struct run_word *w = &o->word[o->n_words];

	if (o->n_words == RUN_WORDS_MAX || len == 0 || len - 1 > RUN_WORD_MAX ||
	    value[0] > RUN_WORD_HIDDEN || !is_printable(value + 1, len - 1))
		return -1;
	w->kind = (enum run_word_kind)value[0];
	memcpy(w->text, value + 1, len - 1);
	/* What is said to be a name only is nothing else. */
	if (w->kind == RUN_WORD_HIDDEN && len > 1)
		return -1;
	if (w->kind == RUN_WORD_OPTION && option_name(w->text) != len - 1)
		return -1;
	o->n_words++;
	return 0;
}

static int
take_bytes(uint8_t *out, size_t size, const uint8_t *value, size_t len)
{
	if (len != size)
		return -1;
	memcpy(out, value, size);
	return 0;
}

static int
take_field(struct run_offer *o, uint8_t type, const uint8_t *value, size_t len)
{
	switch (type) {
	case FIELD_NONCE:
		return take_bytes(o->nonce, sizeof o->nonce, value, len);
	case FIELD_PROGRAM:
		return take_text(o->program, value, len);
	case FIELD_DIGEST:
		return take_bytes(o->digest, sizeof o->digest, value, len);
	case FIELD_PYTHON:
		return take_text(o->python, value, len);
	case FIELD_MPYC:
		return take_text(o->mpyc, value, len);
	case FIELD_WORD:
		return take_word(o, value, len);
	case FIELD_OPEN_END:
		o->open_end = true;
		return len == 0 ? 0 : -1;
	default:
		return 0;
	}
}

enum run_offer_result
run_offer_parse(struct run_offer *o, const uint8_t *data, size_t len)
{
	bool seen[FIELDS] = {false};
	struct reader r;

	memset(o, 0, sizeof *o);
	reader_init(&r, data, len);
	if (len == 0 || len > RUN_OFFER_MAX)
		return RUN_OFFER_MALFORMED;
	if (read_u8(&r) != RUN_OFFER_VERSION)
		return RUN_OFFER_OTHER_VERSION;
	while (r.left > 0) {
		uint8_t type = read_u8(&r);
		size_t n = read_u16(&r);
		const uint8_t *value = read_bytes(&r, n);

		if (!r.ok || (type < FIELDS && type != FIELD_WORD && seen[type]) ||
		    take_field(o, type, value, n) != 0)
			return RUN_OFFER_MALFORMED;
		if (type < FIELDS)
			seen[type] = true;
	}
	return seen[FIELD_NONCE] && seen[FIELD_PROGRAM] && seen[FIELD_DIGEST]
		   ? RUN_OFFER_OK
		   : RUN_OFFER_MALFORMED;
}

static void
put_field(struct writer *w, enum field type, const void *value, size_t len)
{
	write_u8(w, (uint8_t)type);
	write_u16(w, (uint16_t)len);
	write_bytes(w, value, len);
}

static void
put_text(struct writer *w, enum field type, const char *text)
{
	if (text[0] != '\0')
		put_field(w, type, text, strlen(text));
}

size_t
run_offer_encode(const struct run_offer *o, uint8_t out[RUN_OFFER_MAX])
{
	struct writer w;

	writer_init(&w, out, RUN_OFFER_MAX);
	write_u8(&w, RUN_OFFER_VERSION);
	put_field(&w, FIELD_NONCE, o->nonce, sizeof o->nonce);
	put_text(&w, FIELD_PROGRAM, o->program);
	put_field(&w, FIELD_DIGEST, o->digest, sizeof o->digest);
	put_text(&w, FIELD_PYTHON, o->python);
	put_text(&w, FIELD_MPYC, o->mpyc);
	for (size_t i = 0; i < o->n_words; i++) {
		size_t len = strlen(o->word[i].text);

		write_u8(&w, FIELD_WORD);
		write_u16(&w, (uint16_t)(1 + len));
		write_u8(&w, (uint8_t)o->word[i].kind);
		write_bytes(&w, o->word[i].text, len);
	}
	if (o->open_end)
		put_field(&w, FIELD_OPEN_END, "", 0);
	return w.len;
}

/* All of the longest offer fits. */
_Static_assert(1 + 3 + RUN_NONCE_BYTES + 3 + RUN_DIGEST_BYTES + 3 * (3 + RUN_TEXT_MAX) +
		       RUN_WORDS_MAX * (4 + RUN_WORD_MAX) + 3 <=
		   RUN_OFFER_MAX,
	       "an offer can be longer than RUN_OFFER_MAX");
