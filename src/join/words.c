#include "join/words.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"

#define WORD_BITS 10

/* A label with its NUL, so that no two purposes hash the same bytes, then ${len} bytes. */
static int
hash(uint8_t out[JOIN_HASH_BYTES], const char *label, const uint8_t *data, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(ctx, label, strlen(label) + 1) &&
		 EVP_DigestUpdate(ctx, data, len) && EVP_DigestFinal_ex(ctx, out, NULL);

	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

int
words_roster(uint8_t out[JOIN_HASH_BYTES], const uint8_t *data, size_t len)
{
	return hash(out, "mpcproxy/1 join roster", data, len);
}

int
words_commitment(uint8_t out[JOIN_HASH_BYTES], const uint8_t roster[JOIN_HASH_BYTES],
		 uint8_t index, const uint8_t nonce[JOIN_HASH_BYTES])
{
	uint8_t data[2 * JOIN_HASH_BYTES + 1];

	memcpy(data, roster, JOIN_HASH_BYTES);
	data[JOIN_HASH_BYTES] = index;
	memcpy(data + JOIN_HASH_BYTES + 1, nonce, JOIN_HASH_BYTES);
	return hash(out, "mpcproxy/1 join commitment", data, sizeof data);
}

/* The first bits of ${digest} as ${n} words. */
static void
spell(char *out, const uint8_t digest[JOIN_HASH_BYTES], size_t n)
{
	uint32_t bits = 0;
	unsigned have = 0;

	out[0] = '\0';
	for (size_t i = 0; n > 0; i++) {
		bits = bits << 8 | digest[i];
		have += 8;
		if (have < WORD_BITS)
			continue;
		have -= WORD_BITS;
		strcat(out, words_list[bits >> have & (WORDS_LIST_N - 1)]);
		if (--n > 0)
			strcat(out, " ");
	}
}

int
words_round(char *out, const uint8_t roster[JOIN_HASH_BYTES],
	    const struct join_values *nonces)
{
	uint8_t data[JOIN_HASH_BYTES + 1 + JOIN_PARTIES_MAX * (1 + JOIN_HASH_BYTES)];
	uint8_t digest[JOIN_HASH_BYTES];
	struct writer w;

	writer_init(&w, data, sizeof data);
	write_bytes(&w, roster, JOIN_HASH_BYTES);
	join_write_values(&w, nonces);
	if (!w.ok || hash(digest, "mpcproxy/1 join words", data, w.len) != 0)
		return -1;
	spell(out, digest, WORDS_N);
	return 0;
}

int
words_of_roster(char *out, const uint8_t roster[JOIN_HASH_BYTES])
{
	uint8_t digest[JOIN_HASH_BYTES];

	if (hash(digest, "mpcproxy/1 roster words", roster, JOIN_HASH_BYTES) != 0)
		return -1;
	spell(out, digest, WORDS_LONG_N);
	return 0;
}
