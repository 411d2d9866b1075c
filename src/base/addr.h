#ifndef MPCPROXY_BASE_ADDR_H
#define MPCPROXY_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* An IPv4 or IPv6 transport address; family AF_UNSPEC means none. */
union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* "[2001:db8::1]:65535" and a NUL, with room for a scope. */
#define ADDR_TEXT_BYTES 72

socklen_t addr_len(const union addr *a);
uint16_t addr_port(const union addr *a);
void addr_set_port(union addr *a, uint16_t port);
bool addr_equal(const union addr *a, const union addr *b);
bool addr_is_loopback(const union addr *a);

/* Whether it can be somebody's address in the internet: unicast, and not of those that
 * are for a network's own use (RFC 6890: private, shared, loopback, link-local, ...). The
 * documentation's addresses count as public. */
bool addr_is_public(const union addr *a);

/* Fill ${a} from numeric ${host} (no brackets, no names) and ${port}; -1 when it
 * is not an address. */
int addr_parse(union addr *a, const char *host, uint16_t port);

/* Fill ${a} from a sockaddr of the kernel's; -1 for another family. */
int addr_from_sockaddr(union addr *a, const struct sockaddr *sa, socklen_t len);

/* "127.0.0.1:80" or "[::1]:80" into ${out}; returns ${out}. */
char *addr_format(const union addr *a, char out[ADDR_TEXT_BYTES]);

/* Decimal 1..65535 and nothing else; -1 otherwise. */
int port_parse(uint16_t *port, const char *text);

/* A plain decimal number, no sign, no space, between ${min} and ${max}: parse
 * ${text} as one; -1 otherwise. */
int number_parse(uint64_t *out, const char *text, uint64_t min, uint64_t max);

#endif
