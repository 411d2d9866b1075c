#include "config.h" /* memmem() */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>

#include "quic/protect.h"
#include "quic/tls_internal.h"
#include "session/cert.h"

/* Mutual TLS in memory: what one end wants in CRYPTO frames goes to the other, cut
 * into pieces at random from a fixed seed. */

#define ALPN        "mpcproxy/1"
#define QUEUE_MAX   (160 * 1024)
#define WHOLE       SIZE_MAX
#define LEVELS      3
#define N_CALLS     64 /* more callbacks than a handshake has */
#define NOT_FAILING N_CALLS

#define ALERT_NONE (-1)

enum { CLIENT, SERVER };

struct queue {
	uint8_t data[QUEUE_MAX];
	size_t len, sent;
};

struct secret {
	uint8_t bytes[QUIC_SECRET_MAX];
	size_t len;
	enum quic_cipher cipher;
	unsigned times;
};

struct end {
	struct identity *id;
	SSL_CTX *ctx;
	struct quic_tls *tls;
	struct queue out[LEVELS];
	struct secret secrets[LEVELS][2]; /* [write] */
	uint8_t params[TLS_PARAMS_MAX];
	size_t params_len;
	unsigned params_times, alert_times, calls, failing_call;
	int alert;
};

static struct end ends[2];
static uint64_t seed;

static const char *const own_params[2] = {"parameters of the client",
					  "and of the server, which are longer"};

static size_t
below(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % n);
}

static int
count_call(struct end *e)
{
	return e->calls++ == e->failing_call ? -1 : 0;
}

static int
on_crypto(void *arg, enum quic_level level, const uint8_t *data, size_t len)
{
	struct end *e = arg;
	struct queue *q = &e->out[level];

	assert_true(len <= sizeof q->data - q->len);
	/* Nothing is sent at a level without its keys. */
	assert_true(level == QUIC_LEVEL_INITIAL || e->secrets[level][1].times == 1);
	memcpy(q->data + q->len, data, len);
	q->len += len;
	return count_call(e);
}

static int
on_secret(void *arg, enum quic_level level, bool write, enum quic_cipher cipher,
	  const uint8_t *secret, size_t len)
{
	struct end *e = arg;
	struct secret *s = &e->secrets[level][write];

	assert_int_not_equal(level, QUIC_LEVEL_INITIAL);
	assert_int_equal(len, protect_secret_bytes(cipher));
	memcpy(s->bytes, secret, len);
	s->len = len;
	s->cipher = cipher;
	s->times++;
	return count_call(e);
}

static int
on_params(void *arg, const uint8_t *data, size_t len)
{
	struct end *e = arg;

	assert_true(len <= sizeof e->params);
	memcpy(e->params, data, len);
	e->params_len = len;
	e->params_times++;
	return count_call(e);
}

static void
on_alert(void *arg, uint8_t alert)
{
	struct end *e = arg;

	e->alert = alert;
	e->alert_times++;
}

static const struct quic_tls_callbacks callbacks = {on_crypto, on_secret, on_params,
						    on_alert};

/* Begin anew with the same identities and contexts. */
static void
new_connection(void)
{
	struct err err;
	int i;

	for (i = 0; i < 2; i++) {
		struct end *e = &ends[i];
		struct identity *id = e->id;
		SSL_CTX *ctx = e->ctx;

		quic_tls_free(e->tls);
		memset(e, 0, sizeof *e);
		e->id = id;
		e->ctx = ctx;
		e->alert = ALERT_NONE;
		e->failing_call = NOT_FAILING;
	}
	for (i = 0; i < 2; i++) {
		ends[i].tls =
		    quic_tls_new(ends[i].ctx, i == SERVER, identity_pubkey(ends[!i].id),
				 (const uint8_t *)own_params[i], strlen(own_params[i]),
				 &callbacks, &ends[i], &err);
		if (ends[i].tls == NULL)
			fail_msg("%s", err.text);
	}
}

