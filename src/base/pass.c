/* First: it makes SCM_RIGHTS and MSG_CMSG_CLOEXEC visible. */
#include "config.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/pass.h"

/* Senders of ours pass one; of what a stranger could send, the kernel drops the rest. */
#define FDS_MAX 4

union control {
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t
pass_send(int sock, const void *data, size_t len, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {{0}};
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof fd);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static void
take(const struct cmsghdr *c, int *fd)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int one;

	for (size_t i = 0; i < n; i++) {
		memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
		if (*fd < 0)
			*fd = one;
		else
			close(one);
	}
}

ssize_t
pass_receive(int sock, void *data, size_t size, int *fd)
{
	struct iovec iov = {.iov_base = data, .iov_len = size};
	union control control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof control.bytes};
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take(c, fd);
	return n;
}
