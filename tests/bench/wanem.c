/*
 * A wide-area network between network namespaces of this machine, for kernels without
 * netem: each namespace gets a TUN device, "wan0", with the address given, and every
 * ordered pair of them a line of its own (see wan_line.h).
 *
 *   wanem [--rate MBIT] [--queue MS] [--delay MS] [--jitter MS] [--loss PERCENT]
 *         [--burst PACKETS] [--seed N] NAMESPACE=ADDRESS NAMESPACE=ADDRESS...
 *
 * Prints "ready" when the devices are up and, on SIGTERM or SIGINT, what each line did
 * and how late the program itself was. Needs root.
 */
#define _GNU_SOURCE /* setns(), ppoll() */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "wan_line.h"

#define PORTS_MAX    16
#define PACKET_MAX   2048
#define DEVICE       "wan0"
#define DEVICE_MTU   1500
#define DEVICE_QUEUE 10000 /* packets: the line's queue is the one that counts */
#define READS_MAX    64    /* from one device before the others have their turn */

#define NS_PER_MS 1e6
#define NS_PER_S  1000000000ULL

/* Deliveries that are due within this are made together: timing is this much too early
 * at worst, and there are fewer wake-ups. */
#define GRAIN_NS 250000

/* Later than this is counted, and said at the end: the machine was busy. */
#define LATE_NS 500000

struct port {
	const char *namespace;
	struct in_addr addr;
	int fd;
};

struct wan {
	struct port port[PORTS_MAX];
	size_t n;
	struct wan_line *line[PORTS_MAX][PORTS_MAX]; /* from, to */
	uint64_t strange;                            /* packets for nobody here */
	uint64_t late, late_max_ns;
};

static volatile sig_atomic_t ending;

static void
on_signal(int sig)
{
	(void)sig;
	ending = 1;
}

static _Noreturn void
die(const char *what, const char *whom)
{
	fprintf(stderr, "wanem: %s %s: %s\n", what, whom, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Give the device of this namespace its address and start it. */
static void
configure(const struct port *p)
{
	struct ifreq ifr = {.ifr_name = DEVICE};
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket", p->namespace);
	sin.sin_addr = p->addr;
	memcpy(&ifr.ifr_addr, &sin, sizeof sin);
	if (ioctl(fd, SIOCSIFADDR, &ifr) != 0)
		die("address", p->namespace);
	sin.sin_addr.s_addr = htonl(0xffffff00);
	memcpy(&ifr.ifr_netmask, &sin, sizeof sin);
	if (ioctl(fd, SIOCSIFNETMASK, &ifr) != 0)
		die("netmask", p->namespace);
	ifr.ifr_mtu = DEVICE_MTU;
	if (ioctl(fd, SIOCSIFMTU, &ifr) != 0)
		die("mtu", p->namespace);
	ifr.ifr_qlen = DEVICE_QUEUE;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr) != 0)
		die("queue length", p->namespace);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		die("starting", p->namespace);
	close(fd);
}

static void
open_port(struct port *p)
{
	struct ifreq ifr = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};
	char path[64 + sizeof "/run/netns/"];
	int ns;

	snprintf(path, sizeof path, "/run/netns/%.63s", p->namespace);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		die("namespace", p->namespace);
	close(ns);
	p->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0 || ioctl(p->fd, TUNSETIFF, &ifr) != 0)
		die("TUN device in", p->namespace);
	configure(p);
}

static size_t
port_of(const struct wan *w, uint32_t addr)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (w->port[i].addr.s_addr == addr)
			break;
	return i;
}

static void
read_port(struct wan *w, size_t from)
{
	unsigned char packet[PACKET_MAX];
	struct iphdr ip;
	ssize_t len;
	size_t to;
	int i;

	for (i = 0; i < READS_MAX; i++) {
		len = read(w->port[from].fd, packet, sizeof packet);
		if (len <= 0)
			return;
		to = w->n;
		if ((size_t)len >= sizeof ip) {
			memcpy(&ip, packet, sizeof ip);
			if (ip.version == IPVERSION)
				to = port_of(w, ip.daddr);
		}
		if (to == w->n || to == from)
			w->strange++;
		else
			wan_line_put(w->line[from][to], now_ns(), packet, (size_t)len);
	}
}

static void
deliver(struct wan *w, struct wan_line *l, size_t to, uint64_t now)
{
	const void *packet;
	uint64_t due, late;
	size_t len;

	while ((due = wan_line_next(l)) <= now + GRAIN_NS) {
		late = now > due ? now - due : 0;
		w->late += late > LATE_NS;
		if (late > w->late_max_ns)
			w->late_max_ns = late;
		packet = wan_line_take(l, now + GRAIN_NS, &len);
		/* A receiver whose buffers are full loses packets, as anywhere. */
		if (write(w->port[to].fd, packet, len) < 0 && errno != EAGAIN)
			die("write", w->port[to].namespace);
	}
}

/* Deliver what is due; returns when the next packet is. */
static uint64_t
deliver_all(struct wan *w)
{
	uint64_t next = UINT64_MAX, t;

	for (size_t from = 0; from < w->n; from++) {
		for (size_t to = 0; to < w->n; to++) {
			if (from == to)
				continue;
			deliver(w, w->line[from][to], to, now_ns());
			t = wan_line_next(w->line[from][to]);
			next = t < next ? t : next;
		}
	}
	return next;
}

