#include "check.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "session/cert.h"

#define ALPN   "mpcproxy/1"
#define ROUNDS 20 /* of a handshake, which needs three */

static struct identity *alice, *bob, *mallory;

/* Two connections, each one's output the other's input. */
struct pair {
	SSL_CTX *client_ctx, *server_ctx;
	SSL *client, *server;
	bool client_done, server_done;
};

/* A context with neither certificate nor protocol. */
static SSL_CTX *
bare_ctx(bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	assert_non_null(ctx);
	return ctx;
}

static SSL_CTX *
our_ctx(const struct identity *id, bool server, const char *alpn)
{
	struct err err = {""};
	SSL_CTX *ctx = cert_ssl_ctx(id, server, alpn, &err);

	if (ctx == NULL)
		fail_msg("%s", err.text);
	return ctx;
}

static struct pair
pair_new(SSL_CTX *client_ctx, SSL_CTX *server_ctx)
{
	struct pair p = {.client_ctx = client_ctx, .server_ctx = server_ctx};
	BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());

	p.client = SSL_new(client_ctx);
	p.server = SSL_new(server_ctx);
	assert_non_null(p.client);
	assert_non_null(p.server);
	assert_true(BIO_up_ref(to_server));
	assert_true(BIO_up_ref(to_client));
	SSL_set_bio(p.client, to_client, to_server);
	SSL_set_bio(p.server, to_server, to_client);
	SSL_set_connect_state(p.client);
	SSL_set_accept_state(p.server);
	return p;
}

static void
pair_free(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
	SSL_CTX_free(p->client_ctx);
	SSL_CTX_free(p->server_ctx);
	ERR_clear_error();
}

static void
handshake(struct pair *p)
{
	char byte;

	for (int i = 0; i < ROUNDS; i++) {
		if (SSL_do_handshake(p->client) == 1)
			p->client_done = true;
		if (SSL_do_handshake(p->server) == 1)
			p->server_done = true;
	}
	/* A client learns only afterwards that its certificate was refused. */
	if (p->client_done && SSL_read(p->client, &byte, 1) <= 0 &&
	    SSL_get_error(p->client, -1) == SSL_ERROR_SSL)
		p->client_done = false;
}

/* Alice dials Bob; each expects the other. */
static struct pair
alice_and_bob(void)
{
	struct pair p = pair_new(our_ctx(alice, false, ALPN), our_ctx(bob, true, ALPN));

	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect(p.server, identity_pubkey(alice)), 0);
	return p;
}

static void
right_keys_meet(void **state)
{
	struct pair p = alice_and_bob();
	struct pubkey key;

	(void)state;
	assert_int_equal(cert_peer_key(p.client, &key), -1);
	handshake(&p);
	assert_true(p.client_done && p.server_done);
	assert_null(cert_failure(p.client));
	assert_null(cert_failure(p.server));
	assert_int_equal(SSL_version(p.client), TLS1_3_VERSION);
	assert_int_equal(cert_peer_key(p.client, &key), 0);
	assert_true(pubkey_equal(&key, identity_pubkey(bob)));
	assert_int_equal(cert_peer_key(p.server, &key), 0);
	assert_true(pubkey_equal(&key, identity_pubkey(alice)));
	pair_free(&p);
}

static void
client_refuses_wrong_key(void **state)
{
	struct pair p =
	    pair_new(our_ctx(alice, false, ALPN), our_ctx(mallory, true, ALPN));
	struct pubkey key;

	(void)state;
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.client), "the peer's key is not the roster's");
	assert_contains(cert_failure(p.server), "the peer refused: ");
	assert_int_equal(cert_peer_key(p.client, &key), -1);
	pair_free(&p);
}

static void
server_refuses_wrong_key(void **state)
{
	struct pair p = pair_new(our_ctx(mallory, false, ALPN), our_ctx(bob, true, ALPN));

	(void)state;
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect(p.server, identity_pubkey(alice)), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.server), "the peer's key is not the roster's");
	assert_contains(cert_failure(p.client), "the peer refused: ");
	pair_free(&p);
}

