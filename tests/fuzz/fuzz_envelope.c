/* Sealed messages from outside: the outer form, an encapsulated key of an attacker's
 * choice, and what is inside once it has been opened. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "rendezvous/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct identity *alice, *bob;
static struct envelope_pair *bob_alice;

static void
prepare(void)
{
	alice = identity_ephemeral(NULL);
	bob = identity_ephemeral(NULL);
	if (alice == NULL || bob == NULL)
		abort();
	bob_alice = envelope_pair_new(bob, identity_pubkey(alice), "santa", NULL);
	if (bob_alice == NULL)
		abort();
}

static void
try_open(const uint8_t *data, size_t size)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope m;

	if (envelope_open(bob_alice, data, size, plain, &m, NULL) == 0)
		abort(); /* nobody has Alice's key */
	if (ERR_peek_error() != 0)
		abort(); /* it would be taken for TLS's by whoever looks next */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[ENVELOPE_PLAIN_MAX];
	struct pubkey sender;
	struct envelope m;

	if (bob_alice == NULL)
		prepare();
	try_open(data, size);
	if (envelope_sender(data, size, &sender) == 0) {
		uint8_t *named = malloc(size);

		if (named == NULL)
			abort();
		memcpy(named, data, size);
		memcpy(named + 1, identity_pubkey(alice)->point, PUBKEY_BYTES);
		try_open(named, size);
		free(named);
	}
	/* What decodes has this one encoding. */
	if (envelope_decode(&m, data, size) == 0) {
		if (envelope_encode(&m, again) != (int)size ||
		    memcmp(again, data, size) != 0)
			abort();
	}
	return 0;
}
