#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"

socklen_t
addr_len(const union addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return sizeof a->in;
	case AF_INET6:
		return sizeof a->in6;
	default:
		return 0;
	}
}

uint16_t
addr_port(const union addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohs(a->in.sin_port);
	case AF_INET6:
		return ntohs(a->in6.sin6_port);
	default:
		return 0;
	}
}

void
addr_set_port(union addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else if (a->sa.sa_family == AF_INET6)
		a->in6.sin6_port = htons(port);
}

bool
addr_equal(const union addr *a, const union addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	switch (a->sa.sa_family) {
	case AF_INET:
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	case AF_INET6:
		return a->in6.sin6_port == b->in6.sin6_port &&
		       a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
		       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
	default:
		return true;
	}
}

bool
addr_is_loopback(const union addr *a)
{
	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	default:
		return false;
	}
}

/* RFC 6890, 2.2.2: networks whose addresses mean nothing outside. */
static const struct {
	uint32_t network;
	unsigned bits;
} not_public[] = {
    {0x00000000, 8},  /* 0.0.0.0: "this network" */
    {0x0a000000, 8},  /* 10.0.0.0: private */
    {0x64400000, 10}, /* 100.64.0.0: behind carriers' NATs */
    {0x7f000000, 8},  /* 127.0.0.0: loopback */
    {0xa9fe0000, 16}, /* 169.254.0.0: link-local */
    {0xac100000, 12}, /* 172.16.0.0: private */
    {0xc0000000, 24}, /* 192.0.0.0: protocols, DS-Lite */
    {0xc0a80000, 16}, /* 192.168.0.0: private */
    {0xc6120000, 15}, /* 198.18.0.0: measurements */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

bool
addr_is_public(const union addr *a)
{
	uint32_t ip;

	switch (a->sa.sa_family) {
	case AF_INET:
		ip = ntohl(a->in.sin_addr.s_addr);
		for (size_t i = 0; i < sizeof not_public / sizeof *not_public; i++)
			if (((ip ^ not_public[i].network) >> (32 - not_public[i].bits)) ==
			    0)
				return false;
		return true;
	case AF_INET6:
		/* 2000::/3 is all that is given out. */
		return a->in6.sin6_addr.s6_addr[0] >> 5 == 1;
	default:
		return false;
	}
}

int
addr_parse(union addr *a, const char *host, uint16_t port)
{
	memset(a, 0, sizeof *a);
	if (inet_pton(AF_INET, host, &a->in.sin_addr) == 1)
		a->sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1)
		a->sa.sa_family = AF_INET6;
	else
		return -1;
	addr_set_port(a, port);
	return 0;
}

int
addr_from_sockaddr(union addr *a, const struct sockaddr *sa, socklen_t len)
{
	memset(a, 0, sizeof *a);
	if (sa->sa_family == AF_INET && len >= sizeof a->in)
		memcpy(&a->in, sa, sizeof a->in);
	else if (sa->sa_family == AF_INET6 && len >= sizeof a->in6)
		memcpy(&a->in6, sa, sizeof a->in6);
	else
		return -1;
	return 0;
}

char *
addr_format(const union addr *a, char out[ADDR_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN];

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->in.sin_addr, host, sizeof host);
		snprintf(out, ADDR_TEXT_BYTES, "%s:%u", host, addr_port(a));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof host);
		snprintf(out, ADDR_TEXT_BYTES, "[%s]:%u", host, addr_port(a));
		break;
	default:
		snprintf(out, ADDR_TEXT_BYTES, "none");
		break;
	}
	return out;
}

int
number_parse(uint64_t *out, const char *text, uint64_t min, uint64_t max)
{
	uint64_t v = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		if (v > (UINT64_MAX - 9) / 10)
			return -1;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	if (v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

int
port_parse(uint16_t *port, const char *text)
{
	uint64_t v;

	if (number_parse(&v, text, 1, 65535) != 0)
		return -1;
	*port = (uint16_t)v;
	return 0;
}
