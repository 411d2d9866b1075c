#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "session/session.h"
#include "watch/run_line.h"

/* What follows a type's word: i index, s state, n set, h how, c code, t text, o offer. */
static const struct {
	const char *word;
	const char *args;
} types[] = {
    [RUN_LINE_OK] = {"ok", "n"},          [RUN_LINE_PARTY] = {"party", "ist"},
    [RUN_LINE_THEIRS] = {"theirs", "io"}, [RUN_LINE_COMPLETE] = {"complete", "n"},
    [RUN_LINE_GO] = {"go", ""},           [RUN_LINE_ENDED] = {"ended", "ihc"},
    [RUN_LINE_LOST] = {"lost", "it"},     [RUN_LINE_NO] = {"no", "t"},
    [RUN_LINE_DONE] = {"done", ""},       [RUN_LINE_GATE] = {"gate", ""},
    [RUN_LINE_OFFER] = {"offer", "o"},    [RUN_LINE_AGREE] = {"agree", "n"},
    [RUN_LINE_END] = {"end", "hc"},
};

#define N_TYPES (sizeof types / sizeof types[0])

static int
take_number(uint64_t max, const char *p, size_t len, uint64_t *out)
{
	char text[24];

	if (len == 0 || len >= sizeof text)
		return -1;
	memcpy(text, p, len);
	text[len] = '\0';
	return number_parse(out, text, 0, max);
}

static int
take_text(struct run_line *l, const char *p, size_t len)
{
	if (len == 0 || len > RUN_LINE_TEXT_MAX)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] > '~')
			return -1;
	memcpy(l->text, p, len);
	return 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
take_offer(struct run_line *l, const char *p, size_t len)
{
	if (len == 0 || len % 2 != 0 || len / 2 > RUN_OFFER_MAX)
		return -1;
	for (size_t i = 0; i < len / 2; i++) {
		int high = hex_value(p[2 * i]), low = hex_value(p[2 * i + 1]);

		if (high < 0 || low < 0)
			return -1;
		l->offer[i] = (uint8_t)(high << 4 | low);
	}
	l->offer_len = len / 2;
	return 0;
}

static int
take_arg(struct run_line *l, char arg, const char *p, size_t len)
{
	static const uint64_t max[] = {['i'] = SESSION_PARTIES_MAX - 1,
				       ['s'] = RUN_PARTY_STATES - 1,
				       ['n'] = UINT32_MAX,
				       ['h'] = RUN_END_GONE,
				       ['c'] = UINT8_MAX};
	uint64_t n;

	if (arg == 't')
		return take_text(l, p, len);
	if (arg == 'o')
		return take_offer(l, p, len);
	if (take_number(max[(unsigned char)arg], p, len, &n) != 0)
		return -1;
	switch (arg) {
	case 'i':
		l->index = (size_t)n;
		break;
	case 's':
		l->state = (enum run_party_state)n;
		break;
	case 'n':
		l->set = (uint32_t)n;
		break;
	case 'h':
		l->how = (enum run_end)n;
		break;
	default:
		l->code = (uint8_t)n;
		break;
	}
	return 0;
}

/* The bytes of the next word, or of all that is left for the last argument. */
static size_t
word_length(const char *p, size_t left, bool last)
{
	const char *space = last ? NULL : memchr(p, ' ', left);

	return space != NULL ? (size_t)(space - p) : left;
}

int
run_line_parse(struct run_line *l, const char *line, size_t len)
{
	size_t n = word_length(line, len, false), type = 0;
	const char *end = line + len, *p = line + n;

	memset(l, 0, sizeof *l);
	while (type < N_TYPES &&
	       (strlen(types[type].word) != n || memcmp(types[type].word, line, n) != 0))
		type++;
	if (type == N_TYPES)
		return -1;
	l->type = (enum run_line_type)type;
	for (const char *arg = types[type].args; *arg != '\0'; arg++) {
		if (p == end)
			return -1;
		p++; /* the space */
		n = word_length(p, (size_t)(end - p), arg[1] == '\0');
		if (take_arg(l, *arg, p, n) != 0)
			return -1;
		p += n;
	}
	return p == end ? 0 : -1;
}

static size_t
put_offer(const struct run_line *l, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < l->offer_len; i++) {
		out[2 * i] = digits[l->offer[i] >> 4];
		out[2 * i + 1] = digits[l->offer[i] & 15];
	}
	return 2 * l->offer_len;
}

static size_t
put_number(uint64_t n, char *out)
{
	return (size_t)sprintf(out, "%" PRIu64, n);
}

static size_t
put_arg(const struct run_line *l, char arg, char *out)
{
	switch (arg) {
	case 'i':
		return put_number(l->index, out);
	case 's':
		return put_number(l->state, out);
	case 'n':
		return put_number(l->set, out);
	case 'h':
		return put_number(l->how, out);
	case 'c':
		return put_number(l->code, out);
	case 'o':
		return put_offer(l, out);
	default:
		memcpy(out, l->text, strlen(l->text));
		return strlen(l->text);
	}
}

size_t
run_line_format(const struct run_line *l, char out[RUN_LINE_MAX + 1])
{
	size_t n = strlen(types[l->type].word);

	memcpy(out, types[l->type].word, n);
	for (const char *arg = types[l->type].args; *arg != '\0'; arg++) {
		out[n++] = ' ';
		n += put_arg(l, *arg, out + n);
	}
	out[n] = '\0';
	return n;
}