static int
setup(void **state)
{
	struct err err;
	int i;

	(void)state;
	seed = 20240611;
	for (i = 0; i < 2; i++) {
		ends[i].id = identity_ephemeral(&err);
		assert_non_null(ends[i].id);
		ends[i].ctx = cert_ssl_ctx(ends[i].id, i == SERVER, ALPN, &err);
		assert_non_null(ends[i].ctx);
	}
	new_connection();
	return 0;
}

static int
teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		quic_tls_free(ends[i].tls);
		SSL_CTX_free(ends[i].ctx);
		identity_free(ends[i].id);
	}
	memset(ends, 0, sizeof ends);
	return 0;
}

/* Hand what ${from} has at ${level} to the other end, in pieces of at most ${cut}
 * bytes (of random length unless WHOLE), until all is there or it fails. */
static int
deliver(int from, enum quic_level level, size_t cut)
{
	struct queue *q = &ends[from].out[level];

	while (q->sent < q->len) {
		size_t left = q->len - q->sent;
		size_t n = cut == WHOLE ? left : 1 + below(left < cut ? left : cut);
		size_t at = q->sent;

		q->sent += n;
		if (quic_tls_receive(ends[!from].tls, level, q->data + at, n) != 0)
			return -1;
	}
	return 0;
}

/* Both ends take turns until nothing is left to say. */
static int
pump(size_t cut)
{
	bool progress = true;
	int from, level;

	while (progress) {
		progress = false;
		for (from = 0; from < 2; from++)
			for (level = 0; level < LEVELS; level++) {
				struct queue *q = &ends[from].out[level];

				progress = progress || q->sent < q->len;
				if (deliver(from, (enum quic_level)level, cut) != 0)
					return -1;
			}
	}
	return 0;
}

static int
handshake(size_t cut)
{
	return quic_tls_start(ends[CLIENT].tls) == 0 ? pump(cut) : -1;
}

static void
assert_secrets_agree(enum quic_level level, int from)
{
	const struct secret *w = &ends[from].secrets[level][1];
	const struct secret *r = &ends[!from].secrets[level][0];

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
		assert_int_equal(ends[i].alert, ALERT_NONE);
		assert_int_equal(ends[i].params_times, 1);
		assert_int_equal(ends[i].params_len, strlen(theirs));
		assert_memory_equal(ends[i].params, theirs, strlen(theirs));
		assert_secrets_agree(QUIC_LEVEL_HANDSHAKE, i);
		assert_secrets_agree(QUIC_LEVEL_APPLICATION, i);
	}
}

/* ${end} has failed, with ${alert}, saying ${text}; and stays failed, whatever else
 * comes. */
static void
assert_failed(int end, int alert, const char *text)
{
	struct end *e = &ends[end];
	static const uint8_t more[] = {1, 0, 0, 1, 0};
	unsigned calls = e->calls;
	int level;

	assert_string_equal(quic_tls_error(e->tls), text);
	assert_int_equal(e->alert, alert);
	assert_int_equal(e->alert_times, alert == ALERT_NONE ? 0 : 1);
	assert_false(quic_tls_complete(e->tls));
	for (level = 0; level < LEVELS; level++) {
		assert_int_equal(quic_tls_receive(e->tls, (enum quic_level)level, more,
						  sizeof more),
				 -1);
		assert_int_equal(quic_tls_receive(e->tls, (enum quic_level)level, more,
						  0),
				 -1);
	}
	assert_int_equal(quic_tls_start(e->tls), -1);
	assert_int_equal(e->calls, calls);
	assert_int_equal(e->alert_times, alert == ALERT_NONE ? 0 : 1);
	assert_string_equal(quic_tls_error(e->tls), text);
}

static void
test_whole_flights(void **state)
{
	(void)state;
	assert_int_equal(handshake(WHOLE), 0);
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
		assert_int_equal(handshake(1 + below(600)), 0);
		assert_complete();
		new_connection();
	}
}

