#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "quic/protect.h"
#include "quic/tls_internal.h"
#include "session/cert.h"

/* Handshake types (RFC 8446, 4). */
#define TYPE_NEW_SESSION_TICKET  4
#define TYPE_CERTIFICATE_REQUEST 13

/* RFC 9001, 5.3; AES-128 first: fast in hardware, and the smaller key suffices. */
static const char ciphersuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
				   "TLS_CHACHA20_POLY1305_SHA256";

int
tls_fail(struct quic_tls *tls, int alert, const char *fmt, ...)
{
	va_list ap;

	if (tls->failed)
		return -1;
	tls->failed = true;
	tls->alert = alert;
	va_start(ap, fmt);
	vsnprintf(tls->error, sizeof tls->error, fmt, ap);
	va_end(ap);
	return -1;
}

/* OpenSSL gave up; its alert, if it sent one, is in ${tls}->alert already. */
static int
fail_ssl(struct quic_tls *tls)
{
	const char *reason = cert_failure(tls->ssl);

	if (reason == NULL)
		reason = ERR_reason_error_string(ERR_peek_last_error());
	return tls_fail(tls, tls->alert, "%s", reason != NULL ? reason : "TLS failed");
}

void
tls_on_crypto(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
	      size_t len)
{
	if (tls->failed)
		return;
	if (tls->cb.crypto(tls->arg, level, data, len) != 0)
		tls_fail(tls, TLS_NO_ALERT, "CRYPTO data could not be queued");
}

int
tls_on_params(struct quic_tls *tls, const uint8_t *data, size_t len, int *alert)
{
	if (tls->failed)
		return -1;
	/* After a HelloRetryRequest the same ClientHello comes again, with changes
	 * only where RFC 8446, 4.1.2 allows them. */
	if (tls->peer_params != NULL) {
		if (len == tls->peer_params_len &&
		    memcmp(tls->peer_params, data, len) == 0)
			return 0;
		*alert = SSL_AD_ILLEGAL_PARAMETER;
		return tls_fail(tls, *alert, "the peer changed its transport parameters");
	}
	if (len > TLS_PARAMS_MAX) {
		*alert = SSL_AD_DECODE_ERROR;
		return tls_fail(tls, *alert, "transport parameters of %zu bytes", len);
	}
	if ((tls->peer_params = malloc(len + 1)) == NULL) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return tls_fail(tls, *alert, "out of memory");
	}
	if (len > 0)
		memcpy(tls->peer_params, data, len);
	tls->peer_params_len = len;
	if (tls->cb.params(tls->arg, data, len) != 0) {
		*alert = SSL_AD_ILLEGAL_PARAMETER;
		return tls_fail(tls, TLS_NO_ALERT,
				"the transport parameters were refused");
	}
	return 0;
}

void
tls_on_alert(struct quic_tls *tls, uint8_t alert)
{
	if (!tls->failed && tls->alert == TLS_NO_ALERT)
		tls->alert = alert;
}

/* What OpenSSL takes as optional and QUIC does not (RFC 9001, 8.1 and 8.2). */
static int
check_extensions(struct quic_tls *tls)
{
	const unsigned char *alpn;
	unsigned int len;

	SSL_get0_alpn_selected(tls->ssl, &alpn, &len);
	if (len == 0)
		return tls_fail(tls, SSL_AD_NO_APPLICATION_PROTOCOL,
				"the peer names no protocol (ALPN)");
	if (tls->peer_params == NULL)
		return tls_fail(tls, SSL_AD_MISSING_EXTENSION,
				"the peer sent no QUIC transport parameters");
	return 0;
}

