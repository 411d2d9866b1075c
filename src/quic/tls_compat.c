/*
 * CRYPTO data in and out of an OpenSSL (3.0 to 3.4) that knows nothing of QUIC. To
 * OpenSSL this is TLS over a stream: what it should read is wrapped in records made
 * here, what it writes is thrown away, and everything of interest is overheard:
 * messages and alerts in the message callback, secrets in the key log.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/bytes.h"
#include "quic/protect.h"
#include "quic/tls_internal.h"

#define EXTENSION_PARAMS 0x39 /* RFC 9001, 8.2 */

/* Records may be of any size up to 16 KiB; these fit the stack. */
#define RECORD_TEXT_MAX   2048
#define RECORD_HEAD_BYTES 5
#define RECORD_MAX        (RECORD_HEAD_BYTES + RECORD_TEXT_MAX + 1 + PROTECT_TAG_BYTES)

/* Handshake types (RFC 8446, 4) that are not sent at the Handshake level. */
#define TYPE_CLIENT_HELLO       1
#define TYPE_SERVER_HELLO       2 /* HelloRetryRequest too */
#define TYPE_NEW_SESSION_TICKET 4
#define TYPE_KEY_UPDATE         24

struct tls_backend {
	BIO *in;                  /* owned by the SSL */
	struct protect_key *seal; /* of the peer's handshake records */
	uint64_t sequence;
};

static CRYPTO_ONCE index_once = CRYPTO_ONCE_STATIC_INIT;
static int ssl_index = -1; /* of the quic_tls among an SSL's extra data */

