/*
 * A network between machines (network namespaces) that does to packets what networks do:
 * it loses, delays, reorders, doubles and corrupts them, cuts machines off, and gives
 * their UDP ports other numbers, as a NAT that forgets its mappings. Everything random
 * follows from one seed and the order of the packets.
 *
 *   fault_line SEED MBIT NAMESPACE...
 *
 * Each namespace (a path, such as /proc/1/ns/net) has a TUN device "line0" already; whose
 * address is whose is learnt from what they send. IPv4 only. Commands, a line each, on
 * standard input, whose end is the end; numbers of namespaces count from 0:
 *
 *   faults LOSS TWICE CORRUPT DELAY JITTER   percentages, and milliseconds
 *   cut N | mend N                           nothing passes from there or to there
 *   apart N M | together N M                 nothing passes between the two
 *   rebind N                                 its UDP ports, as others see them, change
 *   report                                   what has been done to packets so far
 *
 * Each is answered with a line. Corrupt packets are UDP's, with one bit of the data
 * changed and a checksum that says nothing of it.
 */
#define _GNU_SOURCE /* setns(), ppoll() */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "wan_line.h"

#define PORTS_MAX  16
#define PACKET_MAX 2048
#define DEVICE     "line0"
#define READS_MAX  64  /* from one device before the others have their turn */
#define OWNERS_MAX 256 /* addresses that are known */
#define QUEUE_NS   100000000
#define NS_PER_MS  1000000ULL
#define NS_PER_S   1000000000ULL
#define NUMBERS    65536

struct port {
	int fd;
	bool cut;
	bool seen[NUMBERS];        /* UDP ports that have sent */
	uint16_t outside[NUMBERS]; /* what others see of them; 0: the same */
	uint16_t inside[NUMBERS];  /* and the other way round */
	uint16_t last;             /* outside number that was given out */
};

struct owner {
	uint32_t addr;
	size_t port;
};

static struct port port[PORTS_MAX];
static size_t ports;
static struct wan_line *line[PORTS_MAX][PORTS_MAX]; /* from, to */
static bool apart[PORTS_MAX][PORTS_MAX];
static struct owner owner[OWNERS_MAX];
static size_t owners; /* so far */
static uint64_t random_state;
static unsigned twice, corrupt; /* percent */
static struct wan_config faults;
static unsigned long long n_packets, n_doubled, n_corrupted, n_cut, n_rebound, n_stale;

static _Noreturn void
die(const char *what, const char *whom)
{
	fprintf(stderr, "fault_line: %s %s: %s\n", what, whom, strerror(errno));
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* splitmix64, as a number from 0 to below ${n}. */
static uint64_t
below(uint64_t n)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % n;
}

static void
open_port(const char *namespace)
{
	struct ifreq ifr = {.ifr_name = DEVICE, .ifr_flags = IFF_TUN | IFF_NO_PI};
	struct port *p = &port[ports++];
	int ns = open(namespace, O_RDONLY | O_CLOEXEC);

	if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
		die("namespace", namespace);
	close(ns);
	p->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0 || ioctl(p->fd, TUNSETIFF, &ifr) != 0)
		die("TUN device in", namespace);
}

/* Packets that are under way stay so. */
static void
set_faults(void)
{
	for (size_t from = 0; from < ports; from++)
		for (size_t to = 0; to < ports; to++)
			wan_line_set(line[from][to], &faults);
}

/* --- whose packet it is --- */

static size_t
owner_of(uint32_t addr)
{
	for (size_t i = 0; i < owners && i < OWNERS_MAX; i++)
		if (owner[i].addr == addr)
			return owner[i].port;
	return ports;
}

static void
learn(uint32_t addr, size_t from)
{
	for (size_t i = 0; i < owners && i < OWNERS_MAX; i++) {
		if (owner[i].addr == addr) {
			owner[i].port = from;
			return;
		}
	}
	owner[owners++ % OWNERS_MAX] = (struct owner){addr, from};
}

/* The UDP header of a packet that is whole; NULL for others. */
static unsigned char *
udp_of(unsigned char *packet, size_t len)
{
	size_t head = (size_t)(packet[0] & 15) * 4;
	struct iphdr ip;

	memcpy(&ip, packet, sizeof ip);
	if (ip.protocol != IPPROTO_UDP || (ntohs(ip.frag_off) & 0x3fff) != 0 ||
	    head < sizeof ip || len < head + sizeof(struct udphdr))
		return NULL;
	return packet + head;
}

