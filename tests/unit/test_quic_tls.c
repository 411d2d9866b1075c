#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>

#include "tls_pair.h"

/* Handshakes that succeed, however their bytes arrive. */

static int
setup(void **state)
{
	(void)state;
	pair_open();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pair_close();
	return 0;
}

static void
assert_secrets_agree(enum quic_level level, int from)
{
	const struct tls_secret *w = &ends[from].secrets[level][1];
	const struct tls_secret *r = &ends[!from].secrets[level][0];

	assert_int_equal(w->times, 1);
	assert_int_equal(r->times, 1);
	assert_int_equal(w->cipher, r->cipher);
	assert_int_equal(w->len, r->len);
	assert_memory_equal(w->bytes, r->bytes, w->len);
}

static void
assert_complete(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		const char *theirs = own_params[!i];

		assert_string_equal(quic_tls_error(ends[i].tls), "");
		assert_true(quic_tls_complete(ends[i].tls));
		assert_int_equal(ends[i].alert, TLS_NO_ALERT);
		assert_int_equal(ends[i].params_times, 1);
		assert_int_equal(ends[i].params_len, strlen(theirs));
		assert_memory_equal(ends[i].params, theirs, strlen(theirs));
		assert_secrets_agree(QUIC_LEVEL_HANDSHAKE, i);
		assert_secrets_agree(QUIC_LEVEL_APPLICATION, i);
	}
}

static void
test_whole_flights(void **state)
{
	(void)state;
	assert_int_equal(pair_handshake(WHOLE), 0);
	assert_complete();
	assert_int_equal(ends[CLIENT].secrets[QUIC_LEVEL_APPLICATION][0].cipher,
			 QUIC_AES_128_GCM);
}

static void
test_random_pieces(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		pair_again();
		assert_int_equal(pair_handshake(1 + pair_random(600)), 0);
		assert_complete();
	}
}

static void
test_single_bytes(void **state)
{
	(void)state;
	assert_int_equal(pair_handshake(1), 0);
	assert_complete();
}

static void
test_nothing_at_all(void **state)
{
	(void)state;
	assert_int_equal(quic_tls_receive(ends[SERVER].tls, QUIC_LEVEL_INITIAL, NULL, 0),
			 0);
	assert_int_equal(pair_handshake(WHOLE), 0);
	assert_complete();
}

static void
test_every_cipher_suite(void **state)
{
	static const struct {
		const char *name;
		enum quic_cipher cipher;
	} suites[] = {
	    {"TLS_AES_128_GCM_SHA256", QUIC_AES_128_GCM},
	    {"TLS_AES_256_GCM_SHA384", QUIC_AES_256_GCM},
	    {"TLS_CHACHA20_POLY1305_SHA256", QUIC_CHACHA20_POLY1305},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof suites / sizeof *suites; i++) {
		pair_again();
		assert_int_equal(SSL_set_ciphersuites(ends[CLIENT].tls->ssl,
						      suites[i].name),
				 1);
		assert_int_equal(pair_handshake(300), 0);
		assert_complete();
		assert_int_equal(ends[SERVER].secrets[QUIC_LEVEL_APPLICATION][1].cipher,
				 suites[i].cipher);
	}
}

/* The types of the messages that an end said at a level, one character each. */
static const char *
types(int end, enum quic_level level)
{
	static const char letters[] = ".cs.....e..C.R.V....F";
	static char text[32];
	const struct tls_queue *q = &ends[end].out[level];
	size_t at = 0, n = 0;

	while (at + 4 <= q->len && n + 1 < sizeof text) {
		assert_true(q->data[at] < sizeof letters - 1);
		text[n++] = letters[q->data[at]];
		at += 4 + ((size_t)q->data[at + 1] << 16 | (size_t)q->data[at + 2] << 8 |
			   q->data[at + 3]);
	}
	assert_int_equal(at, q->len);
	text[n] = '\0';
	return text;
}

static void
test_each_message_once_and_at_its_level(void **state)
{
	(void)state;
	assert_int_equal(pair_handshake(WHOLE), 0);
	/* client_hello, server_hello, encrypted_extensions, certificate_Request,
	 * Certificate, certificate_Verify, Finished. */
	assert_string_equal(types(CLIENT, QUIC_LEVEL_INITIAL), "c");
	assert_string_equal(types(SERVER, QUIC_LEVEL_INITIAL), "s");
	assert_string_equal(types(SERVER, QUIC_LEVEL_HANDSHAKE), "eRCVF");
	assert_string_equal(types(CLIENT, QUIC_LEVEL_HANDSHAKE), "CVF");
	assert_string_equal(types(CLIENT, QUIC_LEVEL_APPLICATION), "");
	assert_string_equal(types(SERVER, QUIC_LEVEL_APPLICATION), "");
}

/* RFC 9001, 8.4: the session id, behind a header of 4 bytes, the version and the random
 * number, is empty. */
static void
test_no_compatibility_mode(void **state)
{
	(void)state;
	assert_int_equal(pair_fly(0), 0);
	assert_int_equal(ends[CLIENT].out[QUIC_LEVEL_INITIAL].data[4 + 2 + 32], 0);
}

