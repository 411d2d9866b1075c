#ifndef MPCPROXY_TESTS_UNIT_CHECK_H
#define MPCPROXY_TESTS_UNIT_CHECK_H

/* What cmocka wants before it, and a check that its failures show both sides of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_contains(haystack, needle)                                                \
	do {                                                                             \
		if (strstr((haystack), (needle)) == NULL)                                \
			fail_msg("`%s` is not in `%s`", (needle), (haystack));           \
	} while (0)

/* Has stderr collected until stderr_lines(). */
struct stderr_capture {
	FILE *file;
	int saved;
};

static inline void
stderr_collect(struct stderr_capture *c)
{
	c->file = tmpfile();
	c->saved = dup(STDERR_FILENO);
	assert_true(c->file != NULL && c->saved >= 0);
	assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

/* Of those since, how many contain ${what}. */
static inline unsigned
stderr_lines(struct stderr_capture *c, const char *what)
{
	char line[1000];
	unsigned n = 0;

	assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
	close(c->saved);
	rewind(c->file);
	while (fgets(line, sizeof line, c->file) != NULL)
		n += strstr(line, what) != NULL;
	fclose(c->file);
	return n;
}

#endif