static void
test_single_bytes(void **state)
{
	(void)state;
	assert_int_equal(handshake(1), 0);
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
		new_connection();
		assert_int_equal(SSL_set_ciphersuites(ends[CLIENT].tls->ssl,
						      suites[i].name),
				 1);
		assert_int_equal(handshake(300), 0);
		assert_complete();
		assert_int_equal(ends[SERVER].secrets[QUIC_LEVEL_APPLICATION][1].cipher,
				 suites[i].cipher);
	}
}

/* The types of the messages in a queue, one character each: 'A' + type. */
static const char *
types(const struct queue *q)
{
	static char text[32];
	size_t at = 0, n = 0;

	while (at + 4 <= q->len && n + 1 < sizeof text) {
		text[n++] = (char)('A' + q->data[at]);
		at += 4 + ((size_t)q->data[at + 1] << 16 | (size_t)q->data[at + 2] << 8 |
			   q->data[at + 3]);
	}
	assert_int_equal(at, q->len);
	text[n] = '\0';
	return text;
}

/* client_hello 1 B, server_hello 2 C, encrypted_extensions 8 I, certificate 11 L,
 * certificate_request 13 N, certificate_verify 15 P, finished 20 U. */
static void
test_each_message_once_and_at_its_level(void **state)
{
	(void)state;
	assert_int_equal(handshake(WHOLE), 0);
	assert_string_equal(types(&ends[CLIENT].out[QUIC_LEVEL_INITIAL]), "B");
	assert_string_equal(types(&ends[SERVER].out[QUIC_LEVEL_INITIAL]), "C");
	assert_string_equal(types(&ends[SERVER].out[QUIC_LEVEL_HANDSHAKE]), "INLPU");
	assert_string_equal(types(&ends[CLIENT].out[QUIC_LEVEL_HANDSHAKE]), "LPU");
	assert_string_equal(types(&ends[CLIENT].out[QUIC_LEVEL_APPLICATION]), "");
	assert_string_equal(types(&ends[SERVER].out[QUIC_LEVEL_APPLICATION]), "");
}

static void
want_retry(void)
{
	assert_int_equal(SSL_CTX_set1_groups_list(ends[CLIENT].ctx, "X25519:P-256"), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(ends[SERVER].ctx, "P-256"), 1);
	new_connection();
}

static void
test_hello_retry_request(void **state)
{
	(void)state;
	want_retry();
	assert_int_equal(handshake(100), 0);
	assert_complete();
	assert_string_equal(types(&ends[CLIENT].out[QUIC_LEVEL_INITIAL]), "BB");
	assert_string_equal(types(&ends[SERVER].out[QUIC_LEVEL_INITIAL]), "CC");
}

/* Where ${text} is in what ${end} has not yet sent. */
static uint8_t *
find_unsent(int end, enum quic_level level, const void *text, size_t len)
{
	struct queue *q = &ends[end].out[level];
	uint8_t *p = memmem(q->data + q->sent, q->len - q->sent, text, len);

	assert_non_null(p);
	return p;
}

static void
test_params_changed_after_retry(void **state)
{
	(void)state;
	want_retry();
	assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
	assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), 0);
	assert_int_equal(deliver(SERVER, QUIC_LEVEL_INITIAL, WHOLE), 0);
	*find_unsent(CLIENT, QUIC_LEVEL_INITIAL, own_params[CLIENT],
		     strlen(own_params[CLIENT])) = 'P';
	assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_failed(SERVER, SSL_AD_ILLEGAL_PARAMETER,
		      "the peer changed its transport parameters");
}

/* A client without the extension: its number in the ClientHello is made another one. */
static void
test_client_without_params(void **state)
{
	uint8_t want[4 + 64] = {0, 0x39, 0, (uint8_t)strlen(own_params[CLIENT])};

	(void)state;
	memcpy(want + 4, own_params[CLIENT], want[3]);
	assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
	find_unsent(CLIENT, QUIC_LEVEL_INITIAL, want, 4U + want[3])[1] = 0xfe;
	assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_int_equal(ends[SERVER].secrets[QUIC_LEVEL_HANDSHAKE][1].times, 0);
	assert_failed(SERVER, SSL_AD_MISSING_EXTENSION,
		      "the peer sent no QUIC transport parameters");
}

