#ifndef MPCPROXY_QUIC_TLS_INTERNAL_H
#define MPCPROXY_QUIC_TLS_INTERNAL_H

#include "quic/tls.h"

/*
 * Between tls.c, which knows the rules of TLS inside QUIC, and the one backend that
 * knows how to get CRYPTO data in and out of this version of OpenSSL.
 */

/* No transport parameters of any implementation come near this. */
#define TLS_PARAMS_MAX 4096

#define TLS_ERROR_BYTES 160
#define TLS_NO_ALERT    (-1)

struct tls_backend;

struct quic_tls {
	SSL *ssl; /* until the handshake is complete */
	struct tls_backend *backend;
	bool server;
	struct pubkey peer;
	struct quic_tls_callbacks cb;
	void *arg;

	uint8_t *params; /* ours */
	size_t params_len;
	uint8_t *peer_params; /* NULL until they have come */
	size_t peer_params_len;

	enum quic_level read_level; /* of the CRYPTO data that OpenSSL waits for */
	size_t received;            /* CRYPTO bytes before the end of the handshake */

	/* The post-handshake message under way: its header so far, and how much of
	 * its body is still to be passed over. */
	uint8_t head[4];
	size_t head_len, skip;

	bool complete, failed;
	int alert;
	char error[TLS_ERROR_BYTES];
};

/*
 * What the backend reports, from inside OpenSSL's callbacks. All do nothing once the
 * handshake has failed, and remember a failure until SSL_do_handshake() has returned.
 */
void tls_on_crypto(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		   size_t len);
void tls_on_secret(struct quic_tls *tls, enum quic_level level, bool write,
		   const uint8_t *secret, size_t len);
/* Returns -1 with the alert to send in ${alert} when they are refused. */
int tls_on_params(struct quic_tls *tls, const uint8_t *data, size_t len, int *alert);
void tls_on_alert(struct quic_tls *tls, uint8_t alert);

/* Let OpenSSL work on what it has. */
int tls_advance(struct quic_tls *tls);

/* Remember why the handshake fails, once, and with which alert if any; -1. */
int tls_fail(struct quic_tls *tls, int alert, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What must be said per context, before any SSL is made of it: once, however often
 * this is called. */
int tls_backend_prepare(SSL_CTX *ctx);
/* Set ${tls}->backend up on ${tls}->ssl. */
int tls_backend_attach(struct quic_tls *tls);
/* Before SSL_free(), which may call back. Takes a backend set up in part, or none. */
void tls_backend_detach(struct quic_tls *tls);
/* CRYPTO data at ${level}, which was ${tls}->read_level on entry. */
int tls_backend_feed(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		     size_t len);
/* OpenSSL has derived the secret of what the peer sends in the handshake. */
int tls_backend_read_secret(struct quic_tls *tls, enum quic_cipher cipher,
			    const uint8_t *secret, size_t len);

#endif
