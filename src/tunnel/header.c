#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "tunnel/header.h"

enum {
	SOCKS_VERSION = 5,
	SOCKS_CONNECT = 1,
	SOCKS_UDP_ASSOCIATE = 3,
	SOCKS_IPV4 = 1,
	SOCKS_NAME = 3,
	SOCKS_IPV6 = 4,
};

/* The file of a UNIX socket. */
static bool
is_unix(const uint8_t *p, size_t len)
{
	char text[HEADER_HOST_MAX + 1] = {0};

	if (len <= strlen(TARGET_UNIX) || memcmp(p, TARGET_UNIX, strlen(TARGET_UNIX)) != 0 ||
	    memchr(p, '\0', len) != NULL)
		return false;
	memcpy(text, p, len);
	return target_is_path(text + strlen(TARGET_UNIX));
}

/* A name becomes part of log lines and look-ups: letters, digits, '.', '-', '_'. */
static bool
is_name(const uint8_t *p, size_t len)
{
	if (is_unix(p, len))
		return true;
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
	if (len >= 2 && data[1] != SOCKS_CONNECT && data[1] != SOCKS_UDP_ASSOCIATE)
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
	req->udp = data[1] == SOCKS_UDP_ASSOCIATE;
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
	write_u8(&w, req->udp ? SOCKS_UDP_ASSOCIATE : SOCKS_CONNECT);
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
	case REPLY_NETWORK_UNREACHABLE:
		return "the network is unreachable from there";
	case REPLY_HOST_UNREACHABLE:
		return "the host is unreachable";
	case REPLY_TIMED_OUT:
		return "timed out";
	case REPLY_REFUSED:
		return "nothing listens there";
	case REPLY_COMMAND_UNKNOWN:
		return "the command is not supported";
	case REPLY_ADDRESS_UNKNOWN:
		return "an address that is not understood";
	default:
		return "failed";
	}
}

enum header_reply
header_reply_for(int error)
{
	switch (error) {
	case 0:
		return REPLY_SUCCEEDED;
	case ECONNREFUSED:
	case ENOENT: /* of a UNIX socket */
		return REPLY_REFUSED;
	case ENETUNREACH:
	case ENETDOWN:
		return REPLY_NETWORK_UNREACHABLE;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return REPLY_HOST_UNREACHABLE;
	case ETIMEDOUT:
		return REPLY_TIMED_OUT;
	default:
		return REPLY_FAILURE;
	}
}

/* What loopback is called in a header. */
#define LOOPBACK "127.0.0.1"

void
header_request_for(struct header_request *req, const struct target *t, bool udp)
{
	memset(req, 0, sizeof *req);
	req->udp = udp;
	req->port = t->port;
	snprintf(req->host, sizeof req->host, "%s",
		 t->host[0] != '\0' ? t->host : LOOPBACK);
}

void
header_target(struct target *t, const struct header_request *req)
{
	memset(t, 0, sizeof *t);
	t->port = req->port;
	if (strcmp(req->host, LOOPBACK) != 0)
		snprintf(t->host, sizeof t->host, "%s", req->host);
}

size_t
header_encode_bound(const union addr *bound, uint8_t out[HEADER_BOUND_MAX])
{
	struct writer w;

	writer_init(&w, out, HEADER_BOUND_MAX);
	write_u8(&w, SOCKS_VERSION);
	write_u8(&w, REPLY_SUCCEEDED);
	write_u8(&w, 0);
	if (bound->sa.sa_family == AF_INET) {
		write_u8(&w, SOCKS_IPV4);
		write_bytes(&w, &bound->in.sin_addr, 4);
	} else {
		write_u8(&w, SOCKS_IPV6);
		write_bytes(&w, &bound->in6.sin6_addr, 16);
	}
	write_u16(&w, addr_port(bound));
	return w.len;
}

/* As a request, but for two reserved bytes and the fragment in front. */
int
header_parse_datagram(struct header_request *req, const uint8_t *data, size_t len)
{
	uint8_t request[HEADER_REQUEST_MAX] = {SOCKS_VERSION, SOCKS_UDP_ASSOCIATE, 0};
	size_t n = len < sizeof request ? len : sizeof request;
	int used;

	if (len < 3 || data[0] != 0 || data[1] != 0 || data[2] != 0)
		return -1;
	memcpy(request + 3, data + 3, n - 3);
	used = header_parse_request(req, request, n);
	return used > 0 ? used : -1;
}

size_t
header_encode_datagram(const struct header_request *req, uint8_t out[HEADER_DATAGRAM_MAX])
{
	size_t len = header_encode_request(req, out);

	memset(out, 0, 3);
	return len;
}