/* A server without it; its EncryptedExtensions are authenticated, so they are made to
 * be forgotten by the client. */
static void
test_server_without_params(void **state)
{
	struct queue *q = &ends[SERVER].out[QUIC_LEVEL_HANDSHAKE];

	(void)state;
	assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
	assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), 0);
	assert_int_equal(deliver(SERVER, QUIC_LEVEL_INITIAL, WHOLE), 0);
	q->len--;
	assert_int_equal(deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE), 0);
	q->len++;
	free(ends[CLIENT].tls->peer_params);
	ends[CLIENT].tls->peer_params = NULL;
	assert_int_equal(deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE), -1);
	assert_int_equal(ends[CLIENT].secrets[QUIC_LEVEL_APPLICATION][0].times, 0);
	assert_failed(CLIENT, SSL_AD_MISSING_EXTENSION,
		      "the peer sent no QUIC transport parameters");
}

static void
test_other_alpn(void **state)
{
	static const unsigned char other[] = "\010other/10";

	(void)state;
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, other,
						 sizeof other - 1),
			 0);
	new_connection();
	assert_int_equal(handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_NO_APPLICATION_PROTOCOL,
		      "the peer speaks another protocol (ALPN)");
}

static void
test_client_without_alpn(void **state)
{
	(void)state;
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, NULL, 0), 0);
	new_connection();
	assert_int_equal(handshake(WHOLE), -1);
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

static void
test_no_alpn_agreed(void **state)
{
	(void)state;
	SSL_CTX_set_alpn_select_cb(ends[SERVER].ctx, select_nothing, NULL);
	new_connection();
	assert_int_equal(handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_NO_APPLICATION_PROTOCOL,
		      "the peer names no protocol (ALPN)");
}

static void
test_wrong_key(void **state)
{
	struct err err;
	struct identity *stranger = identity_ephemeral(&err);
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		new_connection();
		quic_tls_free(ends[i].tls);
		ends[i].tls =
		    quic_tls_new(ends[i].ctx, i == SERVER, identity_pubkey(stranger),
				 NULL, 0, &callbacks, &ends[i], &err);
		assert_non_null(ends[i].tls);
		assert_int_equal(handshake(WHOLE), -1);
		assert_int_not_equal(ends[i].alert, ALERT_NONE);
		assert_failed(i, ends[i].alert, "the peer's key is not the roster's");
		assert_int_equal(ends[i].secrets[QUIC_LEVEL_APPLICATION][0].times, 0);
	}
	identity_free(stranger);
}

static int
trust_all(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

/* Should the context's verification ever let a wrong key pass, the handshake must not. */
static void
test_wrong_key_with_lax_context(void **state)
{
	struct err err;
	struct identity *stranger = identity_ephemeral(&err);

	(void)state;
	SSL_CTX_set_cert_verify_callback(ends[CLIENT].ctx, trust_all, NULL);
	quic_tls_free(ends[CLIENT].tls);
	ends[CLIENT].tls =
	    quic_tls_new(ends[CLIENT].ctx, false, identity_pubkey(stranger), NULL, 0,
			 &callbacks, &ends[CLIENT], &err);
	assert_non_null(ends[CLIENT].tls);
	assert_int_equal(handshake(WHOLE), -1);
	assert_failed(CLIENT, SSL_AD_BAD_CERTIFICATE,
		      "the peer's key is not the roster's");
	identity_free(stranger);
}

static void
test_client_without_certificate(void **state)
{
	static const unsigned char alpn[] = "\012" ALPN;

	(void)state;
	SSL_CTX_free(ends[CLIENT].ctx);
	ends[CLIENT].ctx = SSL_CTX_new(TLS_method());
	assert_int_equal(SSL_CTX_set_alpn_protos(ends[CLIENT].ctx, alpn, sizeof alpn - 1),
			 0);
	new_connection();
	assert_int_equal(handshake(WHOLE), -1);
	assert_failed(SERVER, SSL_AD_CERTIFICATE_REQUIRED,
		      "the peer presented no certificate");
}

/* A certificate chain too long for one record and for many packets. */
static void
lengthen_chain(int end, int copies)
{
	X509 *cert = SSL_CTX_get0_certificate(ends[end].ctx);

	while (copies-- > 0)
		assert_int_equal(SSL_CTX_add1_chain_cert(ends[end].ctx, cert), 1);
	new_connection();
}

static void
test_long_certificate_chains(void **state)
{
	(void)state;
	lengthen_chain(CLIENT, 60);
	lengthen_chain(SERVER, 60);
	assert_int_equal(handshake(WHOLE), 0);
	assert_complete();
	assert_true(ends[CLIENT].out[QUIC_LEVEL_HANDSHAKE].len > 16384);
	assert_true(ends[SERVER].out[QUIC_LEVEL_HANDSHAKE].len > 16384);

	new_connection();
	assert_int_equal(handshake(1200), 0);
	assert_complete();
}

static void
test_endless_handshake(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		lengthen_chain(i, 300);
		assert_int_equal(handshake(1200), -1);
		assert_failed(!i, ALERT_NONE, "a handshake of more than 65536 bytes");
		assert_int_equal(SSL_CTX_clear_chain_certs(ends[i].ctx), 1);
	}
}