static void
make_index(void)
{
	ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void
on_message(int write_p, int version, int type, const void *buf, size_t len, SSL *ssl,
	   void *arg)
{
	struct quic_tls *tls = SSL_get_ex_data(ssl, ssl_index);
	const uint8_t *data = buf;
	enum quic_level level;

	(void)version;
	(void)arg;
	if (tls == NULL || !write_p)
		return;
	if (type == SSL3_RT_ALERT && len == 2 && data[0] == SSL3_AL_FATAL)
		tls_on_alert(tls, data[1]);
	if (type != SSL3_RT_HANDSHAKE || len == 0)
		return;
	/* OpenSSL's own state is no guide: it installs the next keys now before, now
	 * after this call. */
	switch (data[0]) {
	case TYPE_CLIENT_HELLO:
	case TYPE_SERVER_HELLO:
		level = QUIC_LEVEL_INITIAL;
		break;
	case TYPE_NEW_SESSION_TICKET:
	case TYPE_KEY_UPDATE:
		level = QUIC_LEVEL_APPLICATION;
		break;
	default:
		level = QUIC_LEVEL_HANDSHAKE;
	}
	tls_on_crypto(tls, level, data, len);
}

/* A line of the key log is "LABEL CLIENT_RANDOM SECRET", the last two in hexadecimal. */
static void
on_keylog(const SSL *ssl, const char *line)
{
	static const struct {
		const char *label;
		enum quic_level level;
		bool server; /* the secret of what the server sends */
	} labels[] = {
	    {"CLIENT_HANDSHAKE_TRAFFIC_SECRET ", QUIC_LEVEL_HANDSHAKE, false},
	    {"SERVER_HANDSHAKE_TRAFFIC_SECRET ", QUIC_LEVEL_HANDSHAKE, true},
	    {"CLIENT_TRAFFIC_SECRET_0 ", QUIC_LEVEL_APPLICATION, false},
	    {"SERVER_TRAFFIC_SECRET_0 ", QUIC_LEVEL_APPLICATION, true},
	};
	struct quic_tls *tls = SSL_get_ex_data(ssl, ssl_index);
	uint8_t secret[QUIC_SECRET_MAX];
	const char *hex;
	size_t i, len;

	if (tls == NULL)
		return;
	for (i = 0; i < sizeof labels / sizeof *labels; i++) {
		if (strncmp(line, labels[i].label, strlen(labels[i].label)) != 0)
			continue;
		hex = strrchr(line, ' ') + 1;
		if (OPENSSL_hexstr2buf_ex(secret, sizeof secret, &len, hex, '\0') == 1)
			tls_on_secret(tls, labels[i].level,
				      labels[i].server == tls->server, secret, len);
		else
			tls_fail(tls, SSL_AD_INTERNAL_ERROR,
				 "OpenSSL's key log is garbled");
		OPENSSL_cleanse(secret, sizeof secret);
		return;
	}
}

static int
add_params(SSL *ssl, unsigned int type, unsigned int context, const unsigned char **out,
	   size_t *len, X509 *x, size_t chain_index, int *alert, void *arg)
{
	const struct quic_tls *tls = SSL_get_ex_data(ssl, ssl_index);

	(void)type;
	(void)context;
	(void)x;
	(void)chain_index;
	(void)alert;
	(void)arg;
	if (tls == NULL)
		return 0;
	*out = tls->params;
	*len = tls->params_len;
	return 1;
}

static int
parse_params(SSL *ssl, unsigned int type, unsigned int context, const unsigned char *in,
	     size_t len, X509 *x, size_t chain_index, int *alert, void *arg)
{
	struct quic_tls *tls = SSL_get_ex_data(ssl, ssl_index);

	(void)type;
	(void)context;
	(void)x;
	(void)chain_index;
	(void)arg;
	return tls == NULL || tls_on_params(tls, in, len, alert) == 0;
}

int
tls_backend_prepare(SSL_CTX *ctx)
{
	if (CRYPTO_THREAD_run_once(&index_once, make_index) != 1 || ssl_index < 0)
		return -1;
	if (SSL_CTX_has_client_custom_ext(ctx, EXTENSION_PARAMS))
		return 0;
	if (SSL_CTX_add_custom_ext(ctx, EXTENSION_PARAMS,
				   SSL_EXT_TLS1_3_ONLY | SSL_EXT_CLIENT_HELLO |
				       SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS,
				   add_params, NULL, NULL, parse_params, NULL) != 1)
		return -1;
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	return 0;
}

int
tls_backend_attach(struct quic_tls *tls)
{
	struct tls_backend *b;
	BIO *out;

	if ((tls->backend = b = calloc(1, sizeof *b)) == NULL)
		return -1;
	if ((b->in = BIO_new(BIO_s_mem())) == NULL)
		return -1;
	if ((out = BIO_new(BIO_s_null())) == NULL) {
		BIO_free(b->in);
		return -1;
	}
	BIO_set_mem_eof_return(b->in, -1);
	SSL_set_bio(tls->ssl, b->in, out);
	SSL_set_msg_callback(tls->ssl, on_message);
	return SSL_set_ex_data(tls->ssl, ssl_index, tls) == 1 ? 0 : -1;
}

void
tls_backend_detach(struct quic_tls *tls)
{
	if (tls->backend == NULL)
		return;
	SSL_set_ex_data(tls->ssl, ssl_index, NULL);
	protect_key_free(tls->backend->seal);
	free(tls->backend);
	tls->backend = NULL;
}

int
tls_backend_read_secret(struct quic_tls *tls, enum quic_cipher cipher,
			const uint8_t *secret, size_t len)
{
	tls->backend->seal = protect_record_key(cipher, secret, len);
	return tls->backend->seal != NULL ? 0 : -1;
}

/* RFC 8446, 5.1: the record that a peer without QUIC would have sent. */
static size_t
plain_record(uint8_t record[RECORD_MAX], const uint8_t *data, size_t len)
{
	struct writer w;

	writer_init(&w, record, RECORD_MAX);
	write_u8(&w, SSL3_RT_HANDSHAKE);
	write_u16(&w, TLS1_2_VERSION);
	write_u16(&w, (uint16_t)len);
	write_bytes(&w, data, len);
	return w.len;
}

/* RFC 8446, 5.2 and 5.3; 0 when it cannot be sealed. */
static size_t
sealed_record(struct tls_backend *b, uint8_t record[RECORD_MAX], const uint8_t *data,
	      size_t len)
{
	uint8_t nonce[PROTECT_IV_BYTES];
	uint8_t *text = record + RECORD_HEAD_BYTES;
	struct writer w;
	size_t i;

	if (b->seal == NULL)
		return 0;
	memcpy(nonce, protect_key_iv(b->seal), sizeof nonce);
	for (i = 0; i < sizeof b->sequence; i++)
		nonce[sizeof nonce - 1 - i] ^= (uint8_t)(b->sequence >> (8 * i));
	b->sequence++;

	writer_init(&w, record, RECORD_MAX);
	write_u8(&w, SSL3_RT_APPLICATION_DATA);
	write_u16(&w, TLS1_2_VERSION);
	write_u16(&w, (uint16_t)(len + 1 + PROTECT_TAG_BYTES));
	write_bytes(&w, data, len);
	write_u8(&w, SSL3_RT_HANDSHAKE);
	if (protect_seal(b->seal, text, text, len + 1, nonce, record,
			 RECORD_HEAD_BYTES) != 0)
		return 0;
	return w.len + PROTECT_TAG_BYTES;
}

int
tls_backend_feed(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		 size_t len)
{
	struct tls_backend *b = tls->backend;
	uint8_t record[RECORD_MAX];
	size_t n, size;

	while (len > 0) {
		/* RFC 9001, 4.1.3; within a record OpenSSL itself insists on it. */
		if (tls->read_level != level)
			return tls_fail(tls, TLS_NO_ALERT,
					"handshake data left over at a change of keys");
		n = len < RECORD_TEXT_MAX ? len : RECORD_TEXT_MAX;
		size = level == QUIC_LEVEL_INITIAL ? plain_record(record, data, n)
						   : sealed_record(b, record, data, n);
		if (size == 0 || BIO_write(b->in, record, (int)size) != (int)size)
			return tls_fail(tls, SSL_AD_INTERNAL_ERROR,
					"OpenSSL took no handshake data");
		if (tls_advance(tls) != 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}
