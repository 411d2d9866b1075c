#include <stdlib.h>
#include <string.h>

#include "quic/conn.h"
#include "quic/eliciting.h"
#include "quic/protect.h"

/* RFC 9001, 6.6: packets that may be sealed with one key, and forgeries after which it
 * must not be used any more. */
#define GCM_SEAL_MAX     (1ULL << 23)
#define GCM_OPEN_FAIL    (1ULL << 52)
#define CHACHA_SEAL_MAX  (1ULL << 62)
#define CHACHA_OPEN_FAIL (1ULL << 36)

/* What ngtcp2 keeps as the context of an AEAD key. */
struct packet_key {
	struct protect_key *key;
	struct quic *q;
	bool secret; /* not an Initial key, which anybody can derive */
};

static struct packet_key *
packet_key_new(struct quic *q, enum quic_cipher cipher, const uint8_t *secret, size_t len,
	       bool seal, bool is_secret)
{
	struct packet_key *k = malloc(sizeof *k);

	if (k == NULL)
		return NULL;
	k->q = q;
	k->secret = is_secret;
	k->key = protect_key_new(cipher, secret, len, seal);
	if (k->key == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

static void
packet_key_free(struct packet_key *k)
{
	if (k == NULL)
		return;
	protect_key_free(k->key);
	free(k);
}

/* Keys of one direction, on their way to ngtcp2, which owns them once installed. */
struct keys {
	ngtcp2_crypto_aead_ctx aead;
	ngtcp2_crypto_cipher_ctx header;
	uint8_t iv[PROTECT_IV_BYTES];
};

static void
keys_free(struct keys *k)
{
	packet_key_free(k->aead.native_handle);
	protect_header_free(k->header.native_handle);
}

static int
keys_make(struct keys *k, struct quic *q, enum quic_cipher cipher, const uint8_t *secret,
	  size_t len, bool seal, bool is_secret)
{
	struct packet_key *key = packet_key_new(q, cipher, secret, len, seal, is_secret);

	memset(k, 0, sizeof *k);
	if (key == NULL)
		return -1;
	k->aead.native_handle = key;
	memcpy(k->iv, protect_key_iv(key->key), sizeof k->iv);
	k->header.native_handle = protect_header_new(cipher, secret, len);
	if (k->header.native_handle == NULL) {
		keys_free(k);
		return -1;
	}
	return 0;
}

static void
crypto_ctx(ngtcp2_crypto_ctx *ctx, enum quic_cipher cipher)
{
	bool chacha = cipher == QUIC_CHACHA20_POLY1305;

	memset(ctx, 0, sizeof *ctx);
	ctx->aead.max_overhead = PROTECT_TAG_BYTES;
	ctx->max_encryption = chacha ? CHACHA_SEAL_MAX : GCM_SEAL_MAX;
	ctx->max_decryption_failure = chacha ? CHACHA_OPEN_FAIL : GCM_OPEN_FAIL;
}

int
quic_keys_retry(struct quic *q)
{
	ngtcp2_crypto_aead aead = {.max_overhead = PROTECT_TAG_BYTES};
	ngtcp2_crypto_aead_ctx ctx;
	struct packet_key *k = malloc(sizeof *k);

	if (k == NULL)
		return -1;
	*k = (struct packet_key){.key = protect_retry_key(), .q = q};
	if (k->key == NULL) {
		free(k);
		return -1;
	}
	ctx.native_handle = k;
	ngtcp2_conn_set_retry_aead(q->conn, &aead, &ctx);
	return 0;
}

int
quic_keys_initial(struct quic *q, const ngtcp2_cid *dcid)
{
	uint8_t client[32], server[32];
	ngtcp2_crypto_ctx ctx;
	struct keys rx, tx;

	if (protect_initial_secrets(dcid->data, dcid->datalen, client, server) < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	crypto_ctx(&ctx, QUIC_AES_128_GCM);
	ngtcp2_conn_set_initial_crypto_ctx(q->conn, &ctx);
	if (keys_make(&rx, q, QUIC_AES_128_GCM, q->cfg.server ? client : server, 32,
		      false, false) < 0)
		goto err1;
	if (keys_make(&tx, q, QUIC_AES_128_GCM, q->cfg.server ? server : client, 32, true,
		      false) < 0)
		goto err2;
	if (ngtcp2_conn_install_initial_key(q->conn, &rx.aead, rx.iv, &rx.header,
					    &tx.aead, tx.iv, &tx.header,
					    sizeof rx.iv) != 0)
		goto err3;
	return 0;
err3:
	keys_free(&tx);
err2:
	keys_free(&rx);
err1:
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

int
quic_keys_install(struct quic *q, enum quic_level level, bool write,
		  enum quic_cipher cipher, const uint8_t *secret, size_t len)
{
	ngtcp2_crypto_ctx ctx;
	struct keys k;
	int rv;

	q->cipher = cipher;
	if (level == QUIC_LEVEL_HANDSHAKE) {
		crypto_ctx(&ctx, cipher);
		ngtcp2_conn_set_crypto_ctx(q->conn, &ctx);
	}
	if (keys_make(&k, q, cipher, secret, len, write, true) < 0)
		return -1;
	if (level == QUIC_LEVEL_HANDSHAKE)
		rv = (write ? ngtcp2_conn_install_tx_handshake_key
			    : ngtcp2_conn_install_rx_handshake_key)(q->conn, &k.aead,
								    k.iv, sizeof k.iv,
								    &k.header);
	else
		rv = (write ? ngtcp2_conn_install_tx_key
			    : ngtcp2_conn_install_rx_key)(q->conn, secret, len, &k.aead,
							  k.iv, sizeof k.iv, &k.header);
	if (rv != 0) {
		keys_free(&k);
		return -1;
	}
	return 0;
}

/* Callbacks of ngtcp2. */

static int
encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
	const uint8_t *plain, size_t len, const uint8_t *nonce, size_t nonce_len,
	const uint8_t *aad, size_t aad_len)
{
	struct packet_key *k = ctx->native_handle;

	(void)aead;
	(void)nonce_len;
	return protect_seal(k->key, dest, plain, len, nonce, aad, aad_len) == 0
		   ? 0
		   : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int
decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *ctx,
	const uint8_t *sealed, size_t len, const uint8_t *nonce, size_t nonce_len,
	const uint8_t *aad, size_t aad_len)
{
	struct packet_key *k = ctx->native_handle;

	(void)aead;
	(void)nonce_len;
	if (len < PROTECT_TAG_BYTES ||
	    protect_open(k->key, dest, sealed, len, nonce, aad, aad_len) < 0)
		return NGTCP2_ERR_DECRYPT;
	k->q->opened = true;
	k->q->authentic |= k->secret;
	k->q->eliciting |= packet_elicits_ack(dest, len - PROTECT_TAG_BYTES);
	return 0;
}

static int
hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
	const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample)
{
	(void)hp;
	return protect_header_mask(ctx->native_handle, dest, sample) == 0
		   ? 0
		   : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int
update_key(ngtcp2_conn *conn, uint8_t *rx_secret, uint8_t *tx_secret,
	   ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv, ngtcp2_crypto_aead_ctx *tx_ctx,
	   uint8_t *tx_iv, const uint8_t *old_rx, const uint8_t *old_tx, size_t len,
	   void *user)
{
	struct quic *q = user;
	struct packet_key *rx, *tx;

	(void)conn;
	if (protect_next_secret(q->cipher, old_rx, len, rx_secret) < 0 ||
	    protect_next_secret(q->cipher, old_tx, len, tx_secret) < 0)
		goto err1;
	if ((rx = packet_key_new(q, q->cipher, rx_secret, len, false, true)) == NULL)
		goto err1;
	if ((tx = packet_key_new(q, q->cipher, tx_secret, len, true, true)) == NULL)
		goto err2;
	rx_ctx->native_handle = rx;
	tx_ctx->native_handle = tx;
	memcpy(rx_iv, protect_key_iv(rx->key), PROTECT_IV_BYTES);
	memcpy(tx_iv, protect_key_iv(tx->key), PROTECT_IV_BYTES);
	return 0;
err2:
	packet_key_free(rx);
err1:
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

static void
delete_aead(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *ctx, void *user)
{
	(void)conn;
	(void)user;
	packet_key_free(ctx->native_handle);
}

static void
delete_cipher(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *ctx, void *user)
{
	(void)conn;
	(void)user;
	protect_header_free(ctx->native_handle);
}

void
quic_keys_callbacks(ngtcp2_callbacks *cb)
{
	cb->encrypt = encrypt;
	cb->decrypt = decrypt;
	cb->hp_mask = hp_mask;
	cb->update_key = update_key;
	cb->delete_crypto_aead_ctx = delete_aead;
	cb->delete_crypto_cipher_ctx = delete_cipher;
}
