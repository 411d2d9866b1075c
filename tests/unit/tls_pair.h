#ifndef MPCPROXY_TESTS_TLS_PAIR_H
#define MPCPROXY_TESTS_TLS_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/tls_internal.h"
#include "session/cert.h"

/*
 * A client and a server in memory: what one end wants in CRYPTO frames waits in its
 * queue until it is delivered to the other, whole or cut into pieces at random.
 */

#define ALPN            "mpcproxy/1"
#define TLS_LEVELS      3
#define TLS_QUEUE_MAX   (160 * 1024)
#define TLS_CALLS_NEVER 1000

/* A ${cut} that leaves the data in one piece. */
#define WHOLE SIZE_MAX

enum { CLIENT, SERVER };

struct tls_queue {
	uint8_t data[TLS_QUEUE_MAX];
	size_t len, sent;
};

struct tls_secret {
	uint8_t bytes[QUIC_SECRET_MAX];
	size_t len;
	enum quic_cipher cipher;
	unsigned times; /* how often it was reported */
};

struct tls_end {
	struct identity *id;
	SSL_CTX *ctx;
	struct quic_tls *tls;
	struct tls_queue out[TLS_LEVELS];
	struct tls_secret secrets[TLS_LEVELS][2]; /* [write] */
	uint8_t params[TLS_PARAMS_MAX];           /* the peer's */
	size_t params_len;
	unsigned params_times, alert_times;
	int alert;             /* or TLS_NO_ALERT */
	unsigned calls;        /* of crypto, secret and params */
	unsigned failing_call; /* which of them fails */
};

extern struct tls_end ends[2];
extern const char *const own_params[2];
extern const struct quic_tls_callbacks tls_end_callbacks;

/* Two identities, their contexts and a connection that has not begun. */
void pair_open(void);
void pair_close(void);

/* A new connection with the same identities and contexts. */
void pair_again(void);

/* Deliver what ${from} has at ${level}, in pieces of at most ${cut} bytes, until all is
 * there or the receiver fails. */
int pair_deliver(int from, enum quic_level level, size_t cut);

/* Both ends in turn until nothing is left to say, or one fails. */
int pair_pump(size_t cut);

/* From the beginning. */
int pair_handshake(size_t cut);

/* A flight is what one end says at one level. In a handshake without a
 * HelloRetryRequest there are four. */
#define TLS_FLIGHTS 4
struct tls_flight {
	int from;
	enum quic_level level;
};

extern const struct tls_flight flights[TLS_FLIGHTS];

/* Begin, and deliver the first ${n} flights. */
int pair_fly(int n);

/* Pseudo-random and the same in every run; less than ${n}. */
size_t pair_random(size_t n);

#endif
