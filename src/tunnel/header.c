#include <arpa/inet.h>
#include <string.h>

#include "base/bytes.h"
#include "tunnel/header.h"

enum {
	SOCKS_VERSION = 5,
	SOCKS_CONNECT = 1,
	SOCKS_IPV4 = 1,
	SOCKS_NAME = 3,
	SOCKS_IPV6 = 4,
};

/* A name becomes part of log lines and look-ups: letters, digits, '.', '-', '_'. */
static bool
is_name(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool alnum = (p[i] >= '0' && p[i] <= '9') ||
			     (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z');
		if (!alnum && p[i] != '.' && p[i] != '-' && p[i] != '_')
			return false;
	}
	return len > 0;
}

/* The number of bytes that the host field takes after the address type, 0 when that
 * cannot be told yet, -1 for an unknown type. */
static int
host_bytes(uint8_t type, const struct reader *r)
{
	switch (type) {
	case SOCKS_IPV4:
		return 4;
	case SOCKS_IPV6:
		return 16;
	case SOCKS_NAME:
		return r->left == 0 ? 0 : 1 + r->p[0];
	default:
		return -1;
	}
}

int
header_parse_request(struct header_request *req, const uint8_t *data, size_t len)
{
	struct reader r;
	const uint8_t *host;
	uint8_t type;
	int n;

	reader_init(&r, data, len);
	if (len >= 1 && data[0] != SOCKS_VERSION)
		return -REPLY_FAILURE;
	if (len >= 2 && data[1] != SOCKS_CONNECT)
		return -REPLY_COMMAND_UNKNOWN;
	if (len >= 3 && data[2] != 0)
		return -REPLY_FAILURE;
	read_bytes(&r, 3);
	type = read_u8(&r);
	if (!r.ok)
		return 0;
	n = host_bytes(type, &r);
	if (n < 0)
		return -REPLY_ADDRESS_UNKNOWN;
	if (n == 0 || r.left < (size_t)n + 2)
		return 0;
	host = read_bytes(&r, (size_t)n);
	req->port = read_u16(&r);
	memset(req->host, 0, sizeof req->host);
	if (type == SOCKS_NAME) {
		if (!is_name(host + 1, host[0]))
			return -REPLY_ADDRESS_UNKNOWN;
		memcpy(req->host, host + 1, host[0]);
	} else {
		inet_ntop(type == SOCKS_IPV4 ? AF_INET : AF_INET6, host, req->host,
			  sizeof req->host);
	}
	return (int)(len - r.left);
}

size_t
header_encode_request(const struct header_request *req, uint8_t out[HEADER_REQUEST_MAX])
{
	struct writer w;
	uint8_t ip[16];

	writer_init(&w, out, HEADER_REQUEST_MAX);
	write_u8(&w, SOCKS_VERSION);
	write_u8(&w, SOCKS_CONNECT);
	write_u8(&w, 0);
	if (inet_pton(AF_INET, req->host, ip) == 1) {
		write_u8(&w, SOCKS_IPV4);
		write_bytes(&w, ip, 4);
	} else if (inet_pton(AF_INET6, req->host, ip) == 1) {
		write_u8(&w, SOCKS_IPV6);
		write_bytes(&w, ip, 16);
	} else {
		size_t len = strlen(req->host);

		write_u8(&w, SOCKS_NAME);
		write_u8(&w, (uint8_t)len);
		write_bytes(&w, req->host, len);
	}
	write_u16(&w, req->port);
	return w.len;
}

void
header_encode_reply(enum header_reply reply, uint8_t out[HEADER_REPLY_BYTES])
{
	memset(out, 0, HEADER_REPLY_BYTES);
	out[0] = SOCKS_VERSION;
	out[1] = (uint8_t)reply;
	out[3] = SOCKS_IPV4;
}

int
header_parse_reply(const uint8_t data[HEADER_REPLY_BYTES])
{
	uint8_t expected[HEADER_REPLY_BYTES];

	header_encode_reply((enum header_reply)data[1], expected);
	return memcmp(data, expected, sizeof expected) == 0 ? data[1] : -1;
}

const char *
header_reply_text(int reply)
{
	switch (reply) {
	case REPLY_SUCCEEDED:
		return "succeeded";
	case REPLY_NOT_ALLOWED:
		return "not exposed there";
	case REPLY_HOST_UNREACHABLE:
		return "no such party";
	case REPLY_REFUSED:
		return "nothing listens on that port there";
	case REPLY_COMMAND_UNKNOWN:
		return "only CONNECT is supported";
	case REPLY_ADDRESS_UNKNOWN:
		return "an address that is not understood";
	default:
		return "failed";
	}
}
