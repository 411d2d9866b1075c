/*
 * CRYPTO data in and out of an OpenSSL (3.5 and later) that has an interface for QUIC:
 * SSL_set_quic_tls_cbs(3ssl).
 */
#include <stdlib.h>

#include <openssl/core_dispatch.h>

#include "quic/tls_internal.h"

struct tls_backend {
	enum quic_level write_level;
	const uint8_t *data; /* lent to OpenSSL, piece by piece */
	size_t len;
};

static int
on_crypto(SSL *ssl, const unsigned char *data, size_t len, size_t *consumed, void *arg)
{
	struct quic_tls *tls = arg;

	(void)ssl;
	tls_on_crypto(tls, tls->backend->write_level, data, len);
	*consumed = len;
	return 1;
}

static int
on_read(SSL *ssl, const unsigned char **data, size_t *len, void *arg)
{
	const struct quic_tls *tls = arg;

	(void)ssl;
	*data = tls->backend->data;
	*len = tls->backend->len;
	return 1;
}

/* Also called from SSL_free(), for what a failed handshake has not read to its end. */
static int
on_release(SSL *ssl, size_t len, void *arg)
{
	struct quic_tls *tls = arg;

	(void)ssl;
	if (tls->backend == NULL)
		return 1;
	if (len > tls->backend->len)
		return 0;
	tls->backend->data += len;
	tls->backend->len -= len;
	return 1;
}

static int
on_secret(SSL *ssl, uint32_t protection, int write, const unsigned char *secret,
	  size_t len, void *arg)
{
	struct quic_tls *tls = arg;
	enum quic_level level;

	(void)ssl;
	switch (protection) {
	case OSSL_RECORD_PROTECTION_LEVEL_HANDSHAKE:
		level = QUIC_LEVEL_HANDSHAKE;
		break;
	case OSSL_RECORD_PROTECTION_LEVEL_APPLICATION:
		level = QUIC_LEVEL_APPLICATION;
		break;
	default: /* early data, which is never used here */
		return 0;
	}
	if (write)
		tls->backend->write_level = level;
	tls_on_secret(tls, level, write != 0, secret, len);
	return !tls->failed;
}

static int
on_params(SSL *ssl, const unsigned char *data, size_t len, void *arg)
{
	int alert;

	(void)ssl;
	return tls_on_params(arg, data, len, &alert) == 0;
}

static int
on_alert(SSL *ssl, unsigned char alert, void *arg)
{
	(void)ssl;
	tls_on_alert(arg, alert);
	return 1;
}

int
tls_backend_prepare(SSL_CTX *ctx)
{
	(void)ctx;
	return 0;
}

int
tls_backend_attach(struct quic_tls *tls)
{
	static const OSSL_DISPATCH callbacks[] = {
	    {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_SEND, (void (*)(void))on_crypto},
	    {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RECV_RCD, (void (*)(void))on_read},
	    {OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RELEASE_RCD, (void (*)(void))on_release},
	    {OSSL_FUNC_SSL_QUIC_TLS_YIELD_SECRET, (void (*)(void))on_secret},
	    {OSSL_FUNC_SSL_QUIC_TLS_GOT_TRANSPORT_PARAMS, (void (*)(void))on_params},
	    {OSSL_FUNC_SSL_QUIC_TLS_ALERT, (void (*)(void))on_alert},
	    {0, NULL},
	};

	if ((tls->backend = calloc(1, sizeof *tls->backend)) == NULL)
		return -1;
	return SSL_set_quic_tls_cbs(tls->ssl, callbacks, tls) == 1 &&
		       SSL_set_quic_tls_transport_params(tls->ssl, tls->params,
							 tls->params_len) == 1
		   ? 0
		   : -1;
}

void
tls_backend_detach(struct quic_tls *tls)
{
	free(tls->backend);
	tls->backend = NULL;
}

int
tls_backend_read_secret(struct quic_tls *tls, enum quic_cipher cipher,
			const uint8_t *secret, size_t len)
{
	(void)tls;
	(void)cipher;
	(void)secret;
	(void)len;
	return 0;
}

int
tls_backend_feed(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		 size_t len)
{
	struct tls_backend *b = tls->backend;

	b->data = data;
	b->len = len;
	if (tls_advance(tls) != 0)
		return -1;
	/* RFC 9001, 4.1.3; within a piece OpenSSL itself insists on it. */
	if (b->len > 0 && tls->read_level != level)
		return tls_fail(tls, TLS_NO_ALERT,
				"handshake data left over at a change of keys");
	return 0;
}
