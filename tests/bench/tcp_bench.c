/*
 * Measures TCP connections to a server of its own kind, directly or through whatever
 * carries them there; with --socks ADDRESS:PORT as the first arguments through a SOCKS5
 * server, and then the server's ADDRESS may be a name:
 *
 *   tcp_bench server ADDRESS PORT
 *       serve until killed
 *   tcp_bench answer ADDRESS PORT
 *       the same in one process, for connections that come in numbers: echoes only
 *   tcp_bench latency ADDRESS PORT ROUNDS
 *       64-byte ping-pong: p50 and p99 in microseconds
 *   tcp_bench throughput ADDRESS PORT STREAMS SKIP_MS MS
 *       from the server, as received between SKIP_MS and SKIP_MS + MS after connecting:
 *       Mbit/s, Jain's index of the streams' shares, how many milliseconds after
 *       connecting the first 2 MB were there, and all bytes received
 *   tcp_bench streams ADDRESS PORT STREAMS
 *       open them all, then one echo on each: milliseconds until all have answered;
 *       they stay open until standard input ends
 *   tcp_bench connections ADDRESS PORT NUMBER PARALLEL
 *       each is opened, echoed once and closed, so many at a time: connections a second,
 *       and from the first SYN to the first byte p50 and p99 in microseconds
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define MESSAGE_BYTES 64
#define CHUNK_BYTES   (256 * 1024)
#define FIRST_BYTES   2000000 /* as large as MPyC's frames get */
#define WARM_UP       20      /* round trips that are not counted */
#define ROUNDS_MAX    1000000
#define STREAMS_MAX   64
#define MANY_MAX      10000
#define BACKLOG       1024
#define PATIENCE_MS   30000 /* without a byte: whatever carries it has failed */

/* The first byte of a connection says what it is for. */
#define MODE_ECHO   'e'
#define MODE_SOURCE 's'

/* RFC 1928 */
#define SOCKS_GREETING_BYTES 3
#define SOCKS_METHOD_BYTES   2
#define SOCKS_REPLY_BYTES    10 /* with an IPv4 address */
#define SOCKS_REQUEST_MAX    (5 + 255 + 2)

static char chunk[CHUNK_BYTES];
static const char *proxy_host; /* NULL: no SOCKS5 */
static const char *proxy_port;

static _Noreturn void
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
address(const char *host, const char *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};

	sin.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
		fprintf(stderr, "%s: not an IPv4 address\n", host);
		exit(2);
	}
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

/* In a process of its own, until the client has gone. */
static void
serve_connection(int fd)
{
	ssize_t n;
	char mode;

	no_delay(fd);
	if (read(fd, &mode, 1) != 1)
		return;
	if (mode == MODE_SOURCE) {
		while (send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) > 0)
			continue;
		return;
	}
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		if (send(fd, chunk, (size_t)n, MSG_NOSIGNAL) != n)
			return;
}

static int
listening(const char *host, const char *port)
{
	struct sockaddr_in sin = address(host, port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0 ||
	    listen(fd, BACKLOG) != 0)
		die("listen");
	printf("serving on %s\n", port);
	fflush(stdout);
	return fd;
}

static _Noreturn void
serve(const char *host, const char *port)
{
	int fd = listening(host, port);
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			die("accept");
		pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve_connection(c);
			_exit(0);
		}
		close(c);
	}
}

static void
watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl");
}

static _Noreturn void
answer(const char *host, const char *port)
{
	int listener = listening(host, port), epoll = epoll_create1(0);
	struct epoll_event events[64];

	watch(epoll, listener);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			ssize_t len;

			if (fd == listener) {
				fd = accept(listener, NULL, NULL);
				if (fd < 0)
					die("accept");
				no_delay(fd);
				watch(epoll, fd);
				continue;
			}
			len = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT);
			if (len <= 0 ||
			    send(fd, chunk, (size_t)len, MSG_NOSIGNAL) != len)
				close(fd);
		}
	}
}

/* Where to connect to. */
static struct sockaddr_in
first_hop(const char *host, const char *port)
{
	return proxy_host != NULL ? address(proxy_host, proxy_port) : address(host, port);
}

/* No authentication. */
static const char socks_greeting[SOCKS_GREETING_BYTES] = {5, 1, 0};

/* CONNECT to an IPv4 address or a name; its length. */
static size_t
socks_request(const char *host, const char *port, char out[SOCKS_REQUEST_MAX])
{
	uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
	size_t len = strlen(host);
	char *p = out;

	if (len > 255) {
		fprintf(stderr, "%s: too long a name\n", host);
		exit(2);
	}
	memcpy(p, (char[]){5, 1, 0}, 3);
	p += 3;
	if (inet_pton(AF_INET, host, p + 1) == 1) {
		*p = 1;
		p += 5;
	} else {
		p[0] = 3;
		p[1] = (char)len;
		memcpy(p + 2, host, len);
		p += 2 + len;
	}
	memcpy(p, &number, sizeof number);
	return (size_t)(p + sizeof number - out);
}

