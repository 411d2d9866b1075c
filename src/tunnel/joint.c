#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/log.h"
#include "tunnel/joint.h"

#define READ_BYTES (16 * 1024)

/* Pieces that are hardly ever the only ones, and the area that they are collected in;
 * libevent's own begin with 512 bytes. */
#define BULK_BYTES      1000
#define BULK_AREA_BYTES (64 * 1024 - 64)

/* What joint_end_of_file() throws away at most: more than a socket's buffer holds. */
#define WASTE_MAX (64 * 1024 * 1024)

struct joint {
	struct event_base *base;
	joint_active *active;
	void *arg;
	struct quic_stream *qs;
	bool open;
	bool end_cancels;
	bool precaution; /* joint_reset_if_killed() */
	bool close_breaks;

	int fd; /* -1 for none yet */
	struct event *ev;
	struct event *again; /* there is more to move after a turn */
	/* The event is edge-triggered and watches both directions for the life of the
	 * socket; these remember what the edges said. */
	bool readable, writable, hung_up;
	bool local_eof;  /* the local program's end of file has been read */
	bool finished;   /* and passed on */
	bool remote_fin; /* the peer's has come */
	bool shut;       /* and has been passed on */
	int error;       /* the socket failed, or memory */

	/* From the peer; bounded by the stream's window. */
	struct evbuffer *waiting;
	/* From the local program; the first ${held_sent} bytes are in ${qs}'s send
	 * buffer as well. NULL once all of it is, and the joint is open. */
	struct evbuffer *held;
	size_t held_sent;
	size_t sent, received;
	struct meter *meter_out, *meter_in;
	bool metered_out; /* since the last joint_move() */
};

struct joint *
joint_new(struct event_base *base, joint_active *active, void *arg)
{
	struct joint *j = calloc(1, sizeof *j);

	if (j == NULL)
		return NULL;
	j->base = base;
	j->active = active;
	j->arg = arg;
	j->fd = -1;
	j->waiting = evbuffer_new();
	j->held = evbuffer_new();
	if (j->waiting == NULL || j->held == NULL) {
		joint_free(j);
		return NULL;
	}
	return j;
}

