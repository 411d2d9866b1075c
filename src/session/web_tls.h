#ifndef MPCPROXY_SESSION_WEB_TLS_H
#define MPCPROXY_SESSION_WEB_TLS_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "session/url.h"

/*
 * TLS towards TURN servers (turns:) and MQTT brokers (mqtts:). Unlike the parties these are servers of the web's
 * kind: a certificate for the server's name, from a CA that this machine trusts, from
 * one in a given file, or one whose key the URL pins (then its name, dates and issuer
 * play no part).
 */

/* ${ca_file}: PEM, instead of the system's CAs; NULL for these. ${setting} of local.ini
 * names it. */
SSL_CTX *web_tls_context(const char *ca_file, const char *setting, struct err *err);

/* A client for ${server}, which must outlive it. NULL when memory is short. */
SSL *web_tls_client(SSL_CTX *ctx, const struct url *server, struct err *err);

/* After a failed handshake: what is wrong with the certificate and what to do, or what
 * OpenSSL's error ${code} says (0: none). */
void web_tls_why(const SSL *ssl, unsigned long code, const struct url *server,
		  struct err *err);

#endif
