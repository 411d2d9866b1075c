#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "session/web_tls.h"

/* Where a connection's server is found by the check of its certificate. */
static int
server_index(void)
{
	static int index = -1;

	/* One thread only. */
	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/* Whether the key of the leaf, which the server is about to prove it holds, is the
 * pinned one. */
static bool
has_pin(X509 *leaf, const uint8_t pin[URL_PIN_BYTES])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned char *der = NULL;
	unsigned len = 0;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	int ok;

	if (n <= 0)
		return false;
	ok = EVP_Digest(der, (size_t)n, digest, &len, EVP_sha256(), NULL);
	OPENSSL_free(der);
	return ok == 1 && len == URL_PIN_BYTES &&
	       CRYPTO_memcmp(digest, pin, URL_PIN_BYTES) == 0;
}

static int
verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct url *server = SSL_get_ex_data(ssl, server_index());
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	(void)arg;
	if (server == NULL || leaf == NULL) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
		return 0;
	}
	if (!server->pinned)
		return X509_verify_cert(store);
	if (has_pin(leaf, server->pin)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

SSL_CTX *
web_tls_context(const char *ca_file, const char *setting, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int ok;

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		err_ssl(err, "cannot set up TLS");
		goto fail;
	}
	ok = ca_file != NULL ? SSL_CTX_load_verify_file(ctx, ca_file)
			     : SSL_CTX_set_default_verify_paths(ctx);
	if (ok != 1) {
		err_ssl(err, "%s: no certificates can be read from %s", setting,
			ca_file != NULL ? ca_file : "the system's store");
		goto fail;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;

fail:
	SSL_CTX_free(ctx);
	return NULL;
}

/* RFC 6125: the certificate is for the name, or the address, that session.ini says. */
static int
expect_host(SSL *ssl, const char *host)
{
	union addr a;

	if (addr_parse(&a, host, 0) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

SSL *
web_tls_client(SSL_CTX *ctx, const struct url *server, struct err *err)
{
	SSL *ssl = SSL_new(ctx);

	if (ssl == NULL ||
	    SSL_set_ex_data(ssl, server_index(), (void *)(uintptr_t)server) != 1 ||
	    expect_host(ssl, server->host) != 1) {
		err_ssl(err, "cannot set up TLS");
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

/* What to do where the certificate may be right and this machine does not know it. */
static const char *
advice(long result, const struct url *server)
{
	switch (result) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return server->scheme == URL_MQTTS
			   ? " (if that is as it should be, name its CA with mqtt-ca in "
			     "local.ini, or pin its key in session.ini)"
			   : " (if that is as it should be, name its CA with turn-ca in "
			     "local.ini, or pin its key in session.ini)";
	default:
		return "";
	}
}

void
web_tls_why(const SSL *ssl, unsigned long code, const struct url *server,
	     struct err *err)
{
	long result = SSL_get_verify_result(ssl);

	if (result == X509_V_ERR_APPLICATION_VERIFICATION)
		err_set(err,
			"its key is not the one that session.ini pins with #sha256/");
	else if (result != X509_V_OK)
		err_set(err, "its certificate does not verify for %s: %s%s", server->host,
			X509_verify_cert_error_string(result), advice(result, server));
	else if (code != 0)
		err_set(err, "TLS fails: %s", ERR_reason_error_string(code));
	else
		err_set(err,
			"it closes the connection in the TLS handshake: does it "
			"serve %s over TLS on port %u?",
			server->scheme == URL_MQTTS ? "MQTT" : "TURN", server->port);
}
