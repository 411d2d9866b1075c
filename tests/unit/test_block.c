#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "rendezvous/block.h"
#include "rendezvous/envelope.h"

static uint8_t sealed[ENVELOPE_SEALED_MAX];
static struct block b, got;

/* A block of ${n} entries, as text. */
static char *
make(size_t n)
{
	char *text;

	for (size_t i = 0; i < sizeof sealed; i++)
		sealed[i] = (uint8_t)(i * 7);
	memset(&b, 0, sizeof b);
	memset(b.tag, 3, sizeof b.tag);
	memset(b.from.point, 2, sizeof b.from.point);
	b.n = n;
	for (size_t i = 0; i < n; i++) {
		memset(b.entry[i].to, (int)i, BLOCK_ID_BYTES);
		b.entry[i].sealed = sealed;
		b.entry[i].len = 371 + i % 3;
	}
	text = block_format(&b);
	assert_non_null(text);
	return text;
}

static void
assert_same(void)
{
	assert_memory_equal(got.tag, b.tag, sizeof b.tag);
	assert_memory_equal(got.from.point, b.from.point, PUBKEY_BYTES);
	assert_int_equal(got.n, b.n);
	for (size_t i = 0; i < b.n; i++) {
		assert_memory_equal(got.entry[i].to, b.entry[i].to, BLOCK_ID_BYTES);
		assert_int_equal(got.entry[i].len, b.entry[i].len);
		assert_memory_equal(got.entry[i].sealed, sealed, got.entry[i].len);
	}
}

static void
comes_back_as_it_was(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 9, BLOCK_ENTRIES_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char *text = make(sizes[i]);
		size_t at = 0;

		for (const char *p = text; *p != '\0'; p++)
			assert_true(*p == '\n' || (*p >= ' ' && *p < 0x7f));
		assert_int_equal(block_next(&got, text, strlen(text), &at, NULL), 1);
		assert_int_equal(at, strlen(text));
		assert_same();
		block_free(&got);
		assert_int_equal(block_next(&got, text, strlen(text), &at, NULL), 0);
		free(text);
	}
}

/* Quoted, other line ends, other widths, text around it. */
static void
survives_mail(void **state)
{
	char *text = make(2), *mail = malloc(8 * strlen(text) + 100), *p = mail;
	unsigned column = 0;
	bool marker;
	size_t at = 0;

	(void)state;
	p += sprintf(p, "Hi,\r\n> -----BEGIN\r\n\r\n");
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		int len = (int)strcspn(line, "\n");

		marker = line[0] == '-';
		if (marker && column > 0)
			p += sprintf(p, "\r\n");
		if (marker)
			p += sprintf(p, "> > %.*s \t\r\n", len, line);
		for (int i = 0; !marker && i < len; i++) {
			if (column++ % 23 == 0)
				p += sprintf(p, "%s|> ", column > 1 ? "\r\n" : "");
			*p++ = line[i];
		}
	}
	sprintf(p, "-- \r\nbob");
	assert_int_equal(block_next(&got, mail, strlen(mail), &at, NULL), 1);
	assert_same();
	block_free(&got);
	assert_int_equal(block_next(&got, mail, strlen(mail), &at, NULL), 0);
	free(mail);
	free(text);
}

static void
assert_bad(const char *text, const char *why)
{
	struct err err = {""};
	size_t at = 0;

	assert_int_equal(block_next(&got, text, strlen(text), &at, &err), -1);
	assert_contains(err.text, why);
}

static void
says_what_is_wrong(void **state)
{
	char *text = make(1), *end = strstr(text, "-----END");
	struct err err = {""};
	char both[4096];
	size_t at = 0;

	(void)state;
	for (char *p = strchr(text, '\n') + 1; p < end; p += 17) {
		char was = *p;

		if (was == '\n')
			continue;
		*p = was == 'A' ? 'B' : 'A';
		assert_bad(text, "checksum is wrong");
		*p = '!';
		assert_bad(text, "a character that no block has");
		*p = was;
	}
	/* Cut short, and a whole one behind it. */
	snprintf(both, sizeof both, "%.200s\n%s", text, text);
	assert_int_equal(block_next(&got, both, strlen(both), &at, &err), -1);
	assert_contains(err.text, "line 1: the block has no end");
	assert_int_equal(block_next(&got, both, strlen(both), &at, &err), 1);
	block_free(&got);
	both[150] = '\0';
	assert_bad(both, "cut short");
	assert_bad("-----BEGIN MPCPROXY BLOCK-----\n-----END MPCPROXY BLOCK-----\n",
		   "damaged");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comes_back_as_it_was),
	    cmocka_unit_test(survives_mail),
	    cmocka_unit_test(says_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
