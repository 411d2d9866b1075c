/*
 * The floor for small messages: what it takes to carry a TCP connection in datagrams from
 * one process to another, without encryption, acknowledgements or a second connection. A
 * proxy cannot do with fewer wake-ups or system calls.
 *
 *   bare_relay listen ADDRESS PORT OWN PEER UDP_PORT
 *       take connections to ADDRESS:PORT, one after the other, from UDP OWN to PEER
 *   bare_relay dial ADDRESS PORT OWN PEER UDP_PORT
 *       connect to ADDRESS:PORT for each that is opened at the other end
 *
 * Addresses are IPv4. It counts on a network that loses nothing.
 */
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
#include <sys/socket.h>

#define CHUNK_BYTES 32768
#define RETRY_NS    10000000

/* The first byte of a datagram. */
#define SAYS_OPEN  'o'
#define SAYS_DATA  'd'
#define SAYS_CLOSE 'c'

static int epoll_fd, udp_fd, listen_fd = -1, tcp_fd = -1;
static struct sockaddr_in target;

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in
address(const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die(host);
	return a;
}

static int
new_socket(int type, const struct sockaddr_in *own)
{
	int fd = socket(AF_INET, type, 0), on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (own != NULL && bind(fd, (const struct sockaddr *)own, sizeof *own) != 0)
		die("bind");
	return fd;
}

static void
watch(int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl");
}

static void
say(char what)
{
	if (send(udp_fd, &what, 1, 0) != 1)
		die("send");
}

static void
have(int fd)
{
	int on = 1;

	if (fd < 0)
		die("no connection");
	if (tcp_fd >= 0)
		close(tcp_fd);
	tcp_fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	watch(fd);
}

/* The server may start later. */
static int
dial(void)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	int fd;

	for (;;) {
		fd = new_socket(SOCK_STREAM, NULL);
		if (connect(fd, (struct sockaddr *)&target, sizeof target) == 0)
			return fd;
		close(fd);
		nanosleep(&pause, NULL);
	}
}

static void
on_datagram(void)
{
	char data[1 + CHUNK_BYTES];
	ssize_t n = recv(udp_fd, data, sizeof data, 0);

	if (n < 1)
		return;
	switch (data[0]) {
	case SAYS_OPEN:
		have(dial());
		break;
	case SAYS_DATA:
		if (tcp_fd >= 0 &&
		    send(tcp_fd, data + 1, (size_t)n - 1, MSG_NOSIGNAL) < 0)
			perror("send");
		break;
	default:
		if (tcp_fd >= 0)
			close(tcp_fd);
		tcp_fd = -1;
	}
}

static void
on_data(void)
{
	char data[1 + CHUNK_BYTES] = {SAYS_DATA};
	ssize_t n = recv(tcp_fd, data + 1, CHUNK_BYTES, 0);

	if (n > 0) {
		if (send(udp_fd, data, (size_t)n + 1, 0) < 0)
			die("send");
		return;
	}
	close(tcp_fd);
	tcp_fd = -1;
	say(SAYS_CLOSE);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in own, peer;
	struct epoll_event e;

	if (argc != 7) {
		fputs("usage: bare_relay listen|dial ADDRESS PORT OWN PEER UDP_PORT\n",
		      stderr);
		return 2;
	}
	target = address(argv[2], argv[3]);
	own = address(argv[4], argv[6]);
	peer = address(argv[5], argv[6]);
	epoll_fd = epoll_create1(0);
	udp_fd = new_socket(SOCK_DGRAM, &own);
	if (connect(udp_fd, (struct sockaddr *)&peer, sizeof peer) != 0)
		die("connect");
	watch(udp_fd);
	if (strcmp(argv[1], "listen") == 0) {
		listen_fd = new_socket(SOCK_STREAM, &target);
		if (listen(listen_fd, 1) != 0)
			die("listen");
		watch(listen_fd);
	}
	puts("ready");
	fflush(stdout);
	while (epoll_wait(epoll_fd, &e, 1, -1) == 1) {
		if (e.data.fd == udp_fd)
			on_datagram();
		else if (e.data.fd == tcp_fd)
			on_data();
		else if (e.data.fd == listen_fd) {
			have(accept(listen_fd, NULL, NULL));
			say(SAYS_OPEN);
		}
	}
	die("epoll_wait");
}