/* The server wants another group than the client's first key share is of. */
static void
test_hello_retry_request(void **state)
{
	(void)state;
	assert_int_equal(SSL_CTX_set1_groups_list(ends[CLIENT].ctx, "X25519:P-256"), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(ends[SERVER].ctx, "P-256"), 1);
	pair_again();
	assert_int_equal(pair_handshake(100), 0);
	assert_complete();
	assert_string_equal(types(CLIENT, QUIC_LEVEL_INITIAL), "cc");
	assert_string_equal(types(SERVER, QUIC_LEVEL_INITIAL), "ss");
}

/* Certificates too long for one record and for many packets, from both ends. */
static void
test_long_certificate_chains(void **state)
{
	int i, copies;

	(void)state;
	for (i = 0; i < 2; i++)
		for (copies = 0; copies < 80; copies++)
			assert_int_equal(SSL_CTX_add1_chain_cert(ends[i].ctx,
								 SSL_CTX_get0_certificate(
								     ends[i].ctx)),
					 1);
	pair_again();
	assert_int_equal(pair_handshake(WHOLE), 0);
	assert_complete();
	for (i = 0; i < 2; i++)
		assert_true(ends[i].out[QUIC_LEVEL_HANDSHAKE].len > 16384);

	pair_again();
	assert_int_equal(pair_handshake(1200), 0);
	assert_complete();
}

/* Tickets from a server that sends them, one without a body among them. */
static void
test_tickets_are_discarded(void **state)
{
	static const uint8_t tickets[] = {4, 0, 0, 6, 4, 24, 13, 4, 0, 0, 4, 0, 0, 0};
	struct quic_tls *client = ends[CLIENT].tls;
	size_t i;

	(void)state;
	assert_int_equal(pair_handshake(WHOLE), 0);
	for (i = 0; i < sizeof tickets; i++)
		assert_int_equal(quic_tls_receive(client, QUIC_LEVEL_APPLICATION,
						  tickets + i, 1),
				 0);
	assert_int_equal(quic_tls_receive(client, QUIC_LEVEL_APPLICATION, tickets,
					  sizeof tickets),
			 0);
	assert_complete();
}

/* A connection that is given up may be at any point. */
static void
test_freed_midway(void **state)
{
	int flight;
	size_t stop;

	(void)state;
	for (flight = 0; flight < TLS_FLIGHTS; flight++)
		for (stop = 0; stop < 400; stop += 37) {
			const struct tls_flight *f = &flights[flight];
			struct tls_queue *q = &ends[f->from].out[f->level];

			pair_again();
			assert_int_equal(pair_fly(flight), 0);
			if (q->len > stop)
				q->len = stop;
			assert_int_equal(pair_deliver(f->from, f->level, WHOLE), 0);
		}
}

static int
add_foreign(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
	    size_t *len, X509 *x, size_t chain_index, int *alert, void *arg)
{
	(void)ssl;
	(void)type;
	(void)context;
	(void)x;
	(void)chain_index;
	(void)alert;
	(void)arg;
	*out = (const unsigned char *)"foreign";
	*len = 7;
	return 1;
}

/* Whether a handshake over a stream succeeds; ends ${ssl}. */
static bool
stream_handshake(SSL *ssl[2])
{
	BIO *bio[2];
	int i, done = 0;

	assert_int_equal(BIO_new_bio_pair(&bio[0], 0, &bio[1], 0), 1);
	for (i = 0; i < 2; i++) {
		assert_non_null(ssl[i]);
		SSL_set_bio(ssl[i], bio[i], bio[i]);
		assert_int_equal(cert_expect(ssl[i], identity_pubkey(ends[!i].id)), 0);
	}
	SSL_set_connect_state(ssl[CLIENT]);
	SSL_set_accept_state(ssl[SERVER]);
	for (i = 0; i < 8 && done < 2; i++)
		done = (SSL_do_handshake(ssl[CLIENT]) == 1) +
		       (SSL_do_handshake(ssl[SERVER]) == 1);
	for (i = 0; i < 2; i++)
		SSL_free(ssl[i]);
	return done == 2;
}

/* The same contexts serve TLS over a stream, without a trace of QUIC, even to a client
 * that sends transport parameters there. */
static void
test_contexts_serve_streams_too(void **state)
{
	SSL_CTX *foreign = cert_ssl_ctx(ends[CLIENT].id, false, ALPN, NULL);
	SSL *ssl[2];
	int i;

	(void)state;
	assert_non_null(foreign);
	assert_int_equal(SSL_CTX_add_custom_ext(foreign, 0x39,
						SSL_EXT_TLS1_3_ONLY |
						    SSL_EXT_CLIENT_HELLO,
						add_foreign, NULL, NULL, NULL, NULL),
			 1);
	for (i = 0; i < 2; i++) {
		ssl[CLIENT] = SSL_new(i == 0 ? ends[CLIENT].ctx : foreign);
		ssl[SERVER] = SSL_new(ends[SERVER].ctx);
		assert_true(stream_handshake(ssl));
	}
	assert_int_equal(ends[CLIENT].calls + ends[SERVER].calls, 0);
	SSL_CTX_free(foreign);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_whole_flights),
	    TEST(test_random_pieces),
	    TEST(test_single_bytes),
	    TEST(test_nothing_at_all),
	    TEST(test_every_cipher_suite),
	    TEST(test_each_message_once_and_at_its_level),
	    TEST(test_no_compatibility_mode),
	    TEST(test_hello_retry_request),
	    TEST(test_long_certificate_chains),
	    TEST(test_tickets_are_discarded),
	    TEST(test_freed_midway),
	    TEST(test_contexts_serve_streams_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
