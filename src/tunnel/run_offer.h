#ifndef MPCPROXY_TUNNEL_RUN_OFFER_H
#define MPCPROXY_TUNNEL_RUN_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What a party is about to run, as the parties tell each other before their programs
 * start together. Its encoding is in protocol.md, Programs.
 */
#define RUN_OFFER_VERSION 1
#define RUN_OFFER_MAX     8192 /* bytes of an encoded offer */
#define RUN_TEXT_MAX      64   /* of the program's name and of a version */
#define RUN_WORDS_MAX     32   /* of the command line */
#define RUN_WORD_MAX      200  /* bytes of one */
#define RUN_NONCE_BYTES   16
#define RUN_DIGEST_BYTES  32

/* What others learn of a word of the command line. */
enum run_word_kind {
	RUN_WORD_SHOWN = 0,  /* all of it */
	RUN_WORD_OPTION = 1, /* an option's name, and '=' when a value is attached */
	RUN_WORD_HIDDEN = 2, /* that it is there */
};

struct run_word {
	enum run_word_kind kind;
	char text[RUN_WORD_MAX + 1]; /* "" when hidden */
};

struct run_offer {
	uint8_t nonce[RUN_NONCE_BYTES];   /* of this run: no two offers are equal */
	char program[RUN_TEXT_MAX + 1];   /* the file's name, without its directory */
	uint8_t digest[RUN_DIGEST_BYTES]; /* SHA-256 of the file */
	char python[RUN_TEXT_MAX + 1];    /* version; "": it is no Python program */
	char mpyc[RUN_TEXT_MAX + 1];      /* version; "": there is none */
	struct run_word word[RUN_WORDS_MAX];
	size_t n_words;
	bool open_end; /* private words may follow, of a number that is not told */
};

/* All texts are printable ASCII: parsing accepts nothing else, and formatting is the
 * caller's promise. */
enum run_offer_result {
	RUN_OFFER_OK = 0,
	RUN_OFFER_MALFORMED = -1,
	RUN_OFFER_OTHER_VERSION = -2,
};
enum run_offer_result run_offer_parse(struct run_offer *o, const uint8_t *data,
				      size_t len);

/* Returns the length written to ${out}. */
size_t run_offer_encode(const struct run_offer *o, uint8_t out[RUN_OFFER_MAX]);

/* Fill in ${w} for the word ${text}: as it is with ${shown}, else an option's name or
 * only that it is there. Bytes other than printable ASCII and what is too long are
 * stood for by a part of the word's SHA-256. */
void run_word_set(struct run_word *w, const char *text, bool shown);

/* Whether ${a} and ${b} can be the same, as far as is told of both. */
bool run_word_agrees(const struct run_word *a, const struct run_word *b);
bool run_words_agree(const struct run_offer *a, const struct run_offer *b);

#endif
