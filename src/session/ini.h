#ifndef MPCPROXY_SESSION_INI_H
#define MPCPROXY_SESSION_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Files of [section]s with `key = value` lines, by inih. What inih would pass over in
 * silence is an error here, with file and line: lines longer than its buffer (200
 * bytes in Debian), lines that are neither section nor pair, bytes that are no text,
 * keys before the first section, empty values. An indented line is a line of its own
 * and continues nothing. A comment begins with `;` or `#` at the start of a line, or
 * with `;` after a space.
 */

/* The start of a section, or one pair in it. */
struct ini_entry {
	const char *section;
	const char *key;   /* NULL: the section starts here */
	const char *value; /* never empty */
	unsigned line;
};

/* 0 to go on. Otherwise -1 and ${err} without place: ini_parse_text() puts the file and
 * the line in front. */
typedef int ini_entry_fn(void *arg, const struct ini_entry *entry, struct err *err);

/* Give every entry of ${text} to ${fn}, in order; stop at the first error. */
int ini_parse_text(const char *file, const char *text, size_t len, ini_entry_fn *fn,
		   void *arg, struct err *err);

/* The whole of a file, malloc'ed. */
struct ini_text {
	char *data;
	size_t len;
	bool secret;   /* only its owner can read or write it */
	bool writable; /* anybody can write it */
};

/* -1 when it is missing, a directory or larger than ${max}. The data may hold secrets:
 * ini_text_free() cleanses them. */
int ini_text_read(struct ini_text *text, const char *path, size_t max, struct err *err);
void ini_text_free(struct ini_text *text);

#endif
