#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>
#include <openssl/crypto.h>

#include "session/ini.h"

/*
 * inih pulls lines from a function and pushes pairs to another. Since it handles a
 * line before it asks for the next, the function that hands out lines knows which
 * line a pair came from, which inih itself would not say. It also sees what inih would
 * leave out: after a section's line it slips in an empty pair, which makes inih report
 * the section, and a line of content that has led to no pair by the time the next one
 * is asked for was one that inih could not make sense of.
 */
struct parse {
	const char *next;
	const char *end;
	unsigned line;
	bool announce;     /* the next line to hand out is the empty pair */
	bool announcing;   /* it has been handed out */
	bool pair_pending; /* the line handed out must lead to a pair */
	bool failed;
	ini_entry_fn *fn;
	void *arg;
	struct err why;
};

static void
fail(struct parse *p)
{
	p->failed = true;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The first byte of ${line} that no text has; ${len} when all is well. */
static size_t
find_garbage(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return i;
	}
	return len;
}

/* "[name]" and nothing but a comment after it, which inih does not check. */
static int
check_section(const char *line, size_t len, struct err *why)
{
	const char *close = memchr(line, ']', len);

	if (close == NULL)
		return err_set(why, "the section's `]` is missing");
	if (memchr(line, ';', (size_t)(close - line)) != NULL)
		return err_set(why, "a section's name cannot contain `;`");
	for (const char *p = close + 1; p < line + len; p++) {
		if (*p == ';' || *p == '#')
			return 0;
		if (!is_space(*p))
			return err_set(why, "something follows the section's `]`: put it "
					    "on a line of its own");
	}
	return 0;
}

/* The next line without white space around it; NULL at the end or when it is bad. */
static const char *
next_line(struct parse *p, size_t max, size_t *len)
{
	const char *start = p->next;
	const char *newline;
	const char *stop;
	size_t bad;

	if (start == p->end)
		return NULL;
	newline = memchr(start, '\n', (size_t)(p->end - start));
	stop = newline != NULL ? newline : p->end;
	p->next = newline != NULL ? newline + 1 : p->end;
	p->line++;
	while (stop > start && is_space(stop[-1]))
		stop--;
	while (start < stop && is_space(*start))
		start++;
	*len = (size_t)(stop - start);

	bad = find_garbage(start, *len);
	if (bad < *len) {
		err_set(&p->why, "byte 0x%02x in it: this is no text file",
			(unsigned char)start[bad]);
		fail(p);
		return NULL;
	}
	if (*len > max) {
		err_set(&p->why, "the line has %zu bytes and may have %zu", *len, max);
		fail(p);
		return NULL;
	}
	return start;
}

/* inih's reader: like fgets(). */
static char *
hand_out_line(char *out, int size, void *arg)
{
	struct parse *p = arg;
	const char *line;
	size_t len;

	if (p->pair_pending && !p->failed) {
		err_set(&p->why, "expected `key = value` or `[section]`");
		fail(p);
	}
	if (p->failed)
		return NULL;
	if (p->announce) {
		p->announce = false;
		p->announcing = true;
		p->pair_pending = true;
		return strcpy(out, "=");
	}
	/* Room for the newline that fgets() would keep, and the NUL. */
	line = next_line(p, (size_t)size - 2, &len);
	if (line == NULL)
		return NULL;
	if (len > 0 && *line == '[') {
		if (check_section(line, len, &p->why) != 0) {
			fail(p);
			return NULL;
		}
		p->announce = true;
	} else {
		p->pair_pending = len > 0 && *line != ';' && *line != '#';
	}
	memcpy(out, line, len);
	out[len] = '\0';
	return out;
}

static int
take_pair(void *arg, const char *section, const char *name, const char *value)
{
	struct parse *p = arg;
	struct ini_entry e = {.section = section, .line = p->line};

	p->pair_pending = false;
	if (p->announcing) {
		p->announcing = false;
	} else if (*section == '\0') {
		err_set(&p->why, "`%s` stands before the first [section]", name);
		fail(p);
		return 0;
	} else if (*name == '\0' || *value == '\0') {
		err_set(&p->why, "`%s =` has no %s: give it one, or leave the line out",
			name, *name == '\0' ? "key" : "value");
		fail(p);
		return 0;
	} else {
		e.key = name;
		e.value = value;
	}
	if (p->fn(p->arg, &e, &p->why) != 0) {
		fail(p);
		return 0;
	}
	return 1;
}

int
ini_parse_text(const char *file, const char *text, size_t len, ini_entry_fn *fn,
	       void *arg, struct err *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	struct parse p = {.next = text, .end = text + len, .fn = fn, .arg = arg};

	if (len >= sizeof bom - 1 && memcmp(text, bom, sizeof bom - 1) == 0)
		p.next += sizeof bom - 1;
	if (ini_parse_stream(hand_out_line, &p, take_pair, &p) < 0)
		return err_set(err, "%s: out of memory", file);
	if (p.failed)
		return err_set(err, "%s:%u: %s", file, p.line, p.why.text);
	return 0;
}

int
ini_text_read(struct ini_text *text, const char *path, size_t max, struct err *err)
{
	struct stat st;
	size_t size = max + 1; /* one more, to see that there is more */
	int fd;

	memset(text, 0, sizeof *text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return err_set(err, "%s does not exist: copy it there, or give its path",
			       path);
	if (fd == -1)
		return err_sys(err, "%s cannot be opened", path);
	if (fstat(fd, &st) != 0) {
		err_sys(err, "%s cannot be examined", path);
		goto err1;
	}
	if (S_ISDIR(st.st_mode)) {
		err_set(err, "%s is a directory: name the file in it", path);
		goto err1;
	}
	text->secret = (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
	text->writable = (st.st_mode & S_IWOTH) != 0;
	text->data = malloc(size);
	if (text->data == NULL) {
		err_set(err, "%s: out of memory", path);
		goto err1;
	}
	while (text->len < size) {
		ssize_t n = read(fd, text->data + text->len, size - text->len);

		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(err, "%s cannot be read", path);
			goto err2;
		}
		text->len += (size_t)n;
	}
	if (text->len > max) {
		err_set(err, "%s is larger than %zu bytes: is it the right file?", path,
			max);
		goto err2;
	}
	close(fd);
	return 0;

err2:
	ini_text_free(text);
err1:
	close(fd);
	return -1;
}

void
ini_text_free(struct ini_text *text)
{
	if (text->data != NULL)
		OPENSSL_cleanse(text->data, text->len);
	free(text->data);
	text->data = NULL;
	text->len = 0;
}