/* In IPv4 zero means that there is none. */
static void
drop_checksum(unsigned char *udp)
{
	udp[6] = udp[7] = 0;
}

static uint16_t
get_number(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void
set_number(unsigned char *at, uint16_t number)
{
	at[0] = (unsigned char)(number >> 8);
	at[1] = (unsigned char)number;
}

/* From behind the NAT to the outside. */
static void
translate_source(struct port *p, unsigned char *udp)
{
	uint16_t number = get_number(udp);

	p->seen[number] = true;
	if (p->outside[number] == 0)
		return;
	set_number(udp, p->outside[number]);
	drop_checksum(udp);
}

/* The other way; false when the number means nothing any more. */
static bool
translate_destination(const struct port *p, unsigned char *udp)
{
	uint16_t number = get_number(udp + 2);

	if (p->inside[number] != 0) {
		set_number(udp + 2, p->inside[number]);
		drop_checksum(udp);
		return true;
	}
	return p->outside[number] == 0;
}

/* Every port that has been used is another one from now on; the ephemeral ones are above.
 */
static void
rebind(struct port *p)
{
	memset(p->inside, 0, sizeof p->inside);
	for (unsigned number = 1; number < NUMBERS; number++) {
		if (!p->seen[number])
			continue;
		p->last =
		    (uint16_t)(p->last < 1024 || p->last > 20000 ? 1024 : p->last + 1);
		p->outside[number] = p->last;
		p->inside[p->last] = (uint16_t)number;
		n_rebound++;
	}
}

/* --- packets --- */

static void
maybe_corrupt(unsigned char *udp, size_t len)
{
	const size_t head = sizeof(struct udphdr);

	if (below(100) >= corrupt || len <= head)
		return;
	udp[head + below(len - head)] ^= (unsigned char)(1U << below(8));
	drop_checksum(udp);
	n_corrupted++;
}

static void
pass(size_t from, size_t to, const unsigned char *data, size_t len)
{
	unsigned char packet[PACKET_MAX], *udp;

	n_packets++;
	if (port[from].cut || port[to].cut || apart[from][to]) {
		n_cut++;
		return;
	}
	memcpy(packet, data, len);
	udp = udp_of(packet, len);
	if (udp != NULL) {
		translate_source(&port[from], udp);
		if (!translate_destination(&port[to], udp)) {
			n_stale++;
			return;
		}
		maybe_corrupt(udp, len - (size_t)(udp - packet));
	}
	wan_line_put(line[from][to], now_ns(), packet, len);
	if (below(100) < twice) {
		n_doubled++;
		wan_line_put(line[from][to], now_ns(), packet, len);
	}
}

/* To whom it is for, or to everybody as long as that is not known. */
static void
take(size_t from, const unsigned char *packet, size_t len)
{
	struct iphdr ip;
	size_t to;

	if (len < sizeof ip || packet[0] >> 4 != IPVERSION)
		return;
	memcpy(&ip, packet, sizeof ip);
	learn(ip.saddr, from);
	to = owner_of(ip.daddr);
	if (to < ports && to != from)
		pass(from, to, packet, len);
	for (size_t i = 0; to == ports && i < ports; i++)
		if (i != from)
			pass(from, i, packet, len);
}

static void
read_port(size_t from)
{
	unsigned char packet[PACKET_MAX];
	ssize_t len;

	for (int i = 0; i < READS_MAX; i++) {
		len = read(port[from].fd, packet, sizeof packet);
		if (len <= 0)
			return;
		take(from, packet, (size_t)len);
	}
}

/* Deliver what is due; returns when the next packet is. A machine whose device is down,
 * or whose buffers are full, loses it. */
static uint64_t
deliver(void)
{
	uint64_t next = UINT64_MAX, at, now = now_ns();
	const void *packet;
	size_t len;

	for (size_t from = 0; from < ports; from++) {
		for (size_t to = 0; to < ports; to++) {
			while ((packet = wan_line_take(line[from][to], now, &len)) !=
			       NULL)
				if (write(port[to].fd, packet, len) < 0 && errno == EBADF)
					die("write", "");
			at = wan_line_next(line[from][to]);
			next = at < next ? at : next;
		}
	}
	return next;
}

/* --- commands --- */

static void
report(void)
{
	unsigned long long lost = 0, reordered = 0;

	for (size_t from = 0; from < ports; from++) {
		for (size_t to = 0; to < ports; to++) {
			lost += wan_line_counters(line[from][to])->lost;
			reordered += wan_line_counters(line[from][to])->reordered;
		}
	}
	printf("%llu packets: %llu lost, %llu reordered, %llu doubled, %llu corrupted, "
	       "%llu cut off, %llu for a mapping of before; %llu ports rebound\n",
	       n_packets, lost, reordered, n_doubled, n_corrupted, n_cut, n_stale,
	       n_rebound);
}

static bool
obey(const char *command)
{
	unsigned a, b, c, d, e;

	if (sscanf(command, "faults %u %u %u %u %u", &a, &b, &c, &d, &e) == 5) {
		faults.loss = a / 100.0;
		twice = b;
		corrupt = c;
		faults.delay_ns = d * NS_PER_MS;
		faults.jitter_ns = e * NS_PER_MS;
		set_faults();
	} else if (sscanf(command, "cut %u", &a) == 1 && a < ports) {
		port[a].cut = true;
	} else if (sscanf(command, "mend %u", &a) == 1 && a < ports) {
		port[a].cut = false;
	} else if (sscanf(command, "apart %u %u", &a, &b) == 2 && a < ports &&
		   b < ports) {
		apart[a][b] = apart[b][a] = true;
	} else if (sscanf(command, "together %u %u", &a, &b) == 2 && a < ports &&
		   b < ports) {
		apart[a][b] = apart[b][a] = false;
	} else if (sscanf(command, "rebind %u", &a) == 1 && a < ports) {
		rebind(&port[a]);
	} else if (strcmp(command, "report\n") == 0) {
		report();
		return true;
	} else {
		return false;
	}
	printf("done\n");
	return true;
}

/* False at the end of standard input. */
static bool
read_commands(void)
{
	static char text[1000];
	static size_t n;
	ssize_t len = read(STDIN_FILENO, text + n, sizeof text - 1 - n);
	char *end;

	if (len <= 0)
		return false;
	n += (size_t)len;
	text[n] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		char line_end = end[1];

		end[1] = '\0';
		if (!obey(text)) {
			fprintf(stderr, "fault_line: what is %s", text);
			exit(2);
		}
		end[1] = line_end;
		n -= (size_t)(end + 1 - text);
		memmove(text, end + 1, n + 1);
	}
	return n < sizeof text - 1;
}

