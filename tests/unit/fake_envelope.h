#ifndef MPCPROXY_TESTS_FAKE_ENVELOPE_H
#define MPCPROXY_TESTS_FAKE_ENVELOPE_H

#include "rendezvous/envelope.h"

/*
 * envelope.h without cryptography, linked in place of envelope.c: what is "sealed" is
 * copied. It lets thousands of simulated conversations, and a fuzzer, reach contact.c
 * at full speed. An identity is its public key and nothing else.
 */
struct identity {
	struct pubkey key;
};

/* The form of a "sealed" message; ${body} follows it. */
struct fake_sealed {
	struct pubkey sender, recipient;
	struct envelope m; /* ${body} is not used */
};

#endif
