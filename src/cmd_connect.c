#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pass.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

/* What poll() has called writable takes at least so much, of a pipe, without blocking
 * (POSIX: PIPE_BUF); of a socket there is a way to ask. */
#define PIECE_BYTES 4096
#define ROOM_BYTES  (64 * 1024)

/* For what the proxy has to say after the end of its stream. */
#define GRACE_MS 200

/* One direction. */
struct half {
	int from, to;
	char data[ROOM_BYTES];
	size_t start, len;
	bool ended;  /* the end of file of ${from} has been read, */
	bool passed; /* and passed on */
};

struct join {
	int control;
	struct client_answer answer;
	struct half out, in; /* from stdin; to stdout */
};

/* Give ${fd}'s reader the end of file. The number stays in use, so that nothing else gets
 * it. */
static void
end_of_file(int fd)
{
	int nowhere;

	if (shutdown(fd, SHUT_WR) == 0)
		return;
	nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere >= 0) {
		dup2(nowhere, fd);
		close(nowhere);
	}
}

static int
read_some(struct half *h, struct err *err)
{
	ssize_t n;

	if (h->len == 0)
		h->start = 0;
	if (h->start + h->len == ROOM_BYTES)
		return 0;
	n = read(h->from, h->data + h->start + h->len, ROOM_BYTES - h->start - h->len);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	/* What the proxy has to say about it comes on the control socket. */
	if (n < 0 && errno != ECONNRESET)
		return err_sys(err, "read");
	if (n <= 0)
		h->ended = true;
	else
		h->len += (size_t)n;
	return 0;
}

static int
write_some(struct half *h, struct err *err)
{
	ssize_t n = send(h->to, h->data + h->start, h->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(h->to, h->data + h->start,
			  h->len < PIECE_BYTES ? h->len : PIECE_BYTES);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return err_sys(err, "write");
	h->start += (size_t)n;
	h->len -= (size_t)n;
	return 0;
}

/* What of ${h} is ready, as poll() says. */
static int
move(struct half *h, const struct pollfd *from, const struct pollfd *to, struct err *err)
{
	if ((to->revents & (POLLOUT | POLLERR)) != 0 && h->len > 0 &&
	    write_some(h, err) != 0)
		return -1;
	if ((from->revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !h->ended &&
	    read_some(h, err) != 0)
		return -1;
	return 0;
}

static bool
is_due(const struct half *h)
{
	return h->ended && h->len == 0 && !h->passed;
}

static void
pass_end(struct half *h)
{
	h->passed = true;
	end_of_file(h->to);
}

static void
want(const struct half *h, struct pollfd *from, struct pollfd *to)
{
	bool room = h->len == 0 || h->start + h->len < ROOM_BYTES;

	*from = (struct pollfd){.fd = h->ended || !room ? -1 : h->from, .events = POLLIN};
	*to = (struct pollfd){.fd = h->len > 0 ? h->to : -1, .events = POLLOUT};
}

/* Until the proxy says that it is over, and all that came has been written. Returns the
 * exit code. */
static int
join(struct join *j, struct err *err)
{
	struct pollfd p[5];
	struct err ignored;
	uint64_t grace_ns = CLOCK_NEVER;
	int told, n;

	while (j->answer.code < 0 || !j->in.passed) {
		want(&j->out, &p[0], &p[1]);
		want(&j->in, &p[2], &p[3]);
		p[4] = (struct pollfd){.fd = j->answer.code < 0 ? j->control : -1,
				       .events = POLLIN};
		n = poll(p, 5, is_due(&j->in) ? GRACE_MS : -1);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (n < 0)
			continue;
		if (move(&j->in, &p[2], &p[3], err) != 0)
			return -1;
		/* Of the stream's own end the proxy tells more. */
		if (move(&j->out, &p[0], &p[1], &ignored) != 0) {
			j->out.len = 0;
			j->out.ended = j->out.passed = true;
		}
		if (p[4].revents != 0) {
			told = client_read(j->control, &j->answer, err);
			if (told < 0)
				return -1;
			/* It could not be begun, or broke: nothing more comes. */
			if (told > 0 && j->answer.code != 0)
				return j->answer.code;
		}
		if (is_due(&j->out))
			pass_end(&j->out);
		/* Whoever reads stdout may end us when that ends: why it does goes
		 * first. */
		if (is_due(&j->in) && grace_ns == CLOCK_NEVER)
			grace_ns = clock_now_ns() + GRACE_MS * NS_PER_MS;
		if (is_due(&j->in) &&
		    (j->answer.code >= 0 || clock_now_ns() >= grace_ns))
			pass_end(&j->in);
	}
	return j->answer.code;
}

static int
ask(int control, const struct request *r, int passed, struct err *err)
{
	char line[REQUEST_LINE_MAX];
	size_t len = strlen(request_format(r, line));

	line[len++] = '\n';
	if (pass_send(control, line, len, passed) != (ssize_t)len)
		return err_sys(err, "cannot ask the proxy");
	return 0;
}

static int
connect_to(const struct setup *setup, const struct request *r, struct err *err)
{
	static struct join j; /* for its size */
	int sv[2], rc = -1;

	if (client_connect(setup->session, setup->index, &j.control, err) != CLIENT_FOUND)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) {
		err_sys(err, "cannot make a pair of sockets");
		goto out;
	}
	j.answer.code = -1;
	j.out.from = STDIN_FILENO;
	j.out.to = j.in.from = sv[0];
	j.in.to = STDOUT_FILENO;
	rc = ask(j.control, r, sv[1], err);
	close(sv[1]);
	if (rc == 0)
		rc = join(&j, err);
	close(sv[0]);
out:
	close(j.control);
	return rc;
}

int
cmd_connect(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct verb_usage usage = {
	    .verb = "connect",
	    .operands = "PARTY:TARGET",
	    .min_operands = 1,
	    .max_operands = 1,
	    .help = "Join stdin and stdout to what PARTY exposes as TARGET: a PORT, "
		    "HOST:PORT or\nunix:/PATH. PARTY may be bob, bob.mpc or, for a "
		    "HOST behind bob, HOST.bob.mpc.\nFor ssh:\n"
		    "  ssh -o ProxyCommand='mpcproxy connect -c session.ini %h:%p' bob",
	    .setup = &o,
	};
	struct request r = {.verb = REQUEST_CONNECT};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (target_parse_at(r.party, sizeof r.party, &r.target, argv[1], &err) != 0)
		return options_bad("connect", "%s: %s", argv[1], err.text);
	signal(SIGPIPE, SIG_IGN);
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = connect_to(&setup, &r, &err);
	if (rc < 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		rc = EXIT_FAILED;
	}
	setup_free(&setup);
	return rc;
}
