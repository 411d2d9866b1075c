#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "rendezvous/box_name.h"
#include "session/session.h"

/* The examples of doc/protocol.md are what this program does. */

static char protocol[256 * 1024];

/* The value in the row for ${what}. */
static const char *
example(const char *what)
{
	static char value[256];
	char row[128];
	const char *found;

	snprintf(row, sizeof row, "\n| %s | `", what);
	found = strstr(protocol, row);
	if (found == NULL)
		fail_msg("doc/protocol.md has no example for `%s`", what);
	found += strlen(row);
	snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "`"), found);
	return value;
}

static void
assert_hex(const uint8_t *bytes, size_t n, const char *what)
{
	char hex[128];

	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(hex, example(what));
}

static void
test_examples(void **state)
{
	static const char *const names[] = {"alice", "bob"};
	uint8_t tag[FRAME_TAG_BYTES];
	char text[512], box[BOX_NAME_LEN + 1], what[64];
	size_t len = (size_t)snprintf(text, sizeof text, "[session]\nname = santa\n");
	struct session *s;
	struct err err;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(what, sizeof what, "key of %s", names[i]);
		len += (size_t)snprintf(text + len, sizeof text - len,
					"[party %s]\nkey = %s\n", names[i],
					example(what));
	}
	s = session_parse("text", text, len, &err);
	if (s == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(frame_session_tag(tag, s->name), 0);
	assert_hex(tag, sizeof tag, "session tag");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(box_name(box, tag, &s->parties[i].key), 0);
		snprintf(what, sizeof what, "BOX of %s", names[i]);
		assert_string_equal(box, example(what));
	}
	assert_hex(s->roster_digest, sizeof s->roster_digest, "digest of session.ini");
	session_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};
	const char *top = getenv("srcdir");
	char path[4096];
	FILE *in;

	snprintf(path, sizeof path, "%s/doc/protocol.md", top != NULL ? top : "..");
	in = fopen(path, "r");
	if (in == NULL) {
		perror(path);
		return 1;
	}
	protocol[fread(protocol, 1, sizeof protocol - 1, in)] = '\0';
	fclose(in);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
