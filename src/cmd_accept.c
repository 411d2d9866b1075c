#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "options.h"
#include "rendezvous/block.h"
#include "setup.h"
#include "verbs.h"

#define FILES_MAX 256

/* What was in all that was read. */
struct tally {
	unsigned taken, bad;
};

/* All of ${in}, behind what ${*text} has already. */
static int
read_all(FILE *in, const char *name, char **text, size_t *len, struct err *err)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof chunk, in)) > 0) {
		char *more = realloc(*text, *len + n + 1);

		if (more == NULL)
			return err_set(err, "out of memory");
		memcpy(more + *len, chunk, n);
		*text = more;
		*len += n;
		if (*len > BLOCK_TEXT_MAX)
			return err_set(err, "%s is longer than %d MB", name,
				       BLOCK_TEXT_MAX / (1024 * 1024));
	}
	return ferror(in) ? err_sys(err, "cannot read %s", name) : 0;
}

static int
read_file(const char *name, char **text, size_t *len, struct err *err)
{
	FILE *in = fopen(name, "r");
	int rc;

	if (in == NULL)
		return err_sys(err, "cannot open %s", name);
	rc = read_all(in, name, text, len, err);
	fclose(in);
	return rc;
}

/* What ${b} has for us; NULL and why. */
static const struct block_entry *
find_entry(const struct setup *setup, const struct block *b, int sender, struct err *err)
{
	const struct session *s = setup->session;
	uint8_t tag[FRAME_TAG_BYTES], id[BLOCK_ID_BYTES];

	if (frame_session_tag(tag, s->name) != 0 ||
	    block_id(id, tag, identity_pubkey(setup->identity)) != 0) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (memcmp(tag, b->tag, sizeof tag) != 0) {
		err_set(err, "a block of another session than %s", s->name);
		return NULL;
	}
	if (sender < 0) {
		err_set(err, "a block of somebody who is not in session %s", s->name);
		return NULL;
	}
	for (size_t i = 0; i < b->n; i++)
		if (memcmp(b->entry[i].to, id, sizeof id) == 0)
			return &b->entry[i];
	err_set(err,
		"%s: its block has nothing for %s: they were connected when it was made, "
		"or %s does not know this party",
		s->parties[sender].name, s->parties[setup->index].name,
		s->parties[sender].name);
	return NULL;
}

static void
take_block(const struct setup *setup, const struct block *b, struct tally *t)
{
	int sender = session_find_key(setup->session, &b->from);
	struct request r = {.verb = REQUEST_ACCEPT};
	const struct block_entry *e;
	struct err err;

	if (sender == (int)setup->index) {
		fprintf(stderr, "this party's own block is passed over\n");
		return;
	}
	e = find_entry(setup, b, sender, &err);
	if (e == NULL) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		t->bad++;
		return;
	}
	memcpy(r.sealed, e->sealed, e->len);
	r.sealed_len = e->len;
	if (ask_proxy(setup, &r) == EXIT_DONE)
		t->taken++;
	else
		t->bad++;
}

static int
take_text(const struct setup *setup, const char *text, size_t len)
{
	static struct block b;
	struct tally t = {0};
	struct err err;
	size_t at = 0;
	int rc;

	while ((rc = block_next(&b, text, len, &at, &err)) != 0) {
		if (rc < 0) {
			fprintf(stderr, "mpcproxy: %s\n", err.text);
			t.bad++;
			continue;
		}
		take_block(setup, &b, &t);
		block_free(&b);
	}
	if (t.taken == 0 && t.bad == 0) {
		fprintf(stderr,
			"mpcproxy: no block of another party: paste what `mpcproxy "
			"offer` has printed there, with its BEGIN and END lines\n");
		return EXIT_FAILED;
	}
	return t.bad == 0 ? EXIT_DONE : EXIT_FAILED;
}

int
cmd_accept(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct verb_usage usage = {
	    .verb = "accept",
	    .operands = "[FILE]...",
	    .max_operands = FILES_MAX,
	    .help = "Give the running proxy the blocks that `mpcproxy offer` has printed at "
		    "the other\nparties: from the files, or pasted into standard input, in "
		    "any order, with\nwhatever text around them.",
	    .setup = &o,
	};
	struct setup setup;
	struct err err;
	char *text = NULL;
	size_t len = 0;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (setup_load(&setup, &o, &err) != 0)
		goto err1;
	if (argv[1] == NULL) {
		if (isatty(STDIN_FILENO))
			fprintf(stderr, "Paste the blocks, then press Ctrl-D.\n");
		if (read_all(stdin, "standard input", &text, &len, &err) != 0)
			goto err2;
	}
	for (size_t i = 1; argv[i] != NULL; i++)
		if (read_file(argv[i], &text, &len, &err) != 0)
			goto err2;
	rc = take_text(&setup, text != NULL ? text : "", len);
	free(text);
	setup_free(&setup);
	return rc;

err2:
	free(text);
	setup_free(&setup);
err1:
	fprintf(stderr, "mpcproxy: %s\n", err.text);
	return EXIT_FAILED;
}