static int
current_cipher(const struct quic_tls *tls, enum quic_cipher *cipher)
{
	const SSL_CIPHER *c = SSL_get_current_cipher(tls->ssl);

	switch (c != NULL ? SSL_CIPHER_get_protocol_id(c) : 0) {
	case TLS1_3_CK_AES_128_GCM_SHA256 & 0xffff:
		*cipher = QUIC_AES_128_GCM;
		return 0;
	case TLS1_3_CK_AES_256_GCM_SHA384 & 0xffff:
		*cipher = QUIC_AES_256_GCM;
		return 0;
	case TLS1_3_CK_CHACHA20_POLY1305_SHA256 & 0xffff:
		*cipher = QUIC_CHACHA20_POLY1305;
		return 0;
	default:
		return -1;
	}
}

void
tls_on_secret(struct quic_tls *tls, enum quic_level level, bool write,
	      const uint8_t *secret, size_t len)
{
	/* The peer's extensions are all known to a server when it has handshake
	 * secrets, to a client when it has the later ones. */
	bool extensions_known = tls->server || level == QUIC_LEVEL_APPLICATION;
	enum quic_cipher cipher;

	if (tls->failed || (extensions_known && check_extensions(tls) != 0))
		return;
	if (current_cipher(tls, &cipher) != 0 || len != protect_secret_bytes(cipher)) {
		tls_fail(tls, SSL_AD_INTERNAL_ERROR,
			 "a secret for an unknown cipher suite");
		return;
	}
	if (!write) {
		if (level == QUIC_LEVEL_HANDSHAKE &&
		    tls_backend_read_secret(tls, cipher, secret, len) != 0) {
			tls_fail(tls, SSL_AD_INTERNAL_ERROR,
				 "OpenSSL made no record key");
			return;
		}
		tls->read_level = level;
	}
	if (tls->cb.secret(tls->arg, level, write, cipher, secret, len) != 0)
		tls_fail(tls, TLS_NO_ALERT, "a traffic secret could not be installed");
}

/* Whatever the verification in the SSL_CTX allowed, the handshake is not over before
 * the peer has proved this one key. */
static int
finish(struct quic_tls *tls)
{
	struct pubkey proved;

	if (cert_peer_key(tls->ssl, &proved) != 0 || !pubkey_equal(&proved, &tls->peer))
		return tls_fail(tls, SSL_AD_BAD_CERTIFICATE,
				"the peer's key is not the roster's");
	tls->complete = true;
	return 0;
}

int
tls_advance(struct quic_tls *tls)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(tls->ssl);
	if (tls->failed)
		return -1;
	if (n == 1)
		return tls->complete ? 0 : finish(tls);
	if (SSL_get_error(tls->ssl, n) == SSL_ERROR_WANT_READ)
		return 0;
	return fail_ssl(tls);
}

/* Where the handshake ends that fails: reached once, so the alert is reported once. */
static int
give_up(struct quic_tls *tls)
{
	ERR_clear_error();
	if (tls->alert != TLS_NO_ALERT)
		tls->cb.alert(tls->arg, (uint8_t)tls->alert);
	return -1;
}

/* Which messages may follow the handshake (RFC 9001, 4.4 and 6). */
static int
check_post_handshake(struct quic_tls *tls, uint8_t type)
{
	if (!tls->server && type == TYPE_NEW_SESSION_TICKET)
		return 0;
	if (!tls->server && type == TYPE_CERTIFICATE_REQUEST)
		return tls_fail(tls, TLS_NO_ALERT,
				"a certificate request after the handshake");
	return tls_fail(tls, SSL_AD_UNEXPECTED_MESSAGE,
			"a TLS message of type %u after the handshake", type);
}

static int
discard_post_handshake(struct quic_tls *tls, const uint8_t *data, size_t len)
{
	while (len > 0) {
		if (tls->skip > 0) {
			size_t n = len < tls->skip ? len : tls->skip;

			tls->skip -= n;
			data += n;
			len -= n;
			continue;
		}
		if (tls->head_len == 0 && check_post_handshake(tls, *data) != 0)
			return -1;
		tls->head[tls->head_len++] = *data++;
		len--;
		if (tls->head_len == sizeof tls->head) {
			tls->skip = (size_t)tls->head[1] << 16 |
				    (size_t)tls->head[2] << 8 | tls->head[3];
			tls->head_len = 0;
		}
	}
	return 0;
}

