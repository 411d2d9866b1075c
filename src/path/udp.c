#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path/path.h"
#include "path/udp.h"

/* The kernel's bounds of one train: UDP_MAX_SEGMENTS, and what IP can carry. */
#define TRAIN_SEGMENTS 64
#define TRAIN_BYTES    65000

/* Trains read at once. Then what they bring goes on its way, and is acknowledged, before
 * more is read: several times as much would have left the processor's cache by then. */
#define BATCH       4
#define TRAIN_SPACE 65536

/* As for the agent's sockets: a burst of a full congestion window must survive until
 * this thread is back from other work. */
#define RECEIVE_BUFFER_BYTES (4 * 1024 * 1024)
#define SEND_BUFFER_BYTES    (2 * 1024 * 1024)

struct udp_scratch {
	uint8_t train[BATCH][TRAIN_SPACE];
};

struct udp {
	int fd;
	union addr remote;
	struct stun_credentials credentials;
	struct udp_scratch *scratch;
	struct udp_callbacks cb;
	void *arg;
	struct event *readable, *writable;
	bool gso;
	bool busy; /* in a callback: udp_free() is finished afterwards */
	bool freed;
};

/* Room for one control message with an int. */
union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

struct udp_scratch *
udp_scratch_new(void)
{
	return malloc(sizeof(struct udp_scratch));
}

void
udp_scratch_free(struct udp_scratch *scratch)
{
	free(scratch);
}

static void
on_stun(struct udp *u, const uint8_t *data, size_t len)
{
	uint8_t answer[STUN_ANSWER_MAX];
	size_t n = stun_answer(&u->credentials, &u->remote, data, len, answer);

	/* A lost answer is asked for again. */
	if (n > 0 && send(u->fd, answer, n, MSG_DONTWAIT) < 0)
		return;
}

/* Hand out a train of ${len} bytes, datagrams of ${segment}. False when ${u} is gone. */
static bool
deliver(struct udp *u, uint8_t *data, size_t len, size_t segment)
{
	u->busy = true;
	for (size_t at = 0; at < len && !u->freed; at += segment) {
		size_t n = len - at < segment ? len - at : segment;

		if (stun_is_message(data + at, n))
			on_stun(u, data + at, n);
		else
			u->cb.datagram(u->arg, data + at, n);
	}
	u->busy = false;
	if (u->freed) {
		free(u);
		return false;
	}
	return true;
}

/* What UDP_GRO says of a train; a datagram by itself has no such message. */
static size_t
segment_of(struct msghdr *m, size_t len)
{
	int segment;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO ||
		    c->cmsg_len < CMSG_LEN(sizeof segment))
			continue;
		memcpy(&segment, CMSG_DATA(c), sizeof segment);
		if (segment > 0)
			return (size_t)segment;
	}
	return len;
}

/* Read up to BATCH trains. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct udp *u = arg;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	union control control[BATCH];
	union addr from[BATCH];
	int n;

	(void)fd;
	(void)what;
	memset(msg, 0, sizeof msg);
	memset(from, 0, sizeof from);
	for (int i = 0; i < BATCH; i++) {
		iov[i].iov_base = u->scratch->train[i];
		iov[i].iov_len = TRAIN_SPACE;
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
		msg[i].msg_hdr.msg_name = &from[i];
		msg[i].msg_hdr.msg_namelen = sizeof from[i];
		msg[i].msg_hdr.msg_control = &control[i];
		msg[i].msg_hdr.msg_controllen = sizeof control[i];
	}
	/* An error is that of an earlier datagram of ours, and is gone now. */
	n = recvmmsg(u->fd, msg, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		size_t len = msg[i].msg_len;

		/* Queued by anybody between bind() and connect(). */
		if (!addr_equal(&from[i], &u->remote) || len == 0)
			continue;
		if (!deliver(u, u->scratch->train[i], len,
			     segment_of(&msg[i].msg_hdr, len)))
			return;
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct udp *u = arg;

	(void)fd;
	(void)what;
	u->cb.writable(u->arg);
}

