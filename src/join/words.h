#ifndef MPCPROXY_JOIN_WORDS_H
#define MPCPROXY_JOIN_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "join/message.h"

/*
 * Words that people compare by voice, ten bits each.
 *
 * Four of them (40 bits) stand for one round of joining: the roster and a nonce of every
 * party that takes part, each of which was committed to before any was revealed. Whoever
 * shows two people different rosters has one try per round, and succeeds with 2^-40.
 *
 * Eight of them (80 bits) stand for a roster alone, for which keys can be tried out.
 */
#define WORDS_LIST_N 1024
#define WORDS_N      4
#define WORDS_LONG_N 8

/* One space between the words, and a NUL. */
#define WORDS_TEXT_MAX (WORDS_LONG_N * 8 + 1)

extern const char *const words_list[WORDS_LIST_N];

/* What party ${index} commits to; ${roster} is its hash. -1 when OpenSSL fails. */
int words_commitment(uint8_t out[JOIN_HASH_BYTES], const uint8_t roster[JOIN_HASH_BYTES],
		     uint8_t index, const uint8_t nonce[JOIN_HASH_BYTES]);

/* The hash of a roster's encoding. */
int words_roster(uint8_t out[JOIN_HASH_BYTES], const uint8_t *data, size_t len);

/* WORDS_N words for a round, into ${out} of WORDS_TEXT_MAX bytes. */
int words_round(char *out, const uint8_t roster[JOIN_HASH_BYTES],
		const struct join_values *nonces);

/* WORDS_LONG_N words for a roster, likewise. */
int words_of_roster(char *out, const uint8_t roster[JOIN_HASH_BYTES]);

#endif