static void
run(struct wan *w, const sigset_t *unblocked)
{
	struct pollfd fds[PORTS_MAX];
	struct timespec ts;
	uint64_t next, now;
	size_t i;

	for (i = 0; i < w->n; i++)
		fds[i] = (struct pollfd){.fd = w->port[i].fd, .events = POLLIN};
	while (!ending) {
		next = deliver_all(w);
		now = now_ns();
		next = next == UINT64_MAX ? NS_PER_S : next > now ? next - now : 0;
		ts.tv_sec = (time_t)(next / NS_PER_S);
		ts.tv_nsec = (long)(next % NS_PER_S);
		if (ppoll(fds, (nfds_t)w->n, &ts, unblocked) < 0)
			continue;
		for (i = 0; i < w->n; i++)
			if (fds[i].revents != 0)
				read_port(w, i);
	}
}

static void
report(const struct wan *w)
{
	const struct wan_counters *c;

	for (size_t from = 0; from < w->n; from++) {
		for (size_t to = 0; to < w->n; to++) {
			if (from == to)
				continue;
			c = wan_line_counters(w->line[from][to]);
			printf("line=%s-%s packets=%llu bytes=%llu delivered=%llu "
			       "overflowed=%llu lost=%llu reordered=%llu "
			       "queue_max_ms=%.1f\n",
			       w->port[from].namespace, w->port[to].namespace,
			       (unsigned long long)c->packets,
			       (unsigned long long)c->bytes,
			       (unsigned long long)c->delivered,
			       (unsigned long long)c->overflowed,
			       (unsigned long long)c->lost,
			       (unsigned long long)c->reordered,
			       (double)c->queue_max_ns / NS_PER_MS);
		}
	}
	printf("strange=%llu late=%llu late_max_ms=%.2f\n",
	       (unsigned long long)w->strange, (unsigned long long)w->late,
	       (double)w->late_max_ns / NS_PER_MS);
}

static _Noreturn void
usage(void)
{
	fprintf(stderr,
		"usage: wanem [--rate MBIT] [--queue MS] [--delay MS] [--jitter MS]\n"
		"             [--loss PERCENT] [--burst PACKETS] [--seed N]\n"
		"             NAMESPACE=ADDRESS NAMESPACE=ADDRESS...\n");
	exit(2);
}

static double
number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= 0) || value > 1e9)
		usage();
	return value;
}

static void
parse_options(int argc, char **argv, struct wan_config *cfg)
{
	static const struct option options[] = {
	    {"rate", required_argument, NULL, 'r'},
	    {"queue", required_argument, NULL, 'q'},
	    {"delay", required_argument, NULL, 'd'},
	    {"jitter", required_argument, NULL, 'j'},
	    {"loss", required_argument, NULL, 'l'},
	    {"burst", required_argument, NULL, 'b'},
	    {"seed", required_argument, NULL, 's'},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		double value = c != '?' ? number(optarg) : 0;

		switch (c) {
		case 'r':
			cfg->rate_bps = (uint64_t)(value * 1e6);
			break;
		case 'q':
			cfg->queue_ns = (uint64_t)(value * NS_PER_MS);
			break;
		case 'd':
			cfg->delay_ns = (uint64_t)(value * NS_PER_MS);
			break;
		case 'j':
			cfg->jitter_ns = (uint64_t)(value * NS_PER_MS);
			break;
		case 'l':
			cfg->loss = value / 100;
			break;
		case 'b':
			cfg->burst = value;
			break;
		case 's':
			cfg->seed = (uint64_t)value;
			break;
		default:
			usage();
		}
	}
}

static void
parse_ports(struct wan *w, int n, char **words)
{
	if (n < 2 || n > PORTS_MAX)
		usage();
	for (int i = 0; i < n; i++) {
		struct port *p = &w->port[w->n++];
		char *equals = strchr(words[i], '=');

		if (equals == NULL || inet_pton(AF_INET, equals + 1, &p->addr) != 1)
			usage();
		*equals = '\0';
		p->namespace = words[i];
	}
}

/* Be there when a packet is due: root may ask for that. */
static void
be_punctual(void)
{
	struct sched_param param = {.sched_priority = 1};

	prctl(PR_SET_TIMERSLACK, 1000UL);
	if (sched_setscheduler(0, SCHED_FIFO, &param) != 0)
		fprintf(stderr, "wanem: no real-time priority: %s\n", strerror(errno));
}

int
main(int argc, char **argv)
{
	static struct wan w;
	struct wan_config cfg = {.queue_ns = 50 * 1000000ULL};
	struct sigaction sa = {.sa_handler = on_signal};
	sigset_t ends, unblocked;

	parse_options(argc, argv, &cfg);
	parse_ports(&w, argc - optind, argv + optind);
	for (size_t from = 0; from < w.n; from++) {
		for (size_t to = 0; to < w.n; to++) {
			struct wan_config own = cfg;

			own.seed =
			    cfg.seed * PORTS_MAX * PORTS_MAX + from * PORTS_MAX + to;
			w.line[from][to] = wan_line_new(&own);
			if (w.line[from][to] == NULL)
				die("lines", "");
		}
		open_port(&w.port[from]);
	}
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, &unblocked);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	be_punctual();
	printf("ready\n");
	fflush(stdout);
	run(&w, &unblocked);
	report(&w);
	for (size_t from = 0; from < w.n; from++)
		for (size_t to = 0; to < w.n; to++)
			wan_line_free(w.line[from][to]);
	return 0;
}
