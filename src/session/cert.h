#ifndef MPCPROXY_SESSION_CERT_H
#define MPCPROXY_SESSION_CERT_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/err.h"
#include "session/identity.h"

/*
 * TLS 1.3 with both ends authenticated by raw P-256 keys. The certificate is only a
 * wrapper that TLS wants around the key: self-signed, made at start, never stored.
 * Verification looks at one thing, the peer's public key; names, dates and CAs play
 * no part.
 */

/*
 * A context for one role. TLS 1.3 only, no tickets, X25519 (X25519MLKEM768 first
 * where OpenSSL has it), our self-signed certificate. The peer must present a
 * certificate and prove that it holds the key; which key that must be is said per
 * connection with cert_expect(). A connection for which nothing was said fails.
 * ${alpn} is the one protocol offered or accepted; a peer without it is refused with
 * the alert no_application_protocol.
 */
SSL_CTX *cert_ssl_ctx(const struct identity *id, bool server, const char *alpn,
		      struct err *err);

/* The key the peer of ${ssl} must prove. ${expected} is copied. */
int cert_expect(SSL *ssl, const struct pubkey *expected);

/* Any P-256 key will do (the mailbox takes writers by quota, not by name); the
 * caller reads it with cert_peer_key() once the handshake is done. */
int cert_expect_any(SSL *ssl);

/* Why the handshake of ${ssl} failed, as far as the peer is to blame: another key than
 * expected, no certificate, another ALPN or version, or the alert it sent. One phrase;
 * NULL when nothing of that kind happened. Uses the context's info callback. */
const char *cert_failure(const SSL *ssl);

/* The key the peer proved; -1 before the end of the handshake. */
int cert_peer_key(const SSL *ssl, struct pubkey *key);

#endif