/* Nothing more is asked of OpenSSL: later messages are discarded unread. It must not
 * keep the first secrets any longer than QUIC does, which replaces them (RFC 9001, 6). */
static void
drop_ssl(struct quic_tls *tls)
{
	tls_backend_detach(tls);
	SSL_free(tls->ssl);
	tls->ssl = NULL;
}

static int
receive(struct quic_tls *tls, enum quic_level level, const uint8_t *data, size_t len)
{
	if (level != tls->read_level)
		return tls_fail(tls, TLS_NO_ALERT,
				"CRYPTO data at another level than TLS is at");
	if (tls->complete)
		return discard_post_handshake(tls, data, len);
	if (len > QUIC_TLS_HANDSHAKE_MAX - tls->received)
		return tls_fail(tls, TLS_NO_ALERT, "a handshake of more than %d bytes",
				QUIC_TLS_HANDSHAKE_MAX);
	tls->received += len;
	if (tls_backend_feed(tls, level, data, len) != 0)
		return -1;
	if (tls->complete)
		drop_ssl(tls);
	return 0;
}

int
quic_tls_receive(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		 size_t len)
{
	if (tls->failed)
		return -1;
	if (len > 0 && receive(tls, level, data, len) != 0)
		return give_up(tls);
	return 0;
}

int
quic_tls_start(struct quic_tls *tls)
{
	if (tls->failed || tls->ssl == NULL)
		return -1;
	return tls_advance(tls) == 0 ? 0 : give_up(tls);
}

bool
quic_tls_complete(const struct quic_tls *tls)
{
	return tls->complete && !tls->failed;
}

const char *
quic_tls_error(const struct quic_tls *tls)
{
	return tls->error;
}

static int
configure(struct quic_tls *tls)
{
	SSL *ssl = tls->ssl;

	if (SSL_set_min_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_set_max_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_set_ciphersuites(ssl, ciphersuites) != 1 ||
	    SSL_set_num_tickets(ssl, 0) != 1)
		return -1;
	SSL_clear_options(ssl, SSL_OP_ENABLE_MIDDLEBOX_COMPAT); /* RFC 9001, 8.4 */
	if (tls->server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return cert_expect(ssl, &tls->peer);
}

struct quic_tls *
quic_tls_new(SSL_CTX *ctx, bool server, const struct pubkey *peer, const uint8_t *params,
	     size_t params_len, const struct quic_tls_callbacks *cb, void *arg,
	     struct err *err)
{
	struct quic_tls *tls;

	if ((tls = calloc(1, sizeof *tls)) == NULL) {
		err_sys(err, "TLS for QUIC");
		return NULL;
	}
	tls->server = server;
	tls->peer = *peer;
	tls->cb = *cb;
	tls->arg = arg;
	tls->alert = TLS_NO_ALERT;
	if (params_len > TLS_PARAMS_MAX ||
	    (tls->params = malloc(params_len + 1)) == NULL) {
		err_set(err,
			"TLS for QUIC: no room for %zu bytes of transport parameters",
			params_len);
		goto fail;
	}
	if (params_len > 0)
		memcpy(tls->params, params, params_len);
	tls->params_len = params_len;
	if (tls_backend_prepare(ctx) != 0 || (tls->ssl = SSL_new(ctx)) == NULL ||
	    tls_backend_attach(tls) != 0 || configure(tls) != 0) {
		err_ssl(err, "TLS for QUIC: OpenSSL could not be set up");
		goto fail;
	}
	return tls;

fail:
	quic_tls_free(tls);
	return NULL;
}

void
quic_tls_free(struct quic_tls *tls)
{
	if (tls == NULL)
		return;
	drop_ssl(tls);
	free(tls->peer_params);
	free(tls->params);
	free(tls);
}
