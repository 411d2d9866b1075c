#ifndef MPCPROXY_RENDEZVOUS_BOX_NAME_H
#define MPCPROXY_RENDEZVOUS_BOX_NAME_H

#include <stdint.h>

#include "rendezvous/frame.h"
#include "session/pubkey.h"

/* What a party is called where a place needs text: the first 16 bytes of SHA-256 over
 * the session's tag and the party's key, in lower-case hex. It tells neither's name. */
#define BOX_NAME_LEN 32

int box_name(char out[BOX_NAME_LEN + 1], const uint8_t tag[FRAME_TAG_BYTES],
	     const struct pubkey *key);

#endif
