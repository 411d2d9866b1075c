#ifndef MPCPROXY_TUNNEL_DIALOGUE_H
#define MPCPROXY_TUNNEL_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/header.h"

/*
 * What a SOCKS5 client says up to its request (RFC 1928, 3 and 4; RFC 1929): the server's
 * side, without sockets. All zero is the beginning.
 */
struct dialogue {
	enum { DIALOGUE_METHODS, DIALOGUE_PASSWORD, DIALOGUE_WAITS } state;
};

/* The longest of the client's messages. */
#define DIALOGUE_IN_MAX (3 + 255 + 255)
/* Two choices and a reply. */
#define DIALOGUE_OUT_MAX (2 + 2 + HEADER_REPLY_BYTES)

enum dialogue_result {
	DIALOGUE_MORE,    /* wants more bytes */
	DIALOGUE_REQUEST, /* the request is there, and not answered yet */
	DIALOGUE_END,     /* hang up when the answer has been sent */
};

/*
 * Take as much as is complete of the ${len} bytes at ${in}: ${*used} says how much. What is
 * to be answered is put into ${out}. With a ${user}, the client must know it and
 * ${password} (at most 255 bytes each).
 */
enum dialogue_result dialogue_take(struct dialogue *d, const char *user,
				   const char *password, const uint8_t *in, size_t len,
				   size_t *used, uint8_t out[DIALOGUE_OUT_MAX],
				   size_t *out_len, struct header_request *req);

#endif
