#ifndef MPCPROXY_TUNNEL_HEADER_H
#define MPCPROXY_TUNNEL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * SOCKS5's request and reply (RFC 1928, 4 and 6) in the one encoding that serves both
 * places where they are spoken: as the header of every stream between two parties, and
 * towards local programs on the `socks5` port.
 */
#define HEADER_HOST_MAX    255
#define HEADER_REQUEST_MAX (4 + 1 + HEADER_HOST_MAX + 2)
#define HEADER_REPLY_BYTES 10

/* Reply field of RFC 1928, 6. */
enum header_reply {
	REPLY_SUCCEEDED = 0,
	REPLY_FAILURE = 1,
	REPLY_NOT_ALLOWED = 2,
	REPLY_HOST_UNREACHABLE = 4,
	REPLY_REFUSED = 5,
	REPLY_COMMAND_UNKNOWN = 7,
	REPLY_ADDRESS_UNKNOWN = 8,
};

/* A CONNECT request. An IPv4 or IPv6 address is given as its text. */
struct header_request {
	char host[HEADER_HOST_MAX + 1];
	uint16_t port;
};

/* Parse a request from the ${len} bytes that are there so far. Returns the bytes it
 * takes, 0 when it is not complete, or minus an enum header_reply when it is malformed
 * or asks for something other than CONNECT. */
int header_parse_request(struct header_request *req, const uint8_t *data, size_t len);

/* Returns the length written to ${out}. ${req->host} is encoded as an address when it
 * is one. */
size_t header_encode_request(const struct header_request *req,
			     uint8_t out[HEADER_REQUEST_MAX]);

/* Always HEADER_REPLY_BYTES: bound address and port are not told. */
void header_encode_reply(enum header_reply reply, uint8_t out[HEADER_REPLY_BYTES]);

/* Parse what header_encode_reply() writes: the reply's code, or -1 when it is anything
 * else. */
int header_parse_reply(const uint8_t data[HEADER_REPLY_BYTES]);

/* The code in words. */
const char *header_reply_text(int reply);

#endif