static void
server_refuses_client_without_certificate(void **state)
{
	SSL_CTX *ctx = bare_ctx(false);
	struct pair p;

	(void)state;
	assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\x0a" ALPN, 11),
			 0);
	p = pair_new(ctx, our_ctx(bob, true, ALPN));
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.server), "the peer presented no certificate");
	pair_free(&p);
}

static void
nobody_is_expected_unless_said(void **state)
{
	struct pair p = pair_new(our_ctx(alice, false, ALPN), our_ctx(bob, true, ALPN));

	(void)state;
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	handshake(&p);
	assert_false(p.server_done);
	assert_string_equal(cert_failure(p.server), "nobody was expected");
	pair_free(&p);
}

static void
anybody_proves_a_key(void **state)
{
	struct pair p = pair_new(our_ctx(mallory, false, ALPN), our_ctx(bob, true, ALPN));
	struct pubkey key;

	(void)state;
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_true(p.client_done && p.server_done);
	assert_int_equal(cert_peer_key(p.server, &key), 0);
	assert_true(pubkey_equal(&key, identity_pubkey(mallory)));
	pair_free(&p);
}

/* A key pair that claims ${public} with a private key that is not its own. */
static EVP_PKEY *
forge(const struct identity *public, const struct identity *private)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	char group[] = "prime256v1";
	struct pubkey pub = *identity_pubkey(public);
	BIGNUM *scalar = NULL;
	uint8_t bytes[32];
	EVP_PKEY *forged = NULL;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group - 1),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, pub.point, PUBKEY_BYTES),
	    OSSL_PARAM_BN(OSSL_PKEY_PARAM_PRIV_KEY, bytes, sizeof bytes),
	    OSSL_PARAM_END,
	};

	assert_int_equal(EVP_PKEY_get_bn_param(identity_evp(private),
					       OSSL_PKEY_PARAM_PRIV_KEY, &scalar),
			 1);
	assert_int_equal(BN_bn2nativepad(scalar, bytes, sizeof bytes), sizeof bytes);
	BN_clear_free(scalar);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &forged, EVP_PKEY_KEYPAIR, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return forged;
}

/* Replace the certificate of ${ctx} by one for ${key}; its signature and dates are as
 * bad as they can be, and nobody minds. */
static void
show_key(SSL_CTX *ctx, EVP_PKEY *key)
{
	X509 *cert = X509_new();

	assert_non_null(cert);
	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 3600));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), -3600));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(cert);
}

static void
key_that_is_only_shown_proves_nothing(void **state)
{
	EVP_PKEY *forged = forge(alice, mallory);
	SSL_CTX *ctx = our_ctx(mallory, false, ALPN);
	struct pair p;

	(void)state;
	show_key(ctx, forged);
	p = pair_new(ctx, our_ctx(bob, true, ALPN));
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect(p.server, identity_pubkey(alice)), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.server),
			    "the peer does not hold the key it shows");
	pair_free(&p);
	EVP_PKEY_free(forged);
}

static void
server_must_hold_its_key_too(void **state)
{
	EVP_PKEY *forged = forge(bob, mallory);
	SSL_CTX *ctx = our_ctx(mallory, true, ALPN);
	struct pair p;

	(void)state;
	show_key(ctx, forged);
	p = pair_new(our_ctx(alice, false, ALPN), ctx);
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.client),
			    "the peer does not hold the key it shows");
	pair_free(&p);
	EVP_PKEY_free(forged);
}

/* It ended before it began, by its own account. */
static void
dates_do_not_matter(void **state)
{
	SSL_CTX *ctx = our_ctx(alice, false, ALPN);
	struct pair p;

	(void)state;
	show_key(ctx, identity_evp(alice));
	p = pair_new(ctx, our_ctx(bob, true, ALPN));
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect(p.server, identity_pubkey(alice)), 0);
	handshake(&p);
	assert_true(p.client_done && p.server_done);
	pair_free(&p);
}

