/*
 * Measures one TCP connection to a server of its own kind, directly or through
 * whatever carries it there:
 *
 *   tcp_bench server PORT              serve until killed
 *   tcp_bench latency PORT ROUNDS      64-byte ping-pong: p50 and p99 in microseconds
 *   tcp_bench throughput PORT MBYTES   one way, until the far end has it all: Mbit/s
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define MESSAGE_BYTES 64
#define CHUNK_BYTES   (256 * 1024)
#define WARM_UP       200 /* round trips that are not counted */
#define ROUNDS_MAX    10000000

/* The first byte of a connection says what it is for. */
#define MODE_ECHO 'e'
#define MODE_SINK 's'

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct sockaddr_in
loopback(unsigned long port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons((uint16_t)port)};

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sin;
}

static void
no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static void
write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0)
			die("write");
		p += n;
		len -= (size_t)n;
	}
}

static void
read_all(int fd, char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, p, len);

		if (n < 0)
			die("read");
		if (n == 0) {
			fprintf(stderr, "the connection has ended early\n");
			exit(1);
		}
		p += n;
		len -= (size_t)n;
	}
}

static void
serve_connection(int fd)
{
	static char buf[CHUNK_BYTES];
	uint64_t total = 0;
	ssize_t n;
	char mode;

	no_delay(fd);
	read_all(fd, &mode, 1);
	while ((n = read(fd, buf, sizeof buf)) > 0) {
		total += (uint64_t)n;
		if (mode == MODE_ECHO)
			write_all(fd, buf, (size_t)n);
	}
	if (mode == MODE_SINK)
		write_all(fd, (const char *)&total, sizeof total);
}

static _Noreturn void
serve(unsigned long port)
{
	struct sockaddr_in sin = loopback(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0 || listen(fd, 8) != 0)
		die("listen");
	printf("serving on %lu\n", port);
	fflush(stdout);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			die("accept");
		serve_connection(c);
		close(c);
	}
}

static int
dial(unsigned long port, char mode)
{
	struct sockaddr_in sin = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		die("connect");
	no_delay(fd);
	write_all(fd, &mode, 1);
	return fd;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
latency(unsigned long port, unsigned long rounds)
{
	double *us = calloc(rounds, sizeof *us);
	char message[MESSAGE_BYTES] = {0};
	int fd = dial(port, MODE_ECHO);

	if (us == NULL)
		die("calloc");
	for (unsigned long i = 0; i < WARM_UP + rounds; i++) {
		double start = now_us();

		write_all(fd, message, sizeof message);
		read_all(fd, message, sizeof message);
		if (i >= WARM_UP)
			us[i - WARM_UP] = now_us() - start;
	}
	qsort(us, rounds, sizeof *us, compare);
	printf("%.1f %.1f\n", us[rounds / 2], us[rounds - 1 - rounds / 100]);
	free(us);
	close(fd);
	return 0;
}

static int
throughput(unsigned long port, unsigned long mbytes)
{
	static char buf[CHUNK_BYTES];
	uint64_t total = (uint64_t)mbytes * 1000 * 1000, arrived;
	int fd = dial(port, MODE_SINK);
	double start = now_us();

	for (uint64_t left = total; left > 0;) {
		size_t n = left < sizeof buf ? (size_t)left : sizeof buf;

		write_all(fd, buf, n);
		left -= n;
	}
	shutdown(fd, SHUT_WR);
	read_all(fd, (char *)&arrived, sizeof arrived);
	if (arrived != total) {
		fprintf(stderr, "%llu bytes have arrived instead of %llu\n",
			(unsigned long long)arrived, (unsigned long long)total);
		return 1;
	}
	printf("%.0f\n", (double)total * 8 / (now_us() - start));
	close(fd);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long amount = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

	if (argc == 3 && strcmp(what, "server") == 0)
		serve(port);
	if (argc == 4 && amount > 0 && amount <= ROUNDS_MAX) {
		if (strcmp(what, "latency") == 0)
			return latency(port, amount);
		if (strcmp(what, "throughput") == 0)
			return throughput(port, amount);
	}
	fprintf(stderr, "usage: tcp_bench server PORT | latency PORT ROUNDS | "
			"throughput PORT MBYTES\n");
	return 2;
}