/* The keys change at the end of a ClientHello, ServerHello and Finished: nothing of the
 * old level may follow, neither in the same piece nor in a later one. */
static void
test_data_left_over(void **state)
{
	struct queue *q;
	int round;

	(void)state;
	for (round = 0; round < 2; round++) {
		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		q = &ends[CLIENT].out[QUIC_LEVEL_INITIAL];
		q->data[q->len++] = 1;
		assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL,
					 round == 0 ? WHOLE : 1),
				 -1);
		if (round == 0)
			assert_failed(SERVER, SSL_AD_UNEXPECTED_MESSAGE,
				      "the handshake failed: unexpected_message");
		else
			assert_failed(SERVER, ALERT_NONE,
				      "CRYPTO data at another level than TLS is at");

		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), 0);
		q = &ends[SERVER].out[QUIC_LEVEL_INITIAL];
		q->data[q->len++] = 8;
		assert_int_equal(deliver(SERVER, QUIC_LEVEL_INITIAL,
					 round == 0 ? WHOLE : 1),
				 -1);

		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), 0);
		assert_int_equal(deliver(SERVER, QUIC_LEVEL_INITIAL, WHOLE), 0);
		assert_int_equal(deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE), 0);
		q = &ends[CLIENT].out[QUIC_LEVEL_HANDSHAKE];
		q->data[q->len++] = 4;
		assert_int_equal(deliver(CLIENT, QUIC_LEVEL_HANDSHAKE,
					 round == 0 ? WHOLE : 1),
				 -1);
		assert_false(quic_tls_complete(ends[SERVER].tls));
	}
}

/* Longer than a record, so that it is not OpenSSL that notices. */
static void
test_much_data_left_over(void **state)
{
	struct queue *q = &ends[CLIENT].out[QUIC_LEVEL_INITIAL];
	size_t len;

	(void)state;
	assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
	len = q->len;
	for (; q->len < 40000; q->len++)
		q->data[q->len] = q->data[q->len - len];
	assert_int_equal(deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE), -1);
	assert_false(quic_tls_complete(ends[SERVER].tls));
	assert_string_not_equal(quic_tls_error(ends[SERVER].tls), "");
}

static void
test_data_twice(void **state)
{
	static const enum quic_level levels[] = {QUIC_LEVEL_INITIAL, QUIC_LEVEL_INITIAL,
						 QUIC_LEVEL_HANDSHAKE,
						 QUIC_LEVEL_HANDSHAKE};
	int flight, i;

	(void)state;
	/* Client and server in turn: their Initial flights, then the server's and the
	 * client's Handshake flights. */
	for (flight = 0; flight < 4; flight++) {
		static const int from[] = {CLIENT, SERVER, SERVER, CLIENT};
		int f = from[flight];

		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		for (i = 0; i <= flight; i++)
			assert_int_equal(deliver(from[i], levels[i], WHOLE), 0);
		ends[f].out[levels[flight]].sent = 0;
		assert_int_equal(deliver(f, levels[flight], 500), -1);
		assert_failed(!f, ALERT_NONE,
			      "CRYPTO data at another level than TLS is at");
	}
}