static void
refuses_other_curves(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	SSL_CTX *ctx = our_ctx(alice, false, ALPN);
	struct pair p;

	(void)state;
	show_key(ctx, p384);
	assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA256:ECDSA+SHA384"), 1);
	p = pair_new(ctx, our_ctx(bob, true, ALPN));
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_non_null(cert_failure(p.server));
	pair_free(&p);
	EVP_PKEY_free(p384);
}

static void
server_refuses_another_alpn(void **state)
{
	/* Another one, a longer one, none at all. */
	static const char *const others[] = {"h3", ALPN "0", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		SSL_CTX *ctx = others[i] != NULL ? our_ctx(alice, false, others[i])
						 : bare_ctx(false);
		struct pair p = pair_new(ctx, our_ctx(bob, true, ALPN));

		if (others[i] != NULL)
			assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
		else
			SSL_set_verify(p.client, SSL_VERIFY_NONE, NULL);
		assert_int_equal(cert_expect_any(p.server), 0);
		handshake(&p);
		assert_false(p.client_done || p.server_done);
		assert_string_equal(cert_failure(p.server),
				    "the peer speaks another protocol (ALPN)");
		if (others[i] != NULL)
			assert_contains(cert_failure(p.client),
					"no application protocol");
		pair_free(&p);
	}
}

static void
client_refuses_server_without_alpn(void **state)
{
	SSL_CTX *ctx = our_ctx(bob, true, ALPN);
	struct pair p;

	(void)state;
	SSL_CTX_set_alpn_select_cb(ctx, NULL, NULL);
	p = pair_new(our_ctx(alice, false, ALPN), ctx);
	assert_int_equal(cert_expect(p.client, identity_pubkey(bob)), 0);
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.client),
			    "the peer speaks another protocol (ALPN)");
	pair_free(&p);
}

static void
refuses_older_tls(void **state)
{
	SSL_CTX *ctx = bare_ctx(false);
	struct pair p;

	(void)state;
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\x0a" ALPN, 11),
			 0);
	p = pair_new(ctx, our_ctx(bob, true, ALPN));
	assert_int_equal(cert_expect_any(p.server), 0);
	handshake(&p);
	assert_false(p.client_done || p.server_done);
	assert_string_equal(cert_failure(p.server), "the peer does not speak TLS 1.3");
	pair_free(&p);
}

static void
every_handshake_is_a_full_one(void **state)
{
	struct pair p = alice_and_bob();
	SSL_SESSION *session;

	(void)state;
	handshake(&p);
	session = SSL_get1_session(p.client);
	assert_false(session != NULL && SSL_SESSION_is_resumable(session));
	SSL_SESSION_free(session);
	pair_free(&p);
}

static int
make_identities(void **state)
{
	(void)state;
	alice = identity_ephemeral(NULL);
	bob = identity_ephemeral(NULL);
	mallory = identity_ephemeral(NULL);
	return alice != NULL && bob != NULL && mallory != NULL ? 0 : -1;
}

static int
free_identities(void **state)
{
	(void)state;
	identity_free(alice);
	identity_free(bob);
	identity_free(mallory);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(right_keys_meet),
	    cmocka_unit_test(client_refuses_wrong_key),
	    cmocka_unit_test(server_refuses_wrong_key),
	    cmocka_unit_test(server_refuses_client_without_certificate),
	    cmocka_unit_test(nobody_is_expected_unless_said),
	    cmocka_unit_test(anybody_proves_a_key),
	    cmocka_unit_test(key_that_is_only_shown_proves_nothing),
	    cmocka_unit_test(server_must_hold_its_key_too),
	    cmocka_unit_test(dates_do_not_matter),
	    cmocka_unit_test(refuses_other_curves),
	    cmocka_unit_test(server_refuses_another_alpn),
	    cmocka_unit_test(client_refuses_server_without_alpn),
	    cmocka_unit_test(refuses_older_tls),
	    cmocka_unit_test(every_handshake_is_a_full_one),
	};

	return cmocka_run_group_tests(tests, make_identities, free_identities);
}
