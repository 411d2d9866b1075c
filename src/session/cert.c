#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "session/cert.h"

#define ALPN_MAX    255 /* RFC 7301, 3.1: one byte of length */
#define FAILURE_MAX 120

/* What a connection expects and what became of it: its ex_data. */
struct expectation {
	enum { EXPECT_NOBODY, EXPECT_KEY, EXPECT_ANY } who;
	struct pubkey key;
	char failure[FAILURE_MAX];
};

/* The context's ex_data. */
struct alpn {
	uint8_t wire[1 + ALPN_MAX];
	unsigned len;
};

static int expectation_index = -1;
static int alpn_index = -1;
static CRYPTO_ONCE indices_once = CRYPTO_ONCE_STATIC_INIT;

static void
free_ex_data(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	OPENSSL_free(ptr);
}

static void
make_indices(void)
{
	expectation_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_ex_data);
	alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_ex_data);
}

/* The connection's, made when it has none yet. */
static struct expectation *
get_expectation(SSL *ssl)
{
	struct expectation *e = SSL_get_ex_data(ssl, expectation_index);

	if (e != NULL)
		return e;
	e = OPENSSL_zalloc(sizeof *e);
	if (e != NULL && SSL_set_ex_data(ssl, expectation_index, e) != 1) {
		OPENSSL_free(e);
		return NULL;
	}
	return e;
}

/* The first reason is the cause, later ones follow from it. */
static void
note_failure(SSL *ssl, const char *what, const char *detail)
{
	struct expectation *e = get_expectation(ssl);

	if (e != NULL && e->failure[0] == '\0')
		snprintf(e->failure, sizeof e->failure, "%s%s", what, detail);
}

static bool
alpn_agreed(const SSL *ssl)
{
	const struct alpn *alpn = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index);
	const unsigned char *selected;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &selected, &len);
	return len == alpn->wire[0] && memcmp(selected, alpn->wire + 1, len) == 0;
}

/*
 * In place of all of X.509's path validation (RFC 5280, 6): is it the key we expect?
 * That the peer holds the private key is proved after this, by the signature of its
 * CertificateVerify (RFC 8446, 4.4.3), which OpenSSL checks against this certificate.
 */