static void
test_wrong_level(void **state)
{
	int level;

	(void)state;
	for (level = QUIC_LEVEL_HANDSHAKE; level < LEVELS; level++) {
		struct queue *q = &ends[CLIENT].out[QUIC_LEVEL_INITIAL];

		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		assert_int_equal(quic_tls_receive(ends[SERVER].tls,
						  (enum quic_level)level, q->data,
						  q->len),
				 -1);
		assert_failed(SERVER, ALERT_NONE,
			      "CRYPTO data at another level than TLS is at");
	}
}

/* Whichever callback of whichever end fails, the handshake fails with it at once, and
 * what still comes finds no half-made keys. */
static void
test_failing_callbacks(void **state)
{
	int end;
	unsigned call;

	(void)state;
	for (end = 0; end < 2; end++) {
		for (call = 0; call < N_CALLS; call++) {
			new_connection();
			ends[end].failing_call = call;
			if (handshake(400) == 0)
				break;
			assert_int_equal(ends[end].calls, call + 1);
			assert_failed(end, ALERT_NONE, quic_tls_error(ends[end].tls));
			assert_string_not_equal(quic_tls_error(ends[end].tls), "");
		}
		/* A ClientHello, parameters, four secrets and some messages each. */
		assert_true(call > 8 && call < N_CALLS);
		assert_complete();
	}
}

static void
test_freed_midway(void **state)
{
	struct queue *q;
	size_t stop;
	int from, level;

	(void)state;
	for (from = 0; from < 2; from++)
		for (level = 0; level < QUIC_LEVEL_APPLICATION; level++)
			for (stop = 0; stop < 400; stop += 37) {
				new_connection();
				assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
				if (from == SERVER || level > 0)
					deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE);
				if (level > 0)
					deliver(SERVER, QUIC_LEVEL_INITIAL, WHOLE);
				if (from == CLIENT && level > 0)
					deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE);
				q = &ends[from].out[level];
				if (q->len > stop)
					q->len = stop;
				assert_int_equal(deliver(from, (enum quic_level)level,
							 WHOLE),
						 0);
			}
}

/* A bit wrong anywhere in the handshake, and it does not complete at the end that
 * received it. */
static void
test_tampering(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		int from = (int)below(2);
		enum quic_level level = (enum quic_level)below(2);
		struct queue *q = &ends[from].out[level];

		new_connection();
		assert_int_equal(quic_tls_start(ends[CLIENT].tls), 0);
		if (from == SERVER || level > 0)
			deliver(CLIENT, QUIC_LEVEL_INITIAL, WHOLE);
		if (level > 0)
			deliver(SERVER, QUIC_LEVEL_INITIAL, WHOLE);
		if (from == CLIENT && level > 0)
			deliver(SERVER, QUIC_LEVEL_HANDSHAKE, WHOLE);
		q->data[below(q->len)] ^= (uint8_t)(1U << below(8));
		pump(700);
		assert_false(quic_tls_complete(ends[!from].tls));
	}
}

