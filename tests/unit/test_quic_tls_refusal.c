#include "config.h" /* memmem() */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls_pair.h"

/* Handshakes that must fail: at the right end, with the right alert and reason, and
 * without coming back to life. */

#define REASON_LEVEL    "CRYPTO data at another level than TLS is at"
#define REASON_PARAMS   "the peer sent no QUIC transport parameters"
#define REASON_KEY      "the peer's key is not the roster's"
#define REASON_BOUNDARY "the handshake failed: unexpected" /* the rest is OpenSSL's */

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

/* ${end} has failed, with ${alert}, for the reason ${text}, and stays failed whatever
 * comes. */
static void
assert_failed(int end, int alert, const char *text)
{
	static const uint8_t more[] = {1, 0, 0, 1, 0};
	struct tls_end *e = &ends[end];
	unsigned calls = e->calls, alerts = alert == TLS_NO_ALERT ? 0 : 1;
	int level;

	if (strncmp(quic_tls_error(e->tls), text, strlen(text)) != 0)
		fail_msg("%s", quic_tls_error(e->tls));
	assert_int_equal(e->alert, alert);
	assert_int_equal(e->alert_times, alerts);
	assert_false(quic_tls_complete(e->tls));
	for (level = 0; level < TLS_LEVELS; level++) {
		enum quic_level l = (enum quic_level)level;

		assert_int_equal(quic_tls_receive(e->tls, l, more, sizeof more), -1);
		assert_int_equal(quic_tls_receive(e->tls, l, more, 0), -1);
	}
	assert_int_equal(quic_tls_start(e->tls), -1);
	assert_int_equal(e->calls, calls);
	assert_int_equal(e->alert_times, alerts);
	assert_memory_equal(quic_tls_error(e->tls), text, strlen(text));
}

/* Where ${text} is in what ${end} has said and not yet delivered. */
static uint8_t *
find_waiting(int end, enum quic_level level, const void *text, size_t len)
{
	struct tls_queue *q = &ends[end].out[level];
	uint8_t *p = memmem(q->data + q->sent, q->len - q->sent, text, len);

	assert_non_null(p);
	return p;
}

static void
test_params_changed_after_retry(void **state)
{
	(void)state;
	assert_int_equal(SSL_CTX_set1_groups_list(ends[CLIENT].ctx, "X25519:P-256"), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(ends[SERVER].ctx, "P-256"), 1);
	pair_again();
	assert_int_equal(pair_fly(2), 0);
	*find_waiting(CLIENT, QUIC_LEVEL_INITIAL, own_params[CLIENT],
		      strlen(own_params[CLIENT])) = 'P';
	assert_int_equal(pair_deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_failed(SERVER, SSL_AD_ILLEGAL_PARAMETER,
		      "the peer changed its transport parameters");
}

/* The extension's number in the ClientHello is made one that nobody knows. */
static void
test_client_without_params(void **state)
{
	uint8_t extension[4 + 64] = {0, 0x39, 0, (uint8_t)strlen(own_params[CLIENT])};

	(void)state;
	memcpy(extension + 4, own_params[CLIENT], extension[3]);
	assert_int_equal(pair_fly(0), 0);
	find_waiting(CLIENT, QUIC_LEVEL_INITIAL, extension, 4U + extension[3])[1] = 0xfe;
	assert_int_equal(pair_deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_int_equal(ends[SERVER].secrets[QUIC_LEVEL_HANDSHAKE][1].times, 0);
	assert_failed(SERVER, SSL_AD_MISSING_EXTENSION, REASON_PARAMS);
}

/* EncryptedExtensions cannot be altered unnoticed, so the client is made to forget. */
static void
test_server_without_params(void **state)
{
	struct tls_queue *q = &ends[SERVER].out[QUIC_LEVEL_HANDSHAKE];

	(void)state;
	assert_int_equal(pair_fly(2), 0);
	q->len--;
	assert_int_equal(pair_deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE), 0);
	q->len++;
	assert_non_null(ends[CLIENT].tls->peer_params);
	free(ends[CLIENT].tls->peer_params);
	ends[CLIENT].tls->peer_params = NULL;
	assert_int_equal(pair_deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE), -1);
	assert_int_equal(ends[CLIENT].secrets[QUIC_LEVEL_APPLICATION][0].times, 0);
	assert_failed(CLIENT, SSL_AD_MISSING_EXTENSION, REASON_PARAMS);
}

static void
test_own_params_too_long(void **state)
{
	static const uint8_t big[TLS_PARAMS_MAX + 1];
	struct err err;

	(void)state;
	assert_null(quic_tls_new(ends[CLIENT].ctx, false,
				 identity_pubkey(ends[SERVER].id), big, sizeof big,
				 &tls_end_callbacks, &ends[CLIENT], &err));
	assert_non_null(strstr(err.text, "4097 bytes of transport parameters"));
}

static void
test_other_alpn(void **state)
{
	static const unsigned char other[] = "\010other/10";

	(void)state;
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, other,
						 sizeof other - 1),
			 0);
	pair_again();
	assert_int_equal(pair_handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_NO_APPLICATION_PROTOCOL,
		      "the peer speaks another protocol (ALPN)");
}

