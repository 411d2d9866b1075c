#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "rendezvous/box_name.h"

int
box_name(char out[BOX_NAME_LEN + 1], const uint8_t tag[FRAME_TAG_BYTES],
	 const struct pubkey *key)
{
	uint8_t in[FRAME_TAG_BYTES + PUBKEY_BYTES], digest[EVP_MAX_MD_SIZE];

	memcpy(in, tag, FRAME_TAG_BYTES);
	memcpy(in + FRAME_TAG_BYTES, key->point, PUBKEY_BYTES);
	if (EVP_Digest(in, sizeof in, digest, NULL, EVP_sha256(), NULL) != 1)
		return -1;
	for (size_t i = 0; i < BOX_NAME_LEN / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return 0;
}