static void
test_post_handshake(void **state)
{
	/* Two tickets, the second without a body. */
	static const uint8_t tickets[] = {4, 0, 0, 6, 4, 24, 13, 4, 0, 0, 4, 0, 0, 0};
	static const uint8_t key_update[] = {24, 0, 0, 1, 0};
	static const uint8_t request[] = {13, 0, 0, 0};
	struct quic_tls *client = ends[CLIENT].tls;
	size_t i;

	(void)state;
	assert_int_equal(handshake(WHOLE), 0);
	for (i = 0; i < sizeof tickets; i++)
		assert_int_equal(quic_tls_receive(client, QUIC_LEVEL_APPLICATION,
						  tickets + i, 1),
				 0);
	assert_int_equal(quic_tls_receive(client, QUIC_LEVEL_APPLICATION, tickets,
					  sizeof tickets),
			 0);
	assert_complete();
	/* RFC 9001, 6. */
	assert_int_equal(quic_tls_receive(client, QUIC_LEVEL_APPLICATION, key_update, 5),
			 -1);
	assert_failed(CLIENT, SSL_AD_UNEXPECTED_MESSAGE,
		      "a TLS message of type 24 after the handshake");
	/* No client sends tickets. */
	assert_int_equal(quic_tls_receive(ends[SERVER].tls, QUIC_LEVEL_APPLICATION,
					  tickets, 1),
			 -1);
	assert_failed(SERVER, SSL_AD_UNEXPECTED_MESSAGE,
		      "a TLS message of type 4 after the handshake");

	new_connection();
	assert_int_equal(handshake(WHOLE), 0);
	/* RFC 9001, 4.4. */
	assert_int_equal(quic_tls_receive(ends[CLIENT].tls, QUIC_LEVEL_APPLICATION,
					  request, 4),
			 -1);
	assert_failed(CLIENT, ALERT_NONE, "a certificate request after the handshake");
}

/* The same contexts serve TLS over a stream without a trace of QUIC. */
static void
test_contexts_without_quic(void **state)
{
	SSL *ssl[2];
	BIO *bio[2];
	int i, done = 0;

	(void)state;
	assert_int_equal(BIO_new_bio_pair(&bio[0], 0, &bio[1], 0), 1);
	for (i = 0; i < 2; i++) {
		ssl[i] = SSL_new(ends[i].ctx);
		assert_non_null(ssl[i]);
		SSL_set_bio(ssl[i], bio[i], bio[i]);
		assert_int_equal(cert_expect(ssl[i], identity_pubkey(ends[!i].id)), 0);
	}
	SSL_set_connect_state(ssl[CLIENT]);
	SSL_set_accept_state(ssl[SERVER]);
	for (i = 0; i < 8 && done < 2; i++)
		done = (SSL_do_handshake(ssl[CLIENT]) == 1) +
		       (SSL_do_handshake(ssl[SERVER]) == 1);
	assert_int_equal(done, 2);
	assert_int_equal(ends[CLIENT].calls + ends[SERVER].calls, 0);
	for (i = 0; i < 2; i++)
		SSL_free(ssl[i]);
}

static void
test_params_too_long(void **state)
{
	static const uint8_t big[TLS_PARAMS_MAX + 1];
	struct err err;

	(void)state;
	assert_null(quic_tls_new(ends[CLIENT].ctx, false,
				 identity_pubkey(ends[SERVER].id), big, sizeof big,
				 &callbacks, &ends[CLIENT], &err));
	assert_non_null(strstr(err.text, "4097 bytes of transport parameters"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_whole_flights),
	    TEST(test_random_pieces),
	    TEST(test_single_bytes),
	    TEST(test_every_cipher_suite),
	    TEST(test_each_message_once_and_at_its_level),
	    TEST(test_hello_retry_request),
	    TEST(test_params_changed_after_retry),
	    TEST(test_client_without_params),
	    TEST(test_server_without_params),
	    TEST(test_other_alpn),
	    TEST(test_client_without_alpn),
	    TEST(test_no_alpn_agreed),
	    TEST(test_wrong_key),
	    TEST(test_wrong_key_with_lax_context),
	    TEST(test_client_without_certificate),
	    TEST(test_long_certificate_chains),
	    TEST(test_endless_handshake),
	    TEST(test_data_left_over),
	    TEST(test_much_data_left_over),
	    TEST(test_data_twice),
	    TEST(test_wrong_level),
	    TEST(test_failing_callbacks),
	    TEST(test_freed_midway),
	    TEST(test_tampering),
	    TEST(test_post_handshake),
	    TEST(test_contexts_without_quic),
	    TEST(test_params_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
