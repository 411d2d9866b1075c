#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64url.h"
#include "rendezvous/block.h"
#include "rendezvous/box_name.h"
#include "rendezvous/envelope.h"

static const char begin_line[] = "-----BEGIN MPCPROXY BLOCK-----";
static const char end_line[] = "-----END MPCPROXY BLOCK-----";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789-_";

#define VERSION     1
#define LINE_CHARS  64
#define CHECK_BYTES 8
#define HEAD_BYTES  (1 + FRAME_TAG_BYTES + PUBKEY_BYTES + 2)
#define ENTRY_BYTES (BLOCK_ID_BYTES + 2)
#define DATA_MAX                                                                         \
	(HEAD_BYTES + BLOCK_ENTRIES_MAX * (ENTRY_BYTES + ENVELOPE_SEALED_MAX) +          \
	 CHECK_BYTES)
#define BODY_MAX ((DATA_MAX + 2) / 3 * 4)

int
block_id(uint8_t out[BLOCK_ID_BYTES], const uint8_t tag[FRAME_TAG_BYTES],
	 const struct pubkey *key)
{
	char name[BOX_NAME_LEN + 1];

	if (box_name(name, tag, key) != 0)
		return -1;
	for (size_t i = 0; i < BLOCK_ID_BYTES; i++) {
		char hex[3] = {name[2 * i], name[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(hex, NULL, 16);
	}
	return 0;
}

static int
checksum(uint8_t out[CHECK_BYTES], const uint8_t *data, size_t len)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(data, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	memcpy(out, digest, CHECK_BYTES);
	return 0;
}

/* --- writing --- */

static uint8_t *
put(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static uint8_t *
put_u16(uint8_t *to, size_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
	return to + 2;
}

/* base64url in lines, between the two markers. */
static char *
armour(const uint8_t *data, size_t len)
{
	size_t chars = BASE64URL_CHARS(len), lines = chars / LINE_CHARS + 1;
	char *text = malloc(sizeof begin_line + sizeof end_line + chars + lines + 2);
	char *all = malloc(chars + 1);
	char *p = text;

	if (text == NULL || all == NULL) {
		free(text);
		free(all);
		return NULL;
	}
	base64url_encode(all, data, len);
	p = stpcpy(p, begin_line);
	for (size_t i = 0; i < chars; i += LINE_CHARS)
		p += sprintf(p, "\n%.*s", LINE_CHARS, all + i);
	sprintf(p, "\n%s\n", end_line);
	free(all);
	return text;
}

char *
block_format(const struct block *b)
{
	size_t len = HEAD_BYTES + CHECK_BYTES;
	uint8_t *data, *p;
	char *text = NULL;

	for (size_t i = 0; i < b->n; i++)
		len += ENTRY_BYTES + b->entry[i].len;
	data = malloc(len);
	if (data == NULL)
		return NULL;
	p = data;
	*p++ = VERSION;
	p = put(p, b->tag, sizeof b->tag);
	p = put(p, b->from.point, PUBKEY_BYTES);
	p = put_u16(p, b->n);
	for (size_t i = 0; i < b->n; i++) {
		p = put(p, b->entry[i].to, BLOCK_ID_BYTES);
		p = put_u16(p, b->entry[i].len);
		p = put(p, b->entry[i].sealed, b->entry[i].len);
	}
	if (checksum(p, data, (size_t)(p - data)) == 0)
		text = armour(data, len);
	free(data);
	return text;
}

/* --- reading --- */

/* A line of ${text}, without quoting in front and blanks at the end. */
struct line {
	const char *text;
	size_t len;
	unsigned number; /* in all of it */
};

static bool
next_line(struct line *l, const char *text, size_t len, size_t *at)
{
	const char *start = text + *at, *end;

	if (*at >= len)
		return false;
	end = memchr(start, '\n', len - *at);
	if (end == NULL)
		end = text + len;
	*at = (size_t)(end - text) + 1;
	while (start < end && strchr("> \t|", *start) != NULL && *start != '\0')
		start++;
	while (end > start && strchr(" \t\r", end[-1]) != NULL && end[-1] != '\0')
		end--;
	l->text = start;
	l->len = (size_t)(end - start);
	l->number++;
	return true;
}

static bool
is_marker(const struct line *l, const char *marker)
{
	return l->len == strlen(marker) && memcmp(l->text, marker, l->len) == 0;
}

/* The characters of ${l} into ${body} behind ${*n} of them. */
static int
take_line(char *body, size_t *n, const struct line *l, struct err *err)
{
	for (size_t i = 0; i < l->len; i++) {
		if (strchr(alphabet, l->text[i]) == NULL || l->text[i] == '\0')
			return err_set(err,
				       "line %u: a character that no block has: was it "
				       "changed on the way?",
				       l->number);
	}
	if (l->len > BODY_MAX - *n)
		return err_set(err, "line %u: the block is longer than any", l->number);
	memcpy(body + *n, l->text, l->len);
	*n += l->len;
	return 0;
}

static size_t
get_u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static int
parse(struct block *b, const uint8_t *data, size_t len)
{
	const uint8_t *p = data + 1, *end = data + len - CHECK_BYTES;

	memcpy(b->tag, p, sizeof b->tag);
	p += sizeof b->tag;
	memcpy(b->from.point, p, PUBKEY_BYTES);
	p += PUBKEY_BYTES;
	b->n = get_u16(p);
	p += 2;
	if (b->n > BLOCK_ENTRIES_MAX)
		return -1;
	for (size_t i = 0; i < b->n; i++) {
		struct block_entry *e = &b->entry[i];

		if (end - p < ENTRY_BYTES)
			return -1;
		memcpy(e->to, p, BLOCK_ID_BYTES);
		e->len = get_u16(p + BLOCK_ID_BYTES);
		p += ENTRY_BYTES;
		if (e->len == 0 || e->len > ENVELOPE_SEALED_MAX ||
		    (size_t)(end - p) < e->len)
			return -1;
		e->sealed = p;
		p += e->len;
	}
	return p == end ? 0 : -1;
}

static int
check_and_parse(struct block *b, ssize_t len, unsigned line, struct err *err)
{
	const uint8_t *data = b->data;
	uint8_t sum[CHECK_BYTES];

	if (len < HEAD_BYTES + CHECK_BYTES ||
	    checksum(sum, data, (size_t)len - CHECK_BYTES) != 0 ||
	    CRYPTO_memcmp(sum, data + len - CHECK_BYTES, CHECK_BYTES) != 0)
		return err_set(err,
			       "line %u: the block is damaged: its checksum is wrong. "
			       "Copy it again, whole",
			       line);
	if (data[0] != VERSION)
		return err_set(err,
			       "line %u: the block is of another version of mpcproxy",
			       line);
	if (parse(b, data, (size_t)len) != 0)
		return err_set(err, "line %u: the block is malformed", line);
	return 0;
}

int
block_next(struct block *b, const char *text, size_t len, size_t *at, struct err *err)
{
	struct line l = {.number = 0};
	size_t before = 0, n = 0, line_at, bad;
	unsigned first;
	char *body;

	memset(b, 0, sizeof *b);
	/* Line numbers count from the beginning of the text. */
	while (before < *at && next_line(&l, text, len, &before))
		;
	do {
		if (!next_line(&l, text, len, at))
			return 0;
	} while (!is_marker(&l, begin_line));
	first = l.number;
	body = malloc(BODY_MAX);
	if (body == NULL)
		return err_set(err, "out of memory");
	for (;;) {
		line_at = *at;
		if (!next_line(&l, text, len, at)) {
			err_set(err, "line %u: the block has no end: was it cut short?",
				first);
			goto fail;
		}
		if (is_marker(&l, end_line))
			break;
		if (is_marker(&l, begin_line)) {
			*at = line_at; /* the next one may be whole */
			err_set(err, "line %u: the block has no end: was it cut short?",
				first);
			goto fail;
		}
		if (take_line(body, &n, &l, err) != 0)
			goto fail;
	}
	b->data = malloc(n + 1);
	if (b->data == NULL) {
		err_set(err, "out of memory");
		goto fail;
	}
	if (check_and_parse(b, base64url_decode(b->data, n + 1, body, n, &bad), first,
			    err) ==
	    0) {
		free(body);
		return 1;
	}
fail:
	block_free(b);
	free(body);
	return -1;
}

void
block_free(struct block *b)
{
	free(b->data);
	b->data = NULL;
}
