#include "join/notice.h"

#include <string.h>

#include <openssl/evp.h>

#include "rendezvous/hpke.h"

/* Differs from a sealed message's (envelope.h). */
#define NOTICE_VERSION 2
#define AAD_BYTES      (1 + PUBKEY_BYTES)
#define PLAIN_BYTES    (1 + JOIN_HASH_BYTES)
#define INFO_LABEL     "mpcproxy/1 join notice"
#define INFO_BYTES     (sizeof INFO_LABEL + 2 * PUBKEY_BYTES)

int
notice_hash(uint8_t out[JOIN_HASH_BYTES], const uint8_t *sealed, size_t len)
{
	return EVP_Digest(sealed, len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static void
write_info(uint8_t out[INFO_BYTES], const struct pubkey *host,
	   const struct pubkey *joiner)
{
	struct writer w;

	writer_init(&w, out, INFO_BYTES);
	write_bytes(&w, INFO_LABEL, sizeof INFO_LABEL);
	write_bytes(&w, host->point, PUBKEY_BYTES);
	write_bytes(&w, joiner->point, PUBKEY_BYTES);
}

int
notice_seal(const struct identity *host, const struct pubkey *joiner,
	    enum join_refusal refusal, const uint8_t hash[JOIN_HASH_BYTES],
	    uint8_t out[NOTICE_BYTES])
{
	uint8_t info[INFO_BYTES], plain[PLAIN_BYTES];
	const struct hpke_binding b = {
	    .info = info,
	    .info_len = sizeof info,
	    .aad = out,
	    .aad_len = AAD_BYTES,
	};
	EVP_PKEY *key = pubkey_to_evp(joiner);
	int rc = -1;

	write_info(info, identity_pubkey(host), joiner);
	out[0] = NOTICE_VERSION;
	memcpy(out + 1, identity_pubkey(host)->point, PUBKEY_BYTES);
	plain[0] = (uint8_t)refusal;
	memcpy(plain + 1, hash, JOIN_HASH_BYTES);
	if (key != NULL)
		rc = hpke_seal(identity_evp(host), key, &b, plain, sizeof plain,
			       out + AAD_BYTES, out + AAD_BYTES + HPKE_ENC_BYTES);
	EVP_PKEY_free(key);
	return rc;
}

int
notice_open(const struct identity *joiner, const struct pubkey *host, const uint8_t *data,
	    size_t len, enum join_refusal *refusal, uint8_t hash[JOIN_HASH_BYTES])
{
	uint8_t info[INFO_BYTES], plain[PLAIN_BYTES];
	const struct hpke_binding b = {
	    .info = info,
	    .info_len = sizeof info,
	    .aad = data,
	    .aad_len = AAD_BYTES,
	};
	EVP_PKEY *key;
	int rc;

	if (len != NOTICE_BYTES || data[0] != NOTICE_VERSION ||
	    memcmp(data + 1, host->point, PUBKEY_BYTES) != 0)
		return -1;
	key = pubkey_to_evp(host);
	if (key == NULL)
		return -1;
	write_info(info, host, identity_pubkey(joiner));
	rc = hpke_open(key, identity_evp(joiner), &b, data + AAD_BYTES,
		       data + AAD_BYTES + HPKE_ENC_BYTES, PLAIN_BYTES + HPKE_TAG_BYTES,
		       plain);
	EVP_PKEY_free(key);
	if (rc != 0)
		return -1;
	*refusal = plain[0];
	memcpy(hash, plain + 1, JOIN_HASH_BYTES);
	return 0;
}