/* With it, closing is a reset. */
static void
set_linger(int fd, bool on)
{
	struct linger l = {.l_onoff = on};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

void
joint_free(struct joint *j)
{
	if (j == NULL)
		return;
	if (j->ev != NULL)
		event_free(j->ev);
	if (j->again != NULL)
		event_free(j->again);
	if (j->fd >= 0) {
		if (j->precaution)
			set_linger(j->fd, false);
		close(j->fd);
	}
	if (j->waiting != NULL)
		evbuffer_free(j->waiting);
	if (j->held != NULL)
		evbuffer_free(j->held);
	free(j);
}

static int
pending_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static void
on_edge(evutil_socket_t fd, short what, void *arg)
{
	struct joint *j = arg;

	/* A reset is found by reading; but while nothing is read, because nobody takes
	 * it (see also read_through()) or the end has been read already, it would go
	 * unnoticed. */
	if ((j->readable || j->local_eof) && j->error == 0)
		j->error = pending_error(fd);
	if (what & (EV_READ | EV_CLOSED))
		j->readable = true;
	if (what & EV_WRITE)
		j->writable = true;
	if (what & EV_CLOSED)
		j->hung_up = true;
	j->active(j->arg);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct joint *j = arg;

	(void)fd;
	(void)what;
	j->active(j->arg);
}

int
joint_set_fd(struct joint *j, int fd)
{
	j->fd = fd;
	j->ev =
	    event_new(j->base, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST,
		      on_edge, j);
	j->again = evtimer_new(j->base, on_again, j);
	if (j->ev == NULL || j->again == NULL)
		return -1;
	return event_add(j->ev, NULL);
}

bool
joint_has_fd(const struct joint *j)
{
	return j->fd >= 0;
}

void
joint_set_stream(struct joint *j, struct quic_stream *qs)
{
	j->qs = qs;
	if (j->open)
		return;
	j->held_sent = 0;
	j->finished = false;
	j->remote_fin = false;
}

void
joint_end_cancels(struct joint *j)
{
	j->end_cancels = true;
}

void
joint_set_meters(struct joint *j, struct meter *out, struct meter *in)
{
	j->meter_out = out;
	j->meter_in = in;
}

bool
joint_is_metered_out(const struct joint *j)
{
	return j->metered_out;
}

static size_t
allowed(struct joint *j, struct meter *m, size_t want)
{
	size_t n;

	if (m == NULL || m->rate == 0)
		return want;
	n = meter_allow(m, want, clock_now_ns());
	if (n == 0)
		j->metered_out = true;
	return n;
}

static void
charge(struct meter *m, size_t len)
{
	if (m != NULL)
		meter_take(m, len);
}

void
joint_open(struct joint *j)
{
	j->open = true;
	/* Copies that went to streams before this one do not count. */
	j->sent += j->held_sent;
	/* A socket without an edge so far has room: it is new. */
	j->writable = true;
}

/* Bytes that are held and not yet in the stream's send buffer. */
static size_t
held_left(const struct joint *j)
{
	return j->held == NULL ? 0 : evbuffer_get_length(j->held) - j->held_sent;
}

static int
read_held(struct joint *j)
{
	size_t max = j->end_cancels ? JOINT_HELD_TO_END_MAX : JOINT_HELD_MAX;

	while (j->readable && !j->local_eof) {
		size_t room = max - evbuffer_get_length(j->held);
		int n;

		if (room == 0)
			break;
		n = evbuffer_read(j->held, j->fd,
				  (int)(room < READ_BYTES ? room : READ_BYTES));
		if (n == 0)
			j->local_eof = true;
		else if (n < 0 && errno == EAGAIN)
			j->readable = false;
		else if (n < 0)
			return -1;
	}
	return 0;
}

static void
send_held(struct joint *j)
{
	struct evbuffer_ptr at;
	struct iovec iov[QUIC_STREAM_AREAS];
	int n;

	/* Until all is taken or there is no room: only then writable() follows. */
	while (held_left(j) > 0 &&
	       (n = quic_stream_reserve(j->qs, held_left(j), iov)) > 0) {
		size_t taken = 0;

		for (int i = 0; i < n; i++) {
			evbuffer_ptr_set(j->held, &at, j->held_sent, EVBUFFER_PTR_SET);
			evbuffer_copyout_from(j->held, &at, iov[i].iov_base,
					      iov[i].iov_len);
			j->held_sent += iov[i].iov_len;
			taken += iov[i].iov_len;
		}
		quic_stream_commit(j->qs, taken);
		if (j->open)
			j->sent += taken;
	}
	if (j->open && j->held != NULL && held_left(j) == 0) {
		evbuffer_free(j->held);
		j->held = NULL;
	}
}

/* One read straight into the send buffer. Returns the bytes, 0 when there is nothing to
 * do now, -1 when the socket failed. */
static ssize_t
read_through(struct joint *j, size_t want)
{
	struct iovec iov[QUIC_STREAM_AREAS];
	size_t room = 0;
	ssize_t n;
	int error;
	int areas = quic_stream_reserve(j->qs, want, iov);

	/* The edge that has brought us here may have been that of a reset. */
	if (areas == 0) {
		errno = pending_error(j->fd);
		return errno != 0 ? -1 : 0;
	}
	for (int i = 0; i < areas; i++)
		room += iov[i].iov_len;
	n = readv(j->fd, iov, areas);
	error = errno;
	quic_stream_commit(j->qs, n > 0 ? (size_t)n : 0);
	if (n < 0 && error != EAGAIN) {
		errno = error;
		return -1;
	}
	if (n == 0)
		j->local_eof = true;
	/* A short read has emptied the socket, and the next bytes make a new edge; only
	 * the end of file may be there already. */
	if (n < 0 || ((size_t)n < room && !j->hung_up))
		j->readable = false;
	return n < 0 ? 0 : n;
}

static int
read_open(struct joint *j)
{
	static const struct timeval now;
	size_t turn = 0, want;
	ssize_t n;

	while (j->readable && !j->local_eof) {
		if (turn >= JOINT_TURN_BYTES) {
			/* The edge is spent: come back by ourselves, by a timer, for
			 * whatever is activated directly runs before the loop has
			 * looked at the other sockets. */
			event_add(j->again, &now);
			break;
		}
		want = allowed(j, j->meter_out, JOINT_TURN_BYTES - turn);
		if (want == 0)
			break;
		n = read_through(j, want);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		charge(j->meter_out, (size_t)n);
		turn += (size_t)n;
	}
	j->sent += turn;
	return 0;
}

/* Of a UNIX socket: the other end is closed, not only shut for writing. */
static bool
is_closed(const struct joint *j)
{
	struct pollfd p = {.fd = j->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static int
move_out(struct joint *j)
{
	if (!j->open && read_held(j) != 0)
		return -1;
	if (j->qs == NULL)
		return 0;
	send_held(j);
	if (j->open && held_left(j) == 0 && read_open(j) != 0)
		return -1;
	if (j->local_eof && !j->finished && held_left(j) == 0 &&
	    (j->open || !j->end_cancels)) {
		if (j->close_breaks && !j->shut && is_closed(j)) {
			errno = ECONNRESET;
			return -1;
		}
		quic_stream_finish(j->qs);
		j->finished = true;
	}
	return 0;
}

static void
left(struct joint *j, size_t len)
{
	j->received += len;
	if (j->qs != NULL && len > 0)
		quic_stream_consumed(j->qs, len);
}

static int
move_in(struct joint *j)
{
	if (!j->open)
		return 0;
	while (j->writable && evbuffer_get_length(j->waiting) > 0) {
		size_t len = evbuffer_get_length(j->waiting);
		size_t may = allowed(j, j->meter_in, len);
		int n;

		if (may == 0)
			break;
		n = may == len
			? evbuffer_write(j->waiting, j->fd)
			: evbuffer_write_atmost(j->waiting, j->fd, (ev_ssize_t)may);
		if (n > 0) {
			charge(j->meter_in, (size_t)n);
			left(j, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			j->writable = false;
		} else {
			return -1;
		}
	}
	if (j->remote_fin && !j->shut && evbuffer_get_length(j->waiting) == 0) {
		shutdown(j->fd, SHUT_WR);
		j->shut = true;
	}
	return 0;
}

enum joint_state
joint_move(struct joint *j)
{
	if (j->fd < 0)
		return JOINT_GOES_ON;
	j->metered_out = false;
	/* The kernel tells of a failure once; whoever asks later must hear it too. */
	if (j->error == 0 && (move_in(j) != 0 || move_out(j) != 0))
		j->error = errno;
	if (j->error != 0)
		return JOINT_BROKEN;
	return j->shut && j->finished ? JOINT_DONE : JOINT_GOES_ON;
}

int
joint_take(struct joint *j, const uint8_t *data, size_t len, bool fin)
{
	if (len >= BULK_BYTES && evbuffer_get_length(j->waiting) == 0)
		evbuffer_expand(j->waiting, BULK_AREA_BYTES);
	if (len > 0 && evbuffer_add(j->waiting, data, len) != 0) {
		j->error = ENOMEM;
		return -1;
	}
	j->remote_fin = j->remote_fin || fin;
	return 0;
}

const char *
joint_error(const struct joint *j)
{
	return strerror(j->error);
}

bool
joint_hung_up(const struct joint *j)
{
	return j->local_eof || j->hung_up;
}

bool
joint_has_sent(const struct joint *j)
{
	return j->open || j->held_sent > 0 || j->finished;
}

static size_t
peek(struct evbuffer *from, uint8_t *out, size_t len)
{
	ssize_t n = from == NULL ? 0 : evbuffer_copyout(from, out, len);

	return n < 0 ? 0 : (size_t)n;
}

size_t
joint_peek_held(const struct joint *j, uint8_t *out, size_t len)
{
	return peek(j->held, out, len);
}

size_t
joint_peek_waiting(const struct joint *j, uint8_t *out, size_t len)
{
	return peek(j->waiting, out, len);
}

bool
joint_is_waiting(const struct joint *j)
{
	return evbuffer_get_length(j->waiting) > 0;
}

void
joint_say(struct joint *j, const uint8_t *data, size_t len)
{
	/* A few bytes always fit the buffer of a new socket; a program that has gone is
	 * noticed by the next joint_move(). */
	if (send(j->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a local program is gone before it was answered");
}

void
joint_close_breaks(struct joint *j)
{
	j->close_breaks = true;
}

void
joint_arm_reset(struct joint *j)
{
	j->precaution = false;
	if (j->fd >= 0)
		set_linger(j->fd, true);
}

void
joint_reset_if_killed(struct joint *j)
{
	j->precaution = true;
	set_linger(j->fd, true);
}

void
joint_end_of_file(struct joint *j)
{
	char waste[READ_BYTES];
	size_t wasted = 0;
	ssize_t n = 1;

	if (j->fd < 0)
		return;
	shutdown(j->fd, SHUT_WR);
	/* Unread bytes would turn the close into a reset. */
	while (n > 0 && wasted < WASTE_MAX) {
		n = recv(j->fd, waste, sizeof waste, MSG_DONTWAIT);
		wasted += n > 0 ? (size_t)n : 0;
	}
}

void
joint_count(struct joint *j, size_t *sent, size_t *received)
{
	*sent = j->sent;
	*received = j->received;
	j->sent = 0;
	j->received = 0;
}
