/*
 * main() for a fuzz target where there is no libFuzzer. With arguments: run those
 * files. Without: run the target's corpus, then mutations of it, in an order that
 * depends on nothing but the seed.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_MAX      16384
#define CORPUS_MAX     256
#define RUNS           5000
#define RUN_TIME_MAX_S 4 /* however slow target and machine are */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	uint8_t data[INPUT_MAX];
	size_t len;
};

/* xorshift64*: good enough to mutate, the same everywhere. */
static uint64_t state;

static size_t
below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return n == 0 ? 0 : (size_t)(state * 2685821657736338717ULL >> 33) % n;
}

static int
load(const char *path, struct input *in)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		return -1;
	}
	in->len = fread(in->data, 1, sizeof in->data, f);
	fclose(f);
	return 0;
}

/* From memory of exactly its size, so that sanitizers see a read beyond the end. */
static void
run(const struct input *in)
{
	uint8_t *data = malloc(in->len > 0 ? in->len : 1);

	if (data == NULL)
		abort();
	memcpy(data, in->data, in->len);
	LLVMFuzzerTestOneInput(data, in->len);
	free(data);
}

static void
insert(struct input *in, size_t at, const uint8_t *data, size_t n)
{
	if (n > INPUT_MAX - in->len)
		n = INPUT_MAX - in->len;
	memmove(in->data + at + n, in->data + at, in->len - at);
	memmove(in->data + at, data, n);
	in->len += n;
}

static void
mutate(struct input *in, const struct input *other)
{
	static const uint8_t edge[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ' ', '0', '=', ';'};
	uint8_t bytes[64];
	size_t at = below(in->len);
	size_t n = 1 + below(in->len - at < sizeof bytes ? in->len - at : sizeof bytes);

	if (in->len == 0 || at + n > in->len) {
		bytes[0] = (uint8_t)below(256);
		insert(in, 0, bytes, 1);
		return;
	}
	switch (below(8)) {
	case 0:
		in->data[at] ^= (uint8_t)(1U << below(8));
		break;
	case 1:
		in->data[at] = edge[below(sizeof edge)];
		break;
	case 2:
		in->data[at] = (uint8_t)below(256);
		break;
	case 3: /* leave out */
		memmove(in->data + at, in->data + at + n, in->len - at - n);
		in->len -= n;
		break;
	case 4: /* say twice */
		memcpy(bytes, in->data + at, n);
		insert(in, below(in->len + 1), bytes, n);
		break;
	case 5:
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)below(256);
		insert(in, at, bytes, n);
		break;
	case 6:
		in->len = at;
		break;
	case 7: /* go on as another input does */
		in->len = at;
		at = below(other->len);
		insert(in, in->len, other->data + at, other->len - at);
		break;
	}
}

static int
by_name(const void *a, const void *b)
{
	const struct input *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->data, y->data, n);

	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

/* All of the directory, in an order that does not depend on the file system. */
static size_t
load_corpus(const char *dir, struct input *corpus)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[PATH_MAX + NAME_MAX + 2];
	size_t n = 0;

	if (d == NULL)
		return 0;
	while (n < CORPUS_MAX && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (load(path, &corpus[n]) == 0)
			n++;
	}
	closedir(d);
	qsort(corpus, n, sizeof *corpus, by_name);
	return n;
}

static uint64_t
env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

int
main(int argc, char **argv)
{
	static struct input corpus[CORPUS_MAX + 1];
	static struct input in;
	const char *srcdir = getenv("srcdir");
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash != NULL ? slash + 1 : argv[0];
	uint64_t seed = env_number("FUZZ_SEED", 20260304);
	uint64_t runs = env_number("FUZZ_RUNS", RUNS);
	time_t end = time(NULL) + RUN_TIME_MAX_S;
	char dir[4096];
	uint64_t i;
	size_t n;

	for (int a = 1; a < argc; a++) {
		if (load(argv[a], &in) != 0)
			return 1;
		run(&in);
	}
	if (argc > 1)
		return 0;

	snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s",
		 srcdir != NULL ? srcdir : ".",
		 strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
	n = load_corpus(dir, corpus);
	printf("%zu files of %s\n", n, dir);
	if (n == 0)
		return 1;
	for (size_t c = 0; c < n; c++)
		run(&corpus[c]);

	printf("seed %llu (FUZZ_SEED)\n", (unsigned long long)seed);
	fflush(stdout);
	state = seed | 1;
	for (i = 0; i < runs && time(NULL) < end; i++) {
		in = corpus[below(n)];
		for (size_t m = 1 + below(6); m > 0; m--)
			mutate(&in, &corpus[below(n)]);
		run(&in);
	}
	printf("%llu mutations\n", (unsigned long long)i);
	return 0;
}
