#ifndef MPCPROXY_PATH_STUN_ANSWER_H
#define MPCPROXY_PATH_STUN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * The STUN server's part of a concluded ICE session (RFC 8445, 7.3): answers to the
 * Binding requests that reach a socket libnice does not read.
 */
struct stun_credentials {
	char username[2 * 256 + 2]; /* OURS:THEIRS, as in requests to us */
	char password[257];         /* ours */
	bool controlling;
};

#define STUN_ANSWER_MAX 548

/* Whether a datagram is STUN, by its first byte (RFC 7983, 7). */
bool stun_is_message(const uint8_t *data, size_t len);

/* The answer to ${data} from ${source}; 0 when there is none: only requests with the
 * right credentials get one. Returns its length in ${out}. */
size_t stun_answer(const struct stun_credentials *c, const union addr *source,
		   const uint8_t *data, size_t len, uint8_t out[STUN_ANSWER_MAX]);

#endif