static void
test_client_without_alpn(void **state)
{
	(void)state;
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, NULL, 0), 0);
	pair_again();
	assert_int_equal(pair_handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_NO_APPLICATION_PROTOCOL,
		      "the peer speaks another protocol (ALPN)");
}

static int
select_nothing(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	       const unsigned char *in, unsigned int in_len, void *arg)
{
	(void)ssl;
	(void)out;
	(void)out_len;
	(void)in;
	(void)in_len;
	(void)arg;
	return SSL_TLSEXT_ERR_NOACK;
}

/* Should a context not insist on ALPN, the handshake still does (RFC 9001, 8.1). */
static void
test_no_alpn_agreed(void **state)
{
	(void)state;
	SSL_CTX_set_alpn_select_cb(ends[SERVER].ctx, select_nothing, NULL);
	pair_again();
	assert_int_equal(pair_handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_NO_APPLICATION_PROTOCOL,
		      "the peer names no protocol (ALPN)");
}

/* From now on ${end} expects a key that nobody has. */
static void
expect_stranger(int end)
{
	struct identity *stranger = identity_ephemeral(NULL);
	struct tls_end *e = &ends[end];

	assert_non_null(stranger);
	quic_tls_free(e->tls);
	e->tls = quic_tls_new(e->ctx, end == SERVER, identity_pubkey(stranger), NULL, 0,
			      &tls_end_callbacks, e, NULL);
	assert_non_null(e->tls);
	identity_free(stranger);
}

static void
test_wrong_key(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		pair_again();
		expect_stranger(i);
		assert_int_equal(pair_handshake(WHOLE), -1);
		assert_int_not_equal(ends[i].alert, TLS_NO_ALERT);
		assert_failed(i, ends[i].alert, REASON_KEY);
		assert_int_equal(ends[i].secrets[QUIC_LEVEL_APPLICATION][0].times, 0);
	}
}

static int
trust_all(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* Should a context's verification let a wrong key pass, the handshake does not. */
static void
test_wrong_key_and_lax_context(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		SSL_CTX_set_cert_verify_callback(ends[i].ctx, trust_all, NULL);
		pair_again();
		expect_stranger(i);
		assert_int_equal(pair_handshake(WHOLE), -1);
		assert_failed(i, SSL_AD_BAD_CERTIFICATE, REASON_KEY);
	}
}

static void
test_client_without_certificate(void **state)
{
	static const unsigned char alpn[] = "\012" ALPN;
	int lax;

	(void)state;
	SSL_CTX_free(ends[CLIENT].ctx);
	ends[CLIENT].ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(ends[CLIENT].ctx);
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, alpn, sizeof alpn - 1),
			 0);
	for (lax = 0; lax < 2; lax++) {
		if (lax)
			SSL_CTX_set_verify(ends[SERVER].ctx, SSL_VERIFY_PEER, NULL);
		pair_again();
		assert_int_equal(pair_handshake(WHOLE), -1);
		if (lax)
			assert_failed(SERVER, SSL_AD_BAD_CERTIFICATE, REASON_KEY);
		else
			assert_failed(SERVER, SSL_AD_CERTIFICATE_REQUIRED,
				      "the peer presented no certificate");
	}
}

static void
test_endless_handshake(void **state)
{
	int i, copies;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (copies = 0; copies < 300; copies++)
			assert_int_equal(SSL_CTX_add1_chain_cert(ends[i].ctx,
								 SSL_CTX_get0_certificate(
								     ends[i].ctx)),
					 1);
		pair_again();
		assert_int_equal(pair_handshake(1200), -1);
		assert_failed(!i, TLS_NO_ALERT, "a handshake of more than 65536 bytes");
		assert_int_equal(SSL_CTX_clear_chain_certs(ends[i].ctx), 1);
	}
}

/* The keys change at the end of every flight: nothing may follow it at its level,
 * neither in the same piece (OpenSSL notices) nor in a later one. */
static void
test_data_left_over(void **state)
{
	static const uint8_t junk[] = {8, 0, 0, 2, 0, 0};
	int flight;

	(void)state;
	for (flight = 0; flight < TLS_FLIGHTS; flight++) {
		const struct tls_flight *f = &flights[flight];
		struct tls_queue *q = &ends[f->from].out[f->level];

		pair_again();
		assert_int_equal(pair_fly(flight), 0);
		memcpy(q->data + q->len, junk, sizeof junk);
		q->len += sizeof junk;
		assert_int_equal(pair_deliver(f->from, f->level, WHOLE), -1);
		assert_failed(!f->from, SSL_AD_UNEXPECTED_MESSAGE, REASON_BOUNDARY);

		pair_again();
		assert_int_equal(pair_fly(flight + 1), 0);
		assert_int_equal(quic_tls_receive(ends[!f->from].tls, f->level, junk, 1),
				 -1);
		assert_failed(!f->from, TLS_NO_ALERT, REASON_LEVEL);
	}
}

