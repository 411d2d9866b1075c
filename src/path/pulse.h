#ifndef MPCPROXY_PATH_PULSE_H
#define MPCPROXY_PATH_PULSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A pulse tells whether a silent path carries datagrams again, before QUIC would ask: one
 * question, one answer, each authenticated by the ICE password of the side that answers.
 * Not STUN, because libnice keeps answers to itself that it did not ask for. The first
 * byte is one of DTLS's (RFC 7983, 7), which is never spoken here.
 */
#define PULSE_TOKEN_BYTES 16
#define PULSE_MAC_BYTES   16
#define PULSE_BYTES       (1 + PULSE_TOKEN_BYTES + PULSE_MAC_BYTES)

/* A question of full size is padded to what QUIC asks of every path (RFC 9000, 14), and so
 * is its answer. */
#define PULSE_FULL_BYTES 1200

enum pulse_type {
	PULSE_ASK = 0x20,
	PULSE_ANSWER = 0x21,
	PULSE_ASK_FULL = 0x22,
	PULSE_ANSWER_FULL = 0x23,
};

/* Whether a datagram is one or pretends to be. */
bool pulse_is_one(const uint8_t *data, size_t len);

/* Returns its length, 0 when OpenSSL fails. */
size_t pulse_write(uint8_t out[PULSE_FULL_BYTES], enum pulse_type type,
		   const uint8_t token[PULSE_TOKEN_BYTES], const char *password);

/* Whether ${data} has this type and was made with ${password}; its token then. */
bool pulse_read(const uint8_t *data, size_t len, enum pulse_type type,
		const char *password, uint8_t token[PULSE_TOKEN_BYTES]);

#endif
