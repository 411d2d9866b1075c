#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/addr.h"
#include "run/ports.h"

/* Above what services have; and from where on we look when all of it is ephemeral. */
#define LOWEST   10000
#define HIGHEST  65535
#define ATTEMPTS 400

/* Linux's own default, should /proc not tell. */
#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST  60999

static void
ephemeral_range(unsigned *first, unsigned *last)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

	*first = EPHEMERAL_FIRST;
	*last = EPHEMERAL_LAST;
	if (f == NULL)
		return;
	if (fscanf(f, "%u %u", first, last) != 2 || *first > *last || *last > HIGHEST) {
		*first = EPHEMERAL_FIRST;
		*last = EPHEMERAL_LAST;
	}
	fclose(f);
}

static int
bind_to(int type, const char *host, uint16_t port)
{
	union addr at;
	int fd, on = 1;

	addr_parse(&at, host, port);
	fd = socket(at.sa.sa_family, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (at.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &at.sa, addr_len(&at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Whether a program could listen on it, on every address. */
static bool
is_free(uint16_t port)
{
	int fd = bind_to(SOCK_STREAM, "0.0.0.0", port), probe;

	if (fd < 0)
		return false;
	close(fd);
	/* A machine without IPv6 has no such port to be taken. */
	if ((probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		return true;
	close(probe);
	if ((fd = bind_to(SOCK_STREAM, "::", port)) < 0)
		return false;
	close(fd);
	return true;
}

/* What holds a port is a UDP socket on it, which is in nobody's way but another run's. */
static int
take(struct ports_hold *hold, uint16_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t port = (uint16_t)(first + i);
		int fd = bind_to(SOCK_DGRAM, "127.0.0.1", port);

		if (fd >= 0)
			hold->fds[hold->n++] = fd;
		if (fd < 0 || !is_free(port)) {
			ports_release(hold);
			return -1;
		}
	}
	return 0;
}

uint16_t
ports_find(struct ports_hold *hold, size_t n, struct err *err)
{
	unsigned low, high, below, above, random;

	ephemeral_range(&low, &high);
	/* The first port of a row can be one of so many. */
	below = low > LOWEST + n ? low - LOWEST - (unsigned)n : 0;
	above = HIGHEST - high > n ? HIGHEST - high - (unsigned)n : 0;
	if (below + above == 0) {
		err_set(err, "all ports of this machine are ephemeral ones "
			     "(net.ipv4.ip_local_port_range): choose some with -b");
		return 0;
	}
	for (int i = 0; i < ATTEMPTS; i++) {
		unsigned first;

		if (RAND_bytes((unsigned char *)&random, sizeof random) != 1)
			break;
		random %= below + above;
		first = random < below ? LOWEST + random : high + 1 + (random - below);
		if (take(hold, (uint16_t)first, n) == 0)
			return (uint16_t)first;
	}
	err_set(err, "no %zu free ports in a row are found: choose some with -b", n);
	return 0;
}

void
ports_release(struct ports_hold *hold)
{
	while (hold->n > 0)
		close(hold->fds[--hold->n]);
}
