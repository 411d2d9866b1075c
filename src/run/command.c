/* First: it makes asprintf visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "run/command.h"

#define MARK_FLAGS   "{mpyc}"
#define MARK_PRIVATE "{private}"

/* "#!", an interpreter and its arguments, as far as the kernel reads it. */
#define SHEBANG_MAX   256
#define SHEBANG_WORDS 8

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* python, python3, python3.11, pypy3: what takes Python's options. */
static bool
is_python(const char *word)
{
	const char *name = base_name(word);
	size_t n = strncmp(name, "python", 6) == 0 ? 6 : 4;

	if (n == 4 && strncmp(name, "pypy", 4) != 0)
		return false;
	return name[n + strspn(name + n, "0123456789.")] == '\0';
}

static bool
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first bytes of ${path} as text; 0 for none. */
static size_t
read_head(const char *path, char head[SHEBANG_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, head, SHEBANG_MAX - 1);
	close(fd);
	head[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static bool
is_script(const char *path)
{
	char head[SHEBANG_MAX];

	return is_file(path) && read_head(path, head) > 2 && memcmp(head, "#!", 2) == 0;
}

/* ${word} as execvp() finds it, malloc'ed; NULL when it does not. */
static char *
find_executable(const char *word)
{
	const char *dirs = getenv("PATH");
	char *path;

	if (strchr(word, '/') != NULL)
		return is_file(word) && access(word, X_OK) == 0 ? strdup(word) : NULL;
	if (dirs == NULL)
		dirs = "/usr/local/bin:/bin:/usr/bin";
	while (*dirs != '\0') {
		size_t n = strcspn(dirs, ":");

		if (asprintf(&path, "%.*s%s%s", (int)n, dirs, n > 0 ? "/" : "", word) < 0)
			return NULL;
		if (is_file(path) && access(path, X_OK) == 0)
			return path;
		free(path);
		dirs += n + (dirs[n] == ':' ? 1 : 0);
	}
	return NULL;
}

/* --- Python's own command line --- */

static void
add_python(struct command *c, char *word)
{
	c->python[c->n_python++] = word;
	c->python[c->n_python] = NULL;
}

/* The bundle of options ${word}, without what begins with -c or -m; those are told by
 * ${*letter} and ${*rest}, the value that is attached or "". 1 when its value is the next
 * word, which belongs to the bundle, 0 otherwise. */
static int
scan_bundle(char *word, char *letter, const char **rest)
{
	*letter = '\0';
	*rest = "";
	for (const char *p = word + 1; *p != '\0'; p++) {
		if (*p == 'c' || *p == 'm') {
			*letter = *p;
			*rest = p + 1;
			return 0;
		}
		if (*p == 'W' || *p == 'X')
			return p[1] == '\0' ? 1 : 0;
	}
	return 0;
}

/* The words from ${i} on, behind the interpreter. */
static int
read_python(struct command *c, size_t i, struct err *err)
{
	struct stat st;

	for (; i < c->n_public && c->words[i][0] == '-' && c->words[i][1] != '\0'; i++) {
		char *word = c->words[i];
		const char *rest;
		char letter;
		int takes;

		if (strncmp(word, "--", 2) == 0) {
			add_python(c, word);
			takes = strcmp(word, "--check-hash-based-pycs") == 0;
		} else {
			takes = scan_bundle(word, &letter, &rest);
			if (letter != '\0') {
				c->kind = letter == 'm' ? COMMAND_MODULE : COMMAND_CODE;
				i += *rest == '\0' ? 1 : 0;
				break;
			}
			add_python(c, word);
		}
		if (takes && i + 1 < c->n_public)
			add_python(c, c->words[++i]);
	}
	if (i >= c->n_public)
		return err_set(err,
			       "%s: there is no program behind it that all parties "
			       "could compare",
			       c->words[i - 1]);
	c->program = i;
	if (c->kind != COMMAND_FILE)
		return 0;
	if (stat(c->words[i], &st) != 0)
		return err_sys(err, "%s", c->words[i]);
	if (asprintf(&c->file, "%s%s", c->words[i],
		     S_ISDIR(st.st_mode) ? "/__main__.py" : "") >= 0)
		return 0;
	c->file = NULL;
	return err_set(err, "out of memory");
}

/* A script that names Python itself. */
static void
read_shebang(struct command *c)
{
	char head[SHEBANG_MAX], *save, *word;
	char *words[SHEBANG_WORDS];
	size_t n = 0;
	bool python = false;

	if (read_head(c->file, head) < 3 || memcmp(head, "#!", 2) != 0)
		return;
	head[strcspn(head, "\n")] = '\0';
	c->shebang = strdup(head + 2);
	if (c->shebang == NULL)
		return;
	for (word = strtok_r(c->shebang, " \t", &save); word != NULL && n < SHEBANG_WORDS;
	     word = strtok_r(NULL, " \t", &save)) {
		if (strcmp(word, "-S") == 0)
			continue;
		python = python || is_python(word);
		words[n++] = word;
	}
	for (size_t i = 0; python && i < n; i++)
		add_python(c, words[i]);
}

static int
read_other(struct command *c, struct err *err)
{
	for (size_t i = 0; i < c->n_public && c->file == NULL; i++) {
		const char *word = c->words[i];

		if (!is_file(word) || (access(word, X_OK) != 0 && !is_script(word)) ||
		    (i == 0 && strchr(word, '/') == NULL))
			continue;
		c->program = i;
		c->file = strdup(word);
	}
	if (c->file == NULL)
		c->file = find_executable(c->words[0]);
	if (c->file == NULL)
		return err_set(err, "%s: cannot be found, or is not executable",
			       c->words[0]);
	read_shebang(c);
	return 0;
}

/* --- the whole --- */

static int
take_words(struct command *c, char **words, struct err *err)
{
	size_t n = 0;

	while (words[n] != NULL)
		n++;
	c->words = calloc(n + 1, sizeof *c->words);
	c->python = calloc(n + SHEBANG_WORDS + 1, sizeof *c->python);
	if (c->words == NULL || c->python == NULL)
		return err_set(err, "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i], MARK_PRIVATE) != 0) {
			c->words[c->n_words++] = words[i];
			continue;
		}
		if (!c->has_private)
			c->n_public = c->n_words;
		c->has_private = true;
	}
	if (!c->has_private)
		c->n_public = c->n_words;
	if (c->n_public == 0)
		return err_set(err, "a program is missing behind --");
	return 0;
}

int
command_read(struct command *c, char **words, struct err *err)
{
	char *first = NULL;
	size_t i = 0;
	int rc = 0;

	memset(c, 0, sizeof *c);
	if (take_words(c, words, err) != 0) {
		rc = -1;
		goto fail;
	}
	while (i < c->n_public && !is_python(c->words[i]))
		i++;
	if ((first = find_executable(c->words[0])) == NULL) {
		err_set(err, "%s: cannot be found, or is not executable", c->words[0]);
		rc = COMMAND_NOT_FOUND;
		goto fail;
	}
	free(first);
	if (i < c->n_public) {
		for (size_t j = 0; j <= i; j++)
			add_python(c, c->words[j]);
		rc = read_python(c, i + 1, err);
	}
	/* The word was another's argument. */
	if (i == c->n_public || (rc != 0 && i > 0)) {
		c->n_python = 0;
		c->kind = COMMAND_FILE;
		rc = read_other(c, err);
	}
	if (rc != 0)
		goto fail;
	return 0;

fail:
	command_free(c);
	return rc;
}

void
command_free(struct command *c)
{
	free(c->words);
	free(c->python);
	free(c->shebang);
	free(c->file);
	memset(c, 0, sizeof *c);
}

/* --- MPyC's flags --- */

/* ${word} with all flags, spaces between them, for each mark in it; malloc'ed. */
static char *
fill_in(const char *word, char *const *flags)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	const char *mark;

	if (f == NULL)
		return NULL;
	while ((mark = strstr(word, MARK_FLAGS)) != NULL) {
		fprintf(f, "%.*s", (int)(mark - word), word);
		for (size_t i = 0; flags[i] != NULL; i++)
			fprintf(f, "%s%s", i > 0 ? " " : "", flags[i]);
		word = mark + strlen(MARK_FLAGS);
	}
	fputs(word, f);
	if (fclose(f) == 0)
		return out;
	free(out);
	return NULL;
}

