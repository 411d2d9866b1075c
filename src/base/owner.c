/* First: it makes struct ucred visible. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "base/owner.h"

/* An answer is one inet_diag_msg and a few attributes. */
#define ANSWER_BYTES 4096

enum found {
	FOUND_ERROR = -1,
	FOUND_NONE,   /* no such socket */
	FOUND_ORPHAN, /* a socket that belongs to no process (any more, or yet) */
	FOUND_OWNED,
};

struct query {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

static void
set_endpoint(const union addr *a, __be16 *port, __be32 host[4])
{
	*port = htons(addr_port(a));
	if (a->sa.sa_family == AF_INET)
		memcpy(host, &a->in.sin_addr, sizeof a->in.sin_addr);
	else
		memcpy(host, &a->in6.sin6_addr, sizeof a->in6.sin6_addr);
}

static enum found
parse_answer(const uint8_t *buf, size_t len, const struct inet_diag_sockid *asked,
	     bool udp, uid_t *uid)
{
	struct nlmsghdr head;
	struct inet_diag_msg msg;
	struct nlmsgerr error;

	if (len < sizeof head)
		return FOUND_ERROR;
	memcpy(&head, buf, sizeof head);
	if (head.nlmsg_len > len)
		return FOUND_ERROR;
	if (head.nlmsg_type == NLMSG_ERROR &&
	    head.nlmsg_len >= NLMSG_LENGTH(sizeof error)) {
		memcpy(&error, buf + NLMSG_HDRLEN, sizeof error);
		errno = -error.error;
		return error.error == -ENOENT ? FOUND_NONE : FOUND_ERROR;
	}
	if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    head.nlmsg_len < NLMSG_LENGTH(sizeof msg)) {
		errno = EPROTO;
		return FOUND_ERROR;
	}
	memcpy(&msg, buf + NLMSG_HDRLEN, sizeof msg);
	/* Where no connection is found, the kernel answers with a listener on the same
	 * port, if there is one; of UDP, with a socket that is not connected. */
	if (msg.id.idiag_sport != asked->idiag_sport ||
	    (msg.id.idiag_dport != asked->idiag_dport &&
	     !(udp && msg.id.idiag_dport == 0)))
		return FOUND_NONE;
	/* An orphan reads as uid 0: without an inode the uid says nothing. */
	if (msg.idiag_inode == 0)
		return FOUND_ORPHAN;
	*uid = msg.idiag_uid;
	return FOUND_OWNED;
}

/* Look up the socket bound to ${local} and connected to ${remote} (NULL: listening).
 * A listener on the wildcard address is found for every local address. */
static enum found
lookup(uint8_t protocol, const union addr *local, const union addr *remote, uid_t *uid)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct query q = {0};
	struct inet_diag_sockid asked;
	uint8_t buf[ANSWER_BYTES];
	enum found found = FOUND_ERROR;
	ssize_t n;
	int fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return FOUND_ERROR;
	q.head.nlmsg_len = sizeof q;
	q.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	q.head.nlmsg_flags = NLM_F_REQUEST;
	q.req.sdiag_family = (__u8)local->sa.sa_family;
	q.req.sdiag_protocol = protocol;
	q.req.idiag_states = ~0U;
	q.req.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	q.req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	set_endpoint(local, &q.req.id.idiag_sport, q.req.id.idiag_src);
	if (remote != NULL)
		set_endpoint(remote, &q.req.id.idiag_dport, q.req.id.idiag_dst);
	asked = q.req.id;
	/* The kernel looks up UDP sockets from the other end's point of view. */
	if (protocol == IPPROTO_UDP) {
		set_endpoint(remote, &q.req.id.idiag_sport, q.req.id.idiag_src);
		set_endpoint(local, &q.req.id.idiag_dport, q.req.id.idiag_dst);
	}
	if (sendto(fd, &q, sizeof q, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		goto out;
	/* The kernel has answered by the time sendto() returns. */
	n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n >= 0)
		found = parse_answer(buf, (size_t)n, &asked, protocol == IPPROTO_UDP, uid);
out:
	close(fd);
	return found;
}

static int
ends_of(int fd, union addr *ours, union addr *theirs, struct err *err)
{
	socklen_t len = sizeof *ours;

	if (getsockname(fd, &ours->sa, &len) != 0)
		return err_sys(err, "cannot tell who connected");
	len = sizeof *theirs;
	if (getpeername(fd, &theirs->sa, &len) != 0)
		return err_sys(err, "cannot tell who connected");
	return 0;
}

static bool
is_ours(uid_t uid, const struct owner_users *users)
{
	if (uid == geteuid())
		return true;
	for (size_t i = 0; users != NULL && i < users->n; i++)
		if (users->uid[i] == uid)
			return true;
	return false;
}

static int
judge(enum found found, uid_t uid, const struct owner_users *users, const char *what,
      struct err *err)
{
	switch (found) {
	case FOUND_OWNED:
		if (is_ours(uid, users))
			return 0;
		return err_set(err,
			       "%s belongs to user %u of this machine, not to ours (%u)",
			       what, (unsigned)uid, (unsigned)geteuid());
	case FOUND_ORPHAN:
	case FOUND_NONE:
		return err_set(err, "%s has no owner (any more)", what);
	default:
		return err_sys(err,
			       "the kernel does not tell who owns %s (sock_diag), "
			       "so it is refused",
			       what);
	}
}

/* Of a UNIX socket the kernel has kept who connected. */
static int
check_unix(int fd, const struct owner_users *users, struct err *err)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return err_sys(err, "cannot tell who connected");
	return judge(FOUND_OWNED, cred.uid, users, "the connecting socket", err);
}

int
owner_check_datagram(const union addr *from, const union addr *to,
		     const struct owner_users *users, struct err *err)
{
	uid_t uid = 0;
	enum found found = lookup(IPPROTO_UDP, from, to, &uid);

	return judge(found, uid, users, "the sending socket", err);
}

int
owner_check_client(int fd, const struct owner_users *users, struct err *err)
{
	union addr ours, theirs;
	enum found found;
	uid_t uid = 0;
	int domain = 0;
	socklen_t len = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX)
		return check_unix(fd, users, err);
	if (ends_of(fd, &ours, &theirs, err) != 0)
		return -1;
	found = lookup(IPPROTO_TCP, &theirs, &ours, &uid);
	return judge(found, uid, users, "the connecting socket", err);
}

int
owner_check_server(int fd, struct err *err)
{
	union addr ours, theirs;
	enum found found;
	uid_t uid = 0;

	if (ends_of(fd, &ours, &theirs, err) != 0)
		return -1;
	found = lookup(IPPROTO_TCP, &theirs, &ours, &uid);
	if (found != FOUND_ORPHAN)
		return judge(found, uid, NULL, "the program on that port", err);
	/* Not accepted yet: it belongs to the listener. When a listener is closed its
	 * unaccepted connections die with it, so that a connection that is still an
	 * orphan after the listener was looked up is that listener's. */
	found = lookup(IPPROTO_TCP, &theirs, NULL, &uid);
	if (judge(found, uid, NULL, "the program listening on that port", err) != 0)
		return -1;
	found = lookup(IPPROTO_TCP, &theirs, &ours, &uid);
	if (found == FOUND_ORPHAN)
		return 0;
	return judge(found, uid, NULL, "the program on that port", err);
}
