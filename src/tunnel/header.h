#ifndef MPCPROXY_TUNNEL_HEADER_H
#define MPCPROXY_TUNNEL_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "session/target.h"

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
	REPLY_NETWORK_UNREACHABLE = 3,
	REPLY_HOST_UNREACHABLE = 4,
	REPLY_REFUSED = 5,
	REPLY_TIMED_OUT = 6, /* "TTL expired" */
	REPLY_COMMAND_UNKNOWN = 7,
	REPLY_ADDRESS_UNKNOWN = 8,
};

/* A CONNECT or UDP ASSOCIATE request. An IPv4 or IPv6 address is given as its text. */
struct header_request {
	bool udp;
	char host[HEADER_HOST_MAX + 1];
	uint16_t port;
};

/* Parse a request from the ${len} bytes that are there so far. Returns the bytes it
 * takes, 0 when it is not complete, or minus an enum header_reply when it is malformed
 * or asks for BIND or something unknown. A name is of letters, digits, '.', '-', '_', or
 * unix:/PATH. */
int header_parse_request(struct header_request *req, const uint8_t *data, size_t len);

/* Returns the length written to ${out}. ${req->host} is encoded as an address when it
 * is one. */
size_t header_encode_request(const struct header_request *req,
			     uint8_t out[HEADER_REQUEST_MAX]);

/* Always HEADER_REPLY_BYTES: bound address and port are not told. */
void header_encode_reply(enum header_reply reply, uint8_t out[HEADER_REPLY_BYTES]);

/* A successful reply that tells the address and port ${bound} (RFC 1928, 6). Returns its
 * length. */
#define HEADER_BOUND_MAX (4 + 16 + 2)
size_t header_encode_bound(const union addr *bound, uint8_t out[HEADER_BOUND_MAX]);

/* What stands before each datagram between a client and us (RFC 1928, 7): from or to where
 * it goes. Parsing returns its length, or -1 when it is malformed or of a fragment. */
#define HEADER_DATAGRAM_MAX HEADER_REQUEST_MAX
int header_parse_datagram(struct header_request *req, const uint8_t *data, size_t len);
size_t header_encode_datagram(const struct header_request *req,
			      uint8_t out[HEADER_DATAGRAM_MAX]);

/* Parse what header_encode_reply() writes: the reply's code, or -1 when it is anything
 * else. */
int header_parse_reply(const uint8_t data[HEADER_REPLY_BYTES]);

/* The code in words, seen from the side that has asked. */
const char *header_reply_text(int reply);

/* What to reply when connecting failed with ${error} (errno). */
enum header_reply header_reply_for(int error);

/* The target of a stream between two parties as its header has it, and back. */
void header_request_for(struct header_request *req, const struct target *t, bool udp);
void header_target(struct target *t, const struct header_request *req);

#endif
