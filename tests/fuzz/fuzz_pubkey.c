#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/pubkey.h"

#define TEXT_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One key has one text, and OpenSSL agrees that it is one. */
static void
check_round_trip(const struct pubkey *key)
{
	EVP_PKEY *evp = pubkey_to_evp(key);
	struct pubkey back;
	char did[PUBKEY_DID_BYTES];

	if (evp == NULL || pubkey_from_evp(&back, evp) != 0 || !pubkey_equal(key, &back))
		abort();
	EVP_PKEY_free(evp);
	if (strncmp(pubkey_format_did(key, did), "did:key:zDn", 11) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TEXT_MAX], again[PUBKEY_TEXT_BYTES];
	struct pubkey key;
	struct err err;

	if (size == PUBKEY_BYTES && pubkey_from_bytes(&key, data) == 0)
		check_round_trip(&key);
	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (pubkey_parse(&key, text, &err) != 0)
		return 0;
	check_round_trip(&key);
	if (strcmp(pubkey_format(&key, again), text) != 0)
		abort();
	return 0;
}
