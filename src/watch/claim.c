/* First: it makes struct ucred visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/socket.h>

#include "watch/claim.h"

/* Clients that may queue while the event loop is busy. */
#define BACKLOG 16

static int
make_socket(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err_sys(err, "cannot make a socket");
	return fd;
}

/* 0 when nobody listens at the place, whether or not a dead process left its socket. */
static int
check_free(const struct claim *cl, const char *who, struct err *err)
{
	const struct sockaddr_un *addr = &cl->place.addr;
	struct ucred cred = {.pid = 0};
	socklen_t len = sizeof cred;
	int fd, r;

	if ((fd = make_socket(err)) < 0)
		return -1;
	r = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
	if (r == 0)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	else if (errno == ECONNREFUSED || errno == ENOENT)
		goto vacant;
	else if (errno != EAGAIN) {
		err_sys(err, "%s: cannot tell whether a proxy listens there",
			addr->sun_path);
		goto fail;
	}
	/* EAGAIN: so many clients queue that it could not say who it is. A process of
	 * another PID namespace shows as 0. */
	if (cred.pid > 0)
		err_set(err,
			"another mpcproxy of %s runs already (pid %ld): stop it first",
			who, (long)cred.pid);
	else
		err_set(err, "another mpcproxy of %s runs already: stop it first", who);
fail:
	close(fd);
	return -1;

vacant:
	close(fd);
	return 0;
}

/* With the directory locked, so that of two that start at once the second finds the
 * first listening. */
static int
bind_and_listen(struct claim *cl, const char *who, struct err *err)
{
	const struct sockaddr_un *addr = &cl->place.addr;
	const char *name = place_name(&cl->place);

	if (check_free(cl, who, err) != 0)
		return -1;
	if (unlinkat(cl->dir_fd, name, 0) != 0 && errno != ENOENT)
		return err_sys(err, "%s: cannot remove what a dead process left",
			       addr->sun_path);
	if ((cl->fd = make_socket(err)) < 0)
		return -1;
	/* Before bind(), the mode of the file that bind() makes. */
	if (fchmod(cl->fd, 0600) != 0 ||
	    bind(cl->fd, (const struct sockaddr *)addr, sizeof *addr) != 0) {
		err_sys(err, "%s: cannot make the control socket", addr->sun_path);
		goto fail_close;
	}
	if (listen(cl->fd, BACKLOG) != 0 ||
	    fstatat(cl->dir_fd, name, &cl->made, AT_SYMLINK_NOFOLLOW) != 0) {
		err_sys(err, "%s: cannot use the control socket", addr->sun_path);
		goto fail_unlink;
	}
	return 0;

fail_unlink:
	unlinkat(cl->dir_fd, name, 0);
fail_close:
	close(cl->fd);
	return -1;
}

static int
lock_dir(int fd)
{
	int r;

	do {
		r = flock(fd, LOCK_EX);
	} while (r != 0 && errno == EINTR);
	return r;
}

int
claim_take(struct claim *cl, const struct place *pl, const char *who, struct err *err)
{
	int r;

	cl->place = *pl;
	if ((cl->dir_fd = place_open_dir(pl, true, err)) < 0)
		return -1;
	if (lock_dir(cl->dir_fd) != 0) {
		err_sys(err, "%s: cannot lock its directory", pl->addr.sun_path);
		goto fail;
	}
	r = bind_and_listen(cl, who, err);
	flock(cl->dir_fd, LOCK_UN);
	if (r != 0)
		goto fail;
	return 0;

fail:
	close(cl->dir_fd);
	return -1;
}

void
claim_drop(struct claim *cl)
{
	const char *name = place_name(&cl->place);
	struct stat st;

	if (lock_dir(cl->dir_fd) == 0 &&
	    fstatat(cl->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == cl->made.st_dev && st.st_ino == cl->made.st_ino)
		unlinkat(cl->dir_fd, name, 0);
	close(cl->fd);
	/* Closing the directory unlocks it. */
	close(cl->dir_fd);
}