static ssize_t
send_train(struct udp *u, const uint8_t *data, size_t len, size_t segment)
{
	struct iovec iov = {(void *)data, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	uint16_t size = (uint16_t)segment;
	union control control;
	ssize_t n;

	if (len > segment) {
		struct cmsghdr *c = &control.align;

		memset(&control, 0, sizeof control);
		c->cmsg_level = SOL_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof size);
		memcpy(CMSG_DATA(c), &size, sizeof size);
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof size);
	}
	n = sendmsg(u->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* ICMP's answer to an earlier datagram; this one has not been sent yet. */
	if (n < 0 && errno == ECONNREFUSED)
		n = sendmsg(u->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n;
}

size_t
udp_send(struct udp *u, const uint8_t *data, size_t len, size_t segment)
{
	bool single = false; /* the next datagram goes by itself */
	size_t taken = 0;

	while (taken < len) {
		size_t most = segment * TRAIN_SEGMENTS;
		size_t n = len - taken;

		if (most > TRAIN_BYTES)
			most = TRAIN_BYTES / segment * segment;
		if (!u->gso || single || most < segment)
			most = segment;
		if (n > most)
			n = most;
		if (send_train(u, data + taken, n, segment) < 0) {
			if (errno == EAGAIN) {
				event_add(u->writable, NULL);
				break;
			}
			/* The device cannot do it, or a segment is larger than its
			 * MTU: then only the large ones are lost. */
			if (n > segment && (errno == EIO || errno == EINVAL)) {
				u->gso = u->gso && errno != EIO;
				single = true;
				continue;
			}
			/* Any other error is that of a path that loses it. */
		}
		taken += n;
	}
	return taken;
}

static void
tune(int fd, int family)
{
	int on = 1, probe, size = RECEIVE_BUFFER_BYTES;

	/* The search for the path's MTU must not be met by fragments (sockets.h). */
	if (family == AF_INET6) {
		probe = IPV6_PMTUDISC_PROBE;
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
	} else {
		probe = IP_PMTUDISC_PROBE;
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
	}
	setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	size = SEND_BUFFER_BYTES;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static int
set_reuse(int fd, int on)
{
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

/* A socket on the agent's local address, connected to ${remote}. SO_REUSEADDR is on for
 * the moment of the bind only: whoever found it on could bind the address as well, and
 * be given the peer's datagrams. */
static int
open_beside(int agent_fd, const union addr *remote, struct err *err)
{
	union addr local;
	socklen_t len = sizeof local;
	int fd, rc;

	if (getsockname(agent_fd, &local.sa, &len) != 0)
		return err_sys(err, "the agent's socket has no address");
	fd = socket(local.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "no socket");
	rc = set_reuse(agent_fd, 1) != 0 || set_reuse(fd, 1) != 0 ||
	     bind(fd, &local.sa, len) != 0;
	if (rc != 0)
		err_sys(err, "cannot share the agent's address");
	set_reuse(agent_fd, 0);
	set_reuse(fd, 0);
	if (rc == 0 && connect(fd, &remote->sa, addr_len(remote)) != 0)
		rc = err_sys(err, "cannot connect to the peer's address");
	if (rc != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct udp *
udp_new(struct event_base *base, int agent_fd, const union addr *remote,
	const struct stun_credentials *credentials, struct udp_scratch *scratch,
	const struct udp_callbacks *cb, void *arg, struct err *err)
{
	struct udp *u = calloc(1, sizeof *u);

	if (u == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	u->remote = *remote;
	u->credentials = *credentials;
	u->scratch = scratch;
	u->cb = *cb;
	u->arg = arg;
	u->gso = true;
	u->fd = open_beside(agent_fd, remote, err);
	if (u->fd < 0)
		goto err1;
	tune(u->fd, remote->sa.sa_family);
	u->readable = event_new(base, u->fd, EV_READ | EV_PERSIST, on_readable, u);
	u->writable = event_new(base, u->fd, EV_WRITE, on_writable, u);
	if (u->readable == NULL || u->writable == NULL ||
	    event_add(u->readable, NULL) != 0) {
		err_set(err, "out of memory");
		goto err2;
	}
	return u;

err2:
	if (u->readable != NULL)
		event_free(u->readable);
	if (u->writable != NULL)
		event_free(u->writable);
	close(u->fd);
err1:
	explicit_bzero(&u->credentials, sizeof u->credentials);
	free(u);
	return NULL;
}

void
udp_free(struct udp *u)
{
	if (u == NULL)
		return;
	event_free(u->readable);
	event_free(u->writable);
	close(u->fd);
	explicit_bzero(&u->credentials, sizeof u->credentials);
	u->freed = true;
	if (!u->busy)
		free(u);
}
