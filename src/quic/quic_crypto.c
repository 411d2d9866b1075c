#include <string.h>

#include <openssl/rand.h>

#include "quic/conn.h"

/* Enough for the parameters below; ngtcp2 refuses to write more. */
#define PARAMS_MAX 512

/* Callbacks of TLS. */

static const ngtcp2_crypto_level ngtcp2_level[] = {
    [QUIC_LEVEL_INITIAL] = NGTCP2_CRYPTO_LEVEL_INITIAL,
    [QUIC_LEVEL_HANDSHAKE] = NGTCP2_CRYPTO_LEVEL_HANDSHAKE,
    [QUIC_LEVEL_APPLICATION] = NGTCP2_CRYPTO_LEVEL_APPLICATION,
};

static int
on_crypto(void *arg, enum quic_level level, const uint8_t *data, size_t len)
{
	struct quic *q = arg;

	return ngtcp2_conn_submit_crypto_data(q->conn, ngtcp2_level[level], data, len) ==
		       0
		   ? 0
		   : -1;
}

static int
on_secret(void *arg, enum quic_level level, bool write, enum quic_cipher cipher,
	  const uint8_t *secret, size_t len)
{
	return quic_keys_install(arg, level, write, cipher, secret, len);
}

static int
on_params(void *arg, const uint8_t *data, size_t len)
{
	struct quic *q = arg;
	int rv = ngtcp2_conn_decode_remote_transport_params(q->conn, data, len);

	if (rv == 0)
		return 0;
	ngtcp2_conn_set_tls_error(q->conn, rv);
	return -1;
}

static void
on_alert(void *arg, uint8_t alert)
{
	struct quic *q = arg;

	ngtcp2_conn_set_tls_alert(q->conn, alert);
}

int
quic_crypto_start(struct quic *q, const ngtcp2_cid *scid, struct err *err)
{
	static const struct quic_tls_callbacks cb = {
	    .crypto = on_crypto,
	    .secret = on_secret,
	    .params = on_params,
	    .alert = on_alert,
	};
	ngtcp2_transport_params params = *ngtcp2_conn_get_local_transport_params(q->conn);
	uint8_t encoded[PARAMS_MAX];
	ngtcp2_ssize len;

	/* Not left to ngtcp2, which offers to have the QUIC bit greased (RFC 9287):
	 * datagrams are told from STUN by it (RFC 9443). */
	params.grease_quic_bit = 0;
	params.initial_scid = *scid;
	params.version_info.chosen_version = NGTCP2_PROTO_VER_V1;
	len = ngtcp2_encode_transport_params(
	    encoded, sizeof encoded,
	    q->cfg.server ? NGTCP2_TRANSPORT_PARAMS_TYPE_ENCRYPTED_EXTENSIONS
			  : NGTCP2_TRANSPORT_PARAMS_TYPE_CLIENT_HELLO,
	    &params);
	if (len < 0)
		return err_set(err, "transport parameters: %s",
			       ngtcp2_strerror((int)len));
	q->tls = quic_tls_new(q->cfg.ssl_ctx, q->cfg.server, &q->cfg.peer, encoded,
			      (size_t)len, &cb, q, err);
	return q->tls != NULL ? 0 : -1;
}

/* Callbacks of ngtcp2. */

static int
client_initial(ngtcp2_conn *conn, void *user)
{
	struct quic *q = user;
	int rv = quic_keys_initial(q, ngtcp2_conn_get_dcid(conn));

	if (rv == 0 && quic_keys_retry(q) < 0)
		rv = NGTCP2_ERR_CALLBACK_FAILURE;
	if (rv == 0 && quic_tls_start(q->tls) < 0)
		rv = NGTCP2_ERR_CALLBACK_FAILURE;
	return rv;
}

static int
recv_client_initial(ngtcp2_conn *conn, const ngtcp2_cid *dcid, void *user)
{
	(void)conn;
	return quic_keys_initial(user, dcid);
}

static int
recv_retry(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd, void *user)
{
	(void)conn;
	return quic_keys_initial(user, &hd->scid);
}

static int
recv_crypto_data(ngtcp2_conn *conn, ngtcp2_crypto_level level, uint64_t offset,
		 const uint8_t *data, size_t len, void *user)
{
	struct quic *q = user;
	enum quic_level l = level == NGTCP2_CRYPTO_LEVEL_INITIAL ? QUIC_LEVEL_INITIAL
			    : level == NGTCP2_CRYPTO_LEVEL_HANDSHAKE
				? QUIC_LEVEL_HANDSHAKE
				: QUIC_LEVEL_APPLICATION;
	int rv;

	(void)offset;
	if (quic_tls_receive(q->tls, l, data, len) < 0) {
		rv = ngtcp2_conn_get_tls_error(conn);
		return rv != 0 ? rv : NGTCP2_ERR_CRYPTO;
	}
	if (!q->tls_done && quic_tls_complete(q->tls)) {
		q->tls_done = true;
		ngtcp2_conn_handshake_completed(conn);
	}
	return 0;
}

/* Another version than 1 was never offered. */
static int
version_negotiation(ngtcp2_conn *conn, uint32_t version, const ngtcp2_cid *dcid,
		    void *user)
{
	(void)conn;
	(void)version;
	(void)dcid;
	(void)user;
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

/* ngtcp2 asks for bytes "in non-cryptographic context" only. */
static void
fill_random(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	if (RAND_bytes(dest, (int)len) != 1)
		memset(dest, 0, len);
}

static int
get_new_connection_id(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len,
		      void *user)
{
	(void)conn;
	(void)user;
	/* The token is for nobody: a proxy that has lost its state is met again
	 * through signalling, so stateless resets are never sent. */
	if (RAND_bytes(cid->data, (int)len) != 1 ||
	    RAND_bytes(token, NGTCP2_STATELESS_RESET_TOKENLEN) != 1)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	cid->datalen = len;
	return 0;
}

static int
get_path_challenge_data(ngtcp2_conn *conn, uint8_t *data, void *user)
{
	(void)conn;
	(void)user;
	return RAND_bytes(data, NGTCP2_PATH_CHALLENGE_DATALEN) == 1
		   ? 0
		   : NGTCP2_ERR_CALLBACK_FAILURE;
}

void
quic_crypto_callbacks(ngtcp2_callbacks *cb)
{
	cb->client_initial = client_initial;
	cb->recv_client_initial = recv_client_initial;
	cb->recv_retry = recv_retry;
	cb->recv_crypto_data = recv_crypto_data;
	cb->version_negotiation = version_negotiation;
	cb->rand = fill_random;
	cb->get_new_connection_id = get_new_connection_id;
	cb->get_path_challenge_data = get_path_challenge_data;
}