static void
socks_connect(int fd, const char *host, const char *port)
{
	char message[SOCKS_REQUEST_MAX];

	write_all(fd, socks_greeting, sizeof socks_greeting);
	read_all(fd, message, SOCKS_METHOD_BYTES);
	write_all(fd, message, socks_request(host, port, message));
	read_all(fd, message, SOCKS_REPLY_BYTES);
	if (message[1] != 0) {
		fprintf(stderr, "SOCKS5 reply %d\n", message[1]);
		exit(1);
	}
}

static int
dial(const char *host, const char *port, char mode)
{
	struct sockaddr_in sin = first_hop(host, port);
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		die("connect");
	no_delay(fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (proxy_host != NULL)
		socks_connect(fd, host, port);
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
latency(const char *host, const char *port, unsigned long rounds)
{
	double *us = calloc(rounds, sizeof *us);
	char message[MESSAGE_BYTES] = {0};
	int fd = dial(host, port, MODE_ECHO);

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

/* What each stream has brought, all together and in the time that counts. */
struct shares {
	struct pollfd fds[STREAMS_MAX];
	uint64_t counted[STREAMS_MAX];
	unsigned long n;
	uint64_t total;
};

/* Read what is there from every stream. */
static void
collect(struct shares *s, bool counts)
{
	ssize_t n;

	if (poll(s->fds, (nfds_t)s->n, PATIENCE_MS) <= 0) {
		fprintf(stderr, "nothing has come for %d s\n", PATIENCE_MS / 1000);
		exit(1);
	}
	for (unsigned long i = 0; i < s->n; i++) {
		if (s->fds[i].revents == 0)
			continue;
		n = recv(s->fds[i].fd, chunk, sizeof chunk, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			fprintf(stderr, "stream %lu has ended early\n", i);
			exit(1);
		}
		if (n < 0)
			continue;
		s->total += (uint64_t)n;
		if (counts)
			s->counted[i] += (uint64_t)n;
	}
}

static int
throughput(const char *host, const char *port, unsigned long streams, double skip_ms,
	   double ms)
{
	static struct shares s;
	double start = now_us(), first_ms = 0, now, from = 0, to = 0, sum = 0,
	       squares = 0;

	for (s.n = 0; s.n < streams; s.n++)
		s.fds[s.n] = (struct pollfd){.fd = dial(host, port, MODE_SOURCE),
					     .events = POLLIN};
	do {
		now = (now_us() - start) / 1e3;
		collect(&s, now >= skip_ms);
		to = (now_us() - start) / 1e3;
		if (from == 0 && to >= skip_ms)
			from = to;
		if (first_ms == 0 && s.total >= FIRST_BYTES)
			first_ms = to;
	} while (to < skip_ms + ms || first_ms == 0);
	for (unsigned long i = 0; i < streams; i++) {
		sum += (double)s.counted[i];
		squares += (double)s.counted[i] * (double)s.counted[i];
	}
	printf("%.2f %.3f %.1f %llu\n", sum * 8 / 1e3 / (to - from),
	       squares > 0 ? sum * sum / ((double)streams * squares) : 0, first_ms,
	       (unsigned long long)s.total);
	return 0;
}

static int
many(const char *host, const char *port, unsigned long streams)
{
	int *fd = calloc(streams, sizeof *fd);
	char message[MESSAGE_BYTES] = {0};
	double start = now_us();
	unsigned long i;

	if (fd == NULL)
		die("calloc");
	for (i = 0; i < streams; i++)
		fd[i] = dial(host, port, MODE_ECHO);
	for (i = 0; i < streams; i++)
		write_all(fd[i], message, sizeof message);
	for (i = 0; i < streams; i++)
		read_all(fd[i], message, sizeof message);
	printf("%.1f\n", (now_us() - start) / 1e3);
	fflush(stdout);
	while (read(STDIN_FILENO, message, sizeof message) > 0)
		continue;
	for (i = 0; i < streams; i++)
		close(fd[i]);
	free(fd);
	return 0;
}

/* One connection of many. */
struct passing {
	int fd;
	double start_us;
	size_t want, have; /* bytes of what is awaited now */
	enum { METHOD, REPLY, ECHO } awaits;
	char buf[MESSAGE_BYTES];
};

struct traffic {
	const char *host, *port;
	char request[SOCKS_REQUEST_MAX];
	size_t request_len;
	int epoll;
	unsigned long to_begin, done;
	double *us;
};

static void
await(struct passing *p, int what, size_t want)
{
	p->awaits = what;
	p->want = want;
	p->have = 0;
}

static void
ask_for_echo(struct passing *p)
{
	char message[MESSAGE_BYTES] = {MODE_ECHO};

	write_all(p->fd, message, sizeof message);
	await(p, ECHO, sizeof message);
}

static void
begin(struct traffic *t, struct passing *p)
{
	struct sockaddr_in sin = first_hop(t->host, t->port);
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = p}};

	t->to_begin--;
	p->start_us = now_us();
	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	/* On one LAN it takes no longer than a system call. */
	if (connect(p->fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		die("connect");
	no_delay(p->fd);
	if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, p->fd, &event) != 0)
		die("epoll_ctl");
	if (proxy_host == NULL) {
		ask_for_echo(p);
	} else {
		write_all(p->fd, socks_greeting, sizeof socks_greeting);
		await(p, METHOD, SOCKS_METHOD_BYTES);
	}
}

static void
go_on(struct traffic *t, struct passing *p)
{
	ssize_t n = recv(p->fd, p->buf + p->have, p->want - p->have, 0);

	if (n <= 0)
		die("a connection has ended early");
	if (p->awaits == ECHO && p->have == 0)
		t->us[t->done] = now_us() - p->start_us;
	p->have += (size_t)n;
	if (p->have < p->want)
		return;
	if (p->awaits == METHOD) {
		write_all(p->fd, t->request, t->request_len);
		await(p, REPLY, SOCKS_REPLY_BYTES);
	} else if (p->awaits == REPLY) {
		if (p->buf[1] != 0) {
			fprintf(stderr, "SOCKS5 reply %d\n", p->buf[1]);
			exit(1);
		}
		ask_for_echo(p);
	} else {
		t->done++;
		close(p->fd);
		if (t->to_begin > 0)
			begin(t, p);
	}
}

static int
connections(const char *host, const char *port, unsigned long number,
	    unsigned long parallel)
{
	struct traffic t = {.host = host, .port = port, .to_begin = number};
	struct passing all[STREAMS_MAX];
	struct epoll_event events[STREAMS_MAX];
	double start = now_us();

	t.us = calloc(number, sizeof *t.us);
	t.epoll = epoll_create1(0);
	if (t.us == NULL || t.epoll < 0)
		die("connections");
	t.request_len = socks_request(host, port, t.request);
	for (unsigned long i = 0; i < parallel && t.to_begin > 0; i++)
		begin(&t, &all[i]);
	while (t.done < number) {
		int n = epoll_wait(t.epoll, events, STREAMS_MAX, PATIENCE_MS);

		if (n <= 0)
			die("nothing has come");
		for (int i = 0; i < n; i++)
			go_on(&t, events[i].data.ptr);
	}
	qsort(t.us, number, sizeof *t.us, compare);
	printf("%.1f %.1f %.1f\n", (double)number * 1e6 / (now_us() - start),
	       t.us[number / 2], t.us[number - 1 - number / 100]);
	free(t.us);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *what;
	unsigned long amount;

	if (argc > 2 && strcmp(argv[1], "--socks") == 0) {
		char *colon = strchr(argv[2], ':');

		if (colon != NULL) {
			*colon = '\0';
			proxy_host = argv[2];
			proxy_port = colon + 1;
			argc -= 2;
			argv += 2;
		}
	}
	what = argc > 3 ? argv[1] : "";
	amount = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	if (argc == 4 && strcmp(what, "server") == 0)
		serve(argv[2], argv[3]);
	if (argc == 4 && strcmp(what, "answer") == 0)
		answer(argv[2], argv[3]);
	if (argc == 5 && strcmp(what, "latency") == 0 && amount > 0 &&
	    amount <= ROUNDS_MAX)
		return latency(argv[2], argv[3], amount);
	if (argc == 5 && strcmp(what, "streams") == 0 && amount > 0 && amount <= MANY_MAX)
		return many(argv[2], argv[3], amount);
	if (argc == 7 && strcmp(what, "throughput") == 0 && amount > 0 &&
	    amount <= STREAMS_MAX)
		return throughput(argv[2], argv[3], amount, strtod(argv[5], NULL),
				  strtod(argv[6], NULL));
	if (argc == 6 && strcmp(what, "connections") == 0 && amount > 0 &&
	    amount <= ROUNDS_MAX) {
		unsigned long parallel = strtoul(argv[5], NULL, 10);

		if (parallel > 0 && parallel <= STREAMS_MAX)
			return connections(argv[2], argv[3], amount, parallel);
	}
	fprintf(stderr, "usage: tcp_bench server|answer ADDRESS PORT\n"
			"       tcp_bench latency ADDRESS PORT ROUNDS\n"
			"       tcp_bench throughput ADDRESS PORT STREAMS SKIP_MS MS\n"
			"       tcp_bench streams ADDRESS PORT STREAMS\n"
			"       tcp_bench connections ADDRESS PORT NUMBER PARALLEL\n"
			"a client: --socks ADDRESS:PORT in front of it all\n");
	return 2;
}
