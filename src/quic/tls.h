#ifndef MPCPROXY_QUIC_TLS_H
#define MPCPROXY_QUIC_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "session/pubkey.h"

/*
 * TLS 1.3 for QUIC (RFC 9001, 4) from an OpenSSL that has no interface for it. In and
 * out go the bytes of CRYPTO frames, by encryption level; what comes out besides are
 * the traffic secrets, alerts and the peer's transport parameters. No sockets, no
 * QUIC library in here.
 */
struct quic_tls;

enum quic_level {
	QUIC_LEVEL_INITIAL,
	QUIC_LEVEL_HANDSHAKE,
	QUIC_LEVEL_APPLICATION,
};

/* The three cipher suites of RFC 9001, 5.3 that are used here. */
enum quic_cipher {
	QUIC_AES_128_GCM,
	QUIC_AES_256_GCM,
	QUIC_CHACHA20_POLY1305,
};

#define QUIC_SECRET_MAX 48 /* SHA-384 */

/* CRYPTO bytes taken from a peer before it has authenticated itself. */
#define QUIC_TLS_HANDSHAKE_MAX (64 * 1024)

/* Each returns 0, or -1 to fail the handshake. None may call back into the quic_tls. */
struct quic_tls_callbacks {
	/* Bytes for CRYPTO frames at ${level}. */
	int (*crypto)(void *arg, enum quic_level level, const uint8_t *data, size_t len);
	/* A traffic secret: ${write} for what we send, else for what we receive.
	 * Never QUIC_LEVEL_INITIAL. */
	int (*secret)(void *arg, enum quic_level level, bool write,
		      enum quic_cipher cipher, const uint8_t *secret, size_t len);
	/* The peer's transport parameters, as they stood in the extension. */
	int (*params)(void *arg, const uint8_t *data, size_t len);
	/* TLS gave up and wants this alert sent; quic_tls_receive() or
	 * quic_tls_start() returns -1 as well. A failure without an alert is one of
	 * the callbacks above, or a breach of QUIC's own rules (PROTOCOL_VIOLATION). */
	void (*alert)(void *arg, uint8_t alert);
};

/* ${ctx} comes from cert_ssl_ctx(); connections share it, and it may serve TLS without
 * QUIC besides. ${params} are our transport parameters. The peer must prove ${peer}. */
struct quic_tls *quic_tls_new(SSL_CTX *ctx, bool server, const struct pubkey *peer,
			      const uint8_t *params, size_t params_len,
			      const struct quic_tls_callbacks *cb, void *arg,
			      struct err *err);
void quic_tls_free(struct quic_tls *tls);

/* Client: produce the ClientHello. */
int quic_tls_start(struct quic_tls *tls);

/* Bytes of CRYPTO frames, in order, at ${level}. Post-handshake messages are
 * discarded (we offer no resumption). -1 when the handshake has failed; the reason is
 * quic_tls_error(). */
int quic_tls_receive(struct quic_tls *tls, enum quic_level level, const uint8_t *data,
		     size_t len);

bool quic_tls_complete(const struct quic_tls *tls);

/* One phrase for the log: why the handshake failed ("" when it did not). */
const char *quic_tls_error(const struct quic_tls *tls);

#endif