static void
test_flight_delivered_twice(void **state)
{
	int flight;

	(void)state;
	for (flight = 0; flight < TLS_FLIGHTS; flight++) {
		const struct tls_flight *f = &flights[flight];

		pair_again();
		assert_int_equal(pair_fly(flight + 1), 0);
		ends[f->from].out[f->level].sent = 0;
		assert_int_equal(pair_deliver(f->from, f->level, 500), -1);
		assert_failed(!f->from, TLS_NO_ALERT, REASON_LEVEL);
	}
}

/* So much in one piece that the backend has to hand it over in parts. */
static void
test_flight_twice_in_one_piece(void **state)
{
	struct tls_queue *q = &ends[CLIENT].out[QUIC_LEVEL_INITIAL];
	size_t len;

	(void)state;
	assert_int_equal(pair_fly(0), 0);
	for (len = q->len; q->len < 40000; q->len++)
		q->data[q->len] = q->data[q->len - len];
	assert_int_equal(pair_deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_failed(SERVER, SSL_AD_UNEXPECTED_MESSAGE, REASON_BOUNDARY);
}

static void
test_wrong_level(void **state)
{
	int flight, level;

	(void)state;
	for (flight = 0; flight < TLS_FLIGHTS; flight++)
		for (level = 0; level < TLS_LEVELS; level++) {
			const struct tls_flight *f = &flights[flight];
			struct tls_queue *q = &ends[f->from].out[f->level];

			if (level == (int)f->level)
				continue;
			pair_again();
			assert_int_equal(pair_fly(flight), 0);
			assert_int_equal(quic_tls_receive(ends[!f->from].tls,
							  (enum quic_level)level, q->data,
							  q->len),
					 -1);
			assert_failed(!f->from, TLS_NO_ALERT, REASON_LEVEL);
		}
}

/* Whichever callback of whichever end fails, the handshake fails with it at once, and
 * what still comes finds no half-made keys. */
static void
test_failing_callbacks(void **state)
{
	unsigned call;
	int end;

	(void)state;
	for (end = 0; end < 2; end++) {
		for (call = 0; call < TLS_CALLS_NEVER; call++) {
			pair_again();
			ends[end].failing_call = call;
			if (pair_handshake(400) == 0)
				break;
			assert_int_equal(ends[end].calls, call + 1);
			assert_failed(end, TLS_NO_ALERT, quic_tls_error(ends[end].tls));
			assert_string_not_equal(quic_tls_error(ends[end].tls), "");
		}
		/* Parameters, four secrets and at least three messages. */
		assert_in_range(call, 8, 32);
	}
}

/* One bit wrong anywhere, and the handshake does not complete where it arrived. */
static void
test_tampering(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 400; i++) {
		int flight = i % TLS_FLIGHTS;
		const struct tls_flight *f = &flights[flight];
		struct tls_queue *q = &ends[f->from].out[f->level];

		pair_again();
		assert_int_equal(pair_fly(flight), 0);
		q->data[pair_random(q->len)] ^= (uint8_t)(1U << pair_random(8));
		pair_pump(700);
		assert_false(quic_tls_complete(ends[!f->from].tls));
	}
}

static void
check_after_handshake(int end, uint8_t type, int alert, const char *text)
{
	const uint8_t message[] = {type, 0, 0, 1, 0};

	pair_again();
	assert_int_equal(pair_handshake(WHOLE), 0);
	assert_int_equal(quic_tls_receive(ends[end].tls, QUIC_LEVEL_APPLICATION, message,
					  sizeof message),
			 -1);
	assert_failed(end, alert, text);
}

static void
test_messages_after_the_handshake(void **state)
{
	(void)state;
	/* KeyUpdate: RFC 9001, 6. */
	check_after_handshake(CLIENT, 24, SSL_AD_UNEXPECTED_MESSAGE,
			      "a TLS message of type 24 after the handshake");
	check_after_handshake(SERVER, 24, SSL_AD_UNEXPECTED_MESSAGE,
			      "a TLS message of type 24 after the handshake");
	/* CertificateRequest: RFC 9001, 4.4. */
	check_after_handshake(CLIENT, 13, TLS_NO_ALERT,
			      "a certificate request after the handshake");
	/* No client sends tickets. */
	check_after_handshake(SERVER, 4, SSL_AD_UNEXPECTED_MESSAGE,
			      "a TLS message of type 4 after the handshake");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_params_changed_after_retry),
	    TEST(test_client_without_params),
	    TEST(test_server_without_params),
	    TEST(test_own_params_too_long),
	    TEST(test_other_alpn),
	    TEST(test_client_without_alpn),
	    TEST(test_no_alpn_agreed),
	    TEST(test_wrong_key),
	    TEST(test_wrong_key_and_lax_context),
	    TEST(test_client_without_certificate),
	    TEST(test_endless_handshake),
	    TEST(test_data_left_over),
	    TEST(test_flight_delivered_twice),
	    TEST(test_flight_twice_in_one_piece),
	    TEST(test_wrong_level),
	    TEST(test_failing_callbacks),
	    TEST(test_tampering),
	    TEST(test_messages_after_the_handshake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