/* Returns the number of words added, -1 when memory is short. */
static int
add_words(char **out, char *const *words)
{
	int n = 0;

	for (; words[n] != NULL; n++)
		if ((out[n] = strdup(words[n])) == NULL)
			return -1;
	return n;
}

char **
command_argv(const struct command *c, char *const *flags)
{
	size_t n_flags = 0, n = 0, marks = 0;
	char **argv;

	while (flags[n_flags] != NULL)
		n_flags++;
	for (size_t i = 0; i < c->n_words; i++)
		marks += strstr(c->words[i], MARK_FLAGS) != NULL ? 1 : 0;
	argv = calloc(c->n_words + (marks + 1) * n_flags + 1, sizeof *argv);
	if (argv == NULL)
		return NULL;
	for (size_t i = 0; i < c->n_words; i++) {
		int added = 1;

		if (strcmp(c->words[i], MARK_FLAGS) == 0)
			added = add_words(argv + n, flags);
		else if ((argv[n] = fill_in(c->words[i], flags)) == NULL)
			added = -1;
		if (added < 0)
			goto fail;
		n += (size_t)added;
	}
	if (marks == 0 && add_words(argv + n, flags) < 0)
		goto fail;
	return argv;

fail:
	command_argv_free(argv);
	return NULL;
}

