#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quic/protect.h"
#include "tls_pair.h"

#define SEED 20240611

/* As assert(), but not to be switched off. */
#define MUST(condition)                                                                  \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
			abort();                                                         \
		}                                                                        \
	} while (0)

struct tls_end ends[2];

const char *const own_params[2] = {"parameters of the client",
				   "and of the server, which are longer"};

const struct tls_flight flights[TLS_FLIGHTS] = {
    {CLIENT, QUIC_LEVEL_INITIAL},
    {SERVER, QUIC_LEVEL_INITIAL},
    {SERVER, QUIC_LEVEL_HANDSHAKE},
    {CLIENT, QUIC_LEVEL_HANDSHAKE},
};

static uint64_t random_state = SEED;

size_t
pair_random(size_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % n);
}

static int
count_call(struct tls_end *e)
{
	return e->calls++ == e->failing_call ? -1 : 0;
}

static int
on_crypto(void *arg, enum quic_level level, const uint8_t *data, size_t len)
{
	struct tls_end *e = arg;
	struct tls_queue *q = &e->out[level];

	/* Nothing is sent at a level before there are keys for it. */
	MUST(level == QUIC_LEVEL_INITIAL || e->secrets[level][1].times == 1);
	MUST(len <= sizeof q->data - q->len);
	memcpy(q->data + q->len, data, len);
	q->len += len;
	return count_call(e);
}

static int
on_secret(void *arg, enum quic_level level, bool write, enum quic_cipher cipher,
	  const uint8_t *secret, size_t len)
{
	struct tls_end *e = arg;
	struct tls_secret *s = &e->secrets[level][write];

	MUST(level != QUIC_LEVEL_INITIAL);
	MUST(len == protect_secret_bytes(cipher));
	memcpy(s->bytes, secret, len);
	s->len = len;
	s->cipher = cipher;
	s->times++;
	return count_call(e);
}

static int
on_params(void *arg, const uint8_t *data, size_t len)
{
	struct tls_end *e = arg;

	MUST(len <= sizeof e->params);
	memcpy(e->params, data, len);
	e->params_len = len;
	e->params_times++;
	return count_call(e);
}

static void
on_alert(void *arg, uint8_t alert)
{
	struct tls_end *e = arg;

	e->alert = alert;
	e->alert_times++;
}

const struct quic_tls_callbacks tls_end_callbacks = {on_crypto, on_secret, on_params,
						     on_alert};

void
pair_again(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct tls_end *e = &ends[i];

		quic_tls_free(e->tls);
		memset(e->out, 0, sizeof e->out);
		memset(e->secrets, 0, sizeof e->secrets);
		e->params_times = e->alert_times = e->calls = 0;
		e->alert = TLS_NO_ALERT;
		e->failing_call = TLS_CALLS_NEVER;
		e->tls = quic_tls_new(e->ctx, i == SERVER, identity_pubkey(ends[!i].id),
				      (const uint8_t *)own_params[i],
				      strlen(own_params[i]), &tls_end_callbacks, e, NULL);
		MUST(e->tls != NULL);
	}
}

void
pair_open(void)
{
	int i;

	random_state = SEED;
	for (i = 0; i < 2; i++) {
		MUST((ends[i].id = identity_ephemeral(NULL)) != NULL);
		MUST((ends[i].ctx = cert_ssl_ctx(ends[i].id, i == SERVER, ALPN, NULL)) !=
		     NULL);
	}
	pair_again();
}

void
pair_close(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		quic_tls_free(ends[i].tls);
		SSL_CTX_free(ends[i].ctx);
		identity_free(ends[i].id);
	}
	memset(ends, 0, sizeof ends);
}

int
pair_deliver(int from, enum quic_level level, size_t cut)
{
	struct tls_queue *q = &ends[from].out[level];

	while (q->sent < q->len) {
		size_t left = q->len - q->sent;
		size_t n = cut == WHOLE ? left : 1 + pair_random(left < cut ? left : cut);
		size_t at = q->sent;

		q->sent += n;
		if (quic_tls_receive(ends[!from].tls, level, q->data + at, n) != 0)
			return -1;
	}
	return 0;
}

int
pair_pump(size_t cut)
{
	bool progress = true;
	int from, level;

	while (progress) {
		progress = false;
		for (from = 0; from < 2; from++)
			for (level = 0; level < TLS_LEVELS; level++) {
				struct tls_queue *q = &ends[from].out[level];

				progress = progress || q->sent < q->len;
				if (pair_deliver(from, (enum quic_level)level, cut) != 0)
					return -1;
			}
	}
	return 0;
}

int
pair_handshake(size_t cut)
{
	return quic_tls_start(ends[CLIENT].tls) == 0 ? pair_pump(cut) : -1;
}

int
pair_fly(int n)
{
	int i;

	if (quic_tls_start(ends[CLIENT].tls) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (pair_deliver(flights[i].from, flights[i].level, WHOLE) != 0)
			return -1;
	return 0;
}