static int
verify(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl =
	    X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct expectation *e = SSL_get_ex_data(ssl, expectation_index);
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	struct pubkey key;

	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	/* A server that chose no protocol at all comes this far; one of ours would
	 * have refused a client without it. */
	if (!alpn_agreed(ssl)) {
		note_failure(ssl, "the peer speaks another protocol (ALPN)", "");
		return 0;
	}
	if (cert == NULL || pubkey_from_evp(&key, X509_get0_pubkey(cert)) != 0) {
		note_failure(ssl, "the peer's key is not a P-256 key", "");
		return 0;
	}
	if (e == NULL || e->who == EXPECT_NOBODY) {
		note_failure(ssl, "nobody was expected", "");
		return 0;
	}
	if (e->who == EXPECT_KEY && !pubkey_equal(&key, &e->key)) {
		note_failure(ssl, "the peer's key is not the roster's", "");
		return 0;
	}
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

/* Alerts tell what the verification never gets to see. */
static void
watch_alerts(const SSL *ssl, int where, int value)
{
	int alert = value & 0xff;

	if ((where & SSL_CB_ALERT) == 0 || alert == SSL_AD_CLOSE_NOTIFY)
		return;
	if ((where & SSL_CB_READ) == SSL_CB_READ) {
		note_failure((SSL *)ssl,
			     "the peer refused: ", SSL_alert_desc_string_long(value));
		return;
	}
	switch (alert) {
	case TLS13_AD_CERTIFICATE_REQUIRED:
		note_failure((SSL *)ssl, "the peer presented no certificate", "");
		break;
	case SSL_AD_NO_APPLICATION_PROTOCOL:
		note_failure((SSL *)ssl, "the peer speaks another protocol (ALPN)", "");
		break;
	case SSL_AD_PROTOCOL_VERSION:
		note_failure((SSL *)ssl, "the peer does not speak TLS 1.3", "");
		break;
	case SSL_AD_DECRYPT_ERROR:
		note_failure((SSL *)ssl, "the peer does not hold the key it shows", "");
		break;
	default:
		note_failure((SSL *)ssl,
			     "the handshake failed: ", SSL_alert_desc_string_long(value));
		break;
	}
}

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	    const unsigned char *in, unsigned in_len, void *arg)
{
	const struct alpn *alpn = arg;
	unsigned char *selected;

	(void)ssl;
	if (SSL_select_next_proto(&selected, out_len, alpn->wire, alpn->len, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

/* Without the extension OpenSSL does not call select_alpn() and would go on. */
static int
require_alpn(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *data;
	size_t len;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl,
				      TLSEXT_TYPE_application_layer_protocol_negotiation,
				      &data, &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* Dates play no part, so that a clock that is wrong harms nobody: 99991231235959Z means
 * that the certificate does not end (RFC 5280, 4.1.2.5). */
static X509 *
make_cert(const struct identity *id)
{
	X509 *cert = X509_new();
	X509_NAME *name;

	if (cert == NULL)
		return NULL;
	name = X509_get_subject_name(cert);
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) != 1 ||
	    ASN1_TIME_set_string_X509(X509_getm_notBefore(cert), "19700101000000Z") !=
		1 ||
	    ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235959Z") != 1 ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				       (const unsigned char *)"mpcproxy", -1, -1,
				       0) != 1 ||
	    X509_set_issuer_name(cert, name) != 1 ||
	    X509_set_pubkey(cert, identity_evp(id)) != 1 ||
	    X509_sign(cert, identity_evp(id), EVP_sha256()) == 0) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static int
use_identity(SSL_CTX *ctx, const struct identity *id)
{
	X509 *cert = make_cert(id);
	int rc = -1;

	if (cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(ctx, identity_evp(id)) == 1)
		rc = 0;
	X509_free(cert);
	return rc;
}

static int
use_alpn(SSL_CTX *ctx, bool server, const char *name)
{
	size_t len = strlen(name);
	struct alpn *alpn;

	if (len == 0 || len > ALPN_MAX)
		return -1;
	alpn = OPENSSL_zalloc(sizeof *alpn);
	if (alpn == NULL)
		return -1;
	alpn->wire[0] = (uint8_t)len;
	memcpy(alpn->wire + 1, name, len);
	alpn->len = (unsigned)len + 1;
	if (SSL_CTX_set_ex_data(ctx, alpn_index, alpn) != 1) {
		OPENSSL_free(alpn);
		return -1;
	}
	if (server) {
		SSL_CTX_set_alpn_select_cb(ctx, select_alpn, alpn);
		SSL_CTX_set_client_hello_cb(ctx, require_alpn, NULL);
		return 0;
	}
	/* 0 means success, in this function alone. */
	return SSL_CTX_set_alpn_protos(ctx, alpn->wire, alpn->len) == 0 ? 0 : -1;
}

static int
use_groups(SSL_CTX *ctx)
{
	bool hybrid;

	/* There since OpenSSL 3.5. */
	ERR_set_mark();
	hybrid = SSL_CTX_set1_groups_list(ctx, "X25519MLKEM768:X25519") == 1;
	ERR_pop_to_mark();
	return hybrid || SSL_CTX_set1_groups_list(ctx, "X25519") == 1 ? 0 : -1;
}

SSL_CTX *
cert_ssl_ctx(const struct identity *id, bool server, const char *alpn, struct err *err)
{
	SSL_CTX *ctx;

	if (CRYPTO_THREAD_run_once(&indices_once, make_indices) != 1 ||
	    expectation_index < 0 || alpn_index < 0) {
		err_set(err, "OpenSSL has no room for our data");
		return NULL;
	}
	ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    use_groups(ctx) != 0 || SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256") != 1 ||
	    use_identity(ctx, id) != 0 || use_alpn(ctx, server, alpn) != 0) {
		err_ssl(err, "TLS cannot be set up");
		SSL_CTX_free(ctx);
		return NULL;
	}
	/* Neither tickets nor a cache: every handshake proves both keys afresh. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify, NULL);
	SSL_CTX_set_info_callback(ctx, watch_alerts);
	return ctx;
}

int
cert_expect(SSL *ssl, const struct pubkey *expected)
{
	struct expectation *e = get_expectation(ssl);

	if (e == NULL)
		return -1;
	e->who = EXPECT_KEY;
	e->key = *expected;
	return 0;
}

int
cert_expect_any(SSL *ssl)
{
	struct expectation *e = get_expectation(ssl);

	if (e == NULL)
		return -1;
	e->who = EXPECT_ANY;
	return 0;
}

const char *
cert_failure(const SSL *ssl)
{
	const struct expectation *e = SSL_get_ex_data(ssl, expectation_index);

	return e != NULL && e->failure[0] != '\0' ? e->failure : NULL;
}

int
cert_peer_key(const SSL *ssl, struct pubkey *key)
{
	X509 *cert;

	if (!SSL_is_init_finished(ssl))
		return -1;
	cert = SSL_get0_peer_certificate(ssl);
	if (cert == NULL)
		return -1;
	return pubkey_from_evp(key, X509_get0_pubkey(cert));
}