void
command_argv_free(char **argv)
{
	for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
		free(argv[i]);
	free(argv);
}

/* --- what the others are told --- */

static bool
is_number(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* The value that is attached to ${word} when that is one of MPyC's parameters, which all
 * parties must have the same; "" when the value is the next word; NULL otherwise. */
static const char *
mpyc_value(const char *word)
{
	static const char *const names[] = {"--threshold", "--bit-length", "--sec-param"};

	if (word[0] == '-' && word[1] != '\0' && strchr("MTLK", word[1]) != NULL)
		return word + 2;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t n = strlen(names[i]);

		if (strncmp(word, names[i], n) == 0 &&
		    (word[n] == '\0' || word[n] == '='))
			return word + n + (word[n] == '=' ? 1 : 0);
	}
	return NULL;
}

static void
add_word(struct run_offer *o, const char *word, bool show)
{
	run_word_set(&o->word[o->n_words++], word, show);
}

/* What does not fit is stood for by one word, with a digest when it is shown. */
static void
add_rest(const struct command *c, size_t i, bool show, struct run_offer *o)
{
	char *all = NULL;
	size_t len;
	FILE *f = open_memstream(&all, &len);

	if (f == NULL)
		return;
	fprintf(f, "and %zu more words ", c->n_public - i);
	for (; i < c->n_public; i++)
		fprintf(f, "%s%c", c->words[i], '\n');
	if (fclose(f) == 0)
		add_word(o, all, show);
	free(all);
}

void
command_offer(const struct command *c, bool show, struct run_offer *o)
{
	bool all = show || c->has_private, value = false;
	const char *name = c->kind == COMMAND_FILE   ? base_name(c->file)
			   : c->kind == COMMAND_CODE ? "-c"
						     : c->words[c->program];

	/* Never more than a terminal can take. */
	snprintf(o->program, sizeof o->program, "%.64s", name[0] != '\0' ? name : "?");
	for (char *p = o->program; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	for (size_t i = c->program + 1; i < c->n_public; i++) {
		const char *word = c->words[i], *attached = mpyc_value(word);

		if (strcmp(word, MARK_FLAGS) == 0)
			continue;
		if (o->n_words == RUN_WORDS_MAX - 1 && i + 1 < c->n_public) {
			add_rest(c, i, all, o);
			break;
		}
		add_word(o, word,
			 all || (value && is_number(word)) ||
			     (c->n_python > 0 && attached != NULL &&
			      is_number(attached)));
		value = c->n_python > 0 && attached != NULL && *attached == '\0';
	}
	o->open_end = c->has_private;
}

int
command_digest_file(const char *path, uint8_t digest[RUN_DIGEST_BYTES], struct err *err)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	static uint8_t data[65536];
	ssize_t n = 0;
	int rc = -1;

	if (fd < 0 || md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
		err_sys(err, "%s", path);
		goto out;
	}
	while ((n = read(fd, data, sizeof data)) > 0)
		EVP_DigestUpdate(md, data, (size_t)n);
	if (n < 0 || EVP_DigestFinal_ex(md, digest, NULL) != 1)
		err_sys(err, "%s: cannot be read", path);
	else
		rc = 0;
out:
	EVP_MD_CTX_free(md);
	if (fd >= 0)
		close(fd);
	return rc;
}