static void
run(void)
{
	struct pollfd fds[PORTS_MAX + 1];
	uint64_t next, now;
	struct timespec ts;

	for (size_t i = 0; i < ports; i++)
		fds[i] = (struct pollfd){.fd = port[i].fd, .events = POLLIN};
	fds[ports] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
	for (;;) {
		next = deliver();
		now = now_ns();
		next = next == UINT64_MAX ? NS_PER_S : next > now ? next - now : 0;
		ts.tv_sec = (time_t)(next / NS_PER_S);
		ts.tv_nsec = (long)(next % NS_PER_S);
		if (ppoll(fds, (nfds_t)ports + 1, &ts, NULL) < 0)
			continue;
		for (size_t i = 0; i < ports; i++)
			if (fds[i].revents != 0)
				read_port(i);
		if (fds[ports].revents != 0 && !read_commands())
			return;
	}
}

int
main(int argc, char **argv)
{
	if (argc < 5 || argc - 3 > PORTS_MAX) {
		fprintf(stderr, "usage: fault_line SEED MBIT NAMESPACE NAMESPACE...\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	random_state = strtoull(argv[1], NULL, 10);
	faults.rate_bps = strtoull(argv[2], NULL, 10) * 1000000;
	faults.queue_ns = QUEUE_NS;
	for (int i = 3; i < argc; i++)
		open_port(argv[i]);
	for (size_t from = 0; from < ports; from++) {
		for (size_t to = 0; to < ports; to++) {
			faults.seed = below(UINT64_MAX);
			line[from][to] = wan_line_new(&faults);
			if (line[from][to] == NULL)
				die("lines", "");
		}
	}
	printf("ready\n");
	run();
	for (size_t from = 0; from < ports; from++)
		for (size_t to = 0; to < ports; to++)
			wan_line_free(line[from][to]);
	return 0;
}
