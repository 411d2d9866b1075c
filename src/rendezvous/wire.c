#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

#include "base/clock.h"
#include "rendezvous/wire.h"
#include "session/cert.h"

/* The plain text of one TLS record, the most that SSL_read() gives at once. */
#define RECORD_BYTES 16384

/* What a stranger's first bytes are looked at for: the headers of a TLS record and of a
 * ClientHello (RFC 8446, 5.1 and 4). OpenSSL makes room for all that the latter announces,
 * up to 128 KiB; one of ours is much smaller, with post-quantum key shares as well. */
#define HELLO_HEADER_BYTES 9
#define HELLO_MAX          4096

struct wire {
	int fd;
	SSL *ssl;
	struct wire_config cfg;
	struct wire_callbacks cb;
	void *arg;
	struct event *readable, *writable;
	struct evbuffer *output;
	uint64_t progress_ns;
	uint8_t *partial; /* the start of a frame, NULL when there is none */
	size_t partial_len;
	bool greeted; /* its ClientHello, if it is one, is of a sane size */
	bool opened, paused, over;
	/* wire_free() inside a callback leaves the freeing to who calls back. */
	bool busy, freed;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

/* The socket is readable when it has so many, or is at its end. */
static void
wait_for_bytes(struct wire *w, int n)
{
	setsockopt(w->fd, SOL_SOCKET, SO_RCVLOWAT, &n, sizeof n);
}

struct wire *
wire_new(struct event_base *base, int fd, SSL *ssl, const struct wire_config *cfg,
	 const struct wire_callbacks *cb, void *arg)
{
	struct wire *w = calloc(1, sizeof *w);
	int on = 1;

	if (w == NULL)
		goto err0;
	w->fd = fd;
	w->ssl = ssl;
	w->cfg = *cfg;
	w->cb = *cb;
	w->arg = arg;
	w->output = evbuffer_new();
	if (w->output == NULL)
		goto err1;
	w->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, w);
	if (w->readable == NULL)
		goto err2;
	w->writable = event_new(base, fd, EV_WRITE, on_writable, w);
	if (w->writable == NULL)
		goto err3;
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (cfg->mailbox) {
		wait_for_bytes(w, HELLO_HEADER_BYTES);
		SSL_set_accept_state(ssl);
	} else {
		w->greeted = true;
		SSL_set_connect_state(ssl);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (SSL_set_fd(ssl, fd) != 1)
		goto err4;
	/* The first writable event starts the handshake, at either end. */
	if (event_add(w->readable, NULL) != 0 || event_add(w->writable, NULL) != 0)
		goto err4;
	return w;

err4:
	event_free(w->writable);
err3:
	event_free(w->readable);
err2:
	evbuffer_free(w->output);
err1:
	free(w);
err0:
	SSL_free(ssl);
	close(fd);
	return NULL;
}

static void
destroy(struct wire *w)
{
	event_free(w->writable);
	event_free(w->readable);
	evbuffer_free(w->output);
	SSL_free(w->ssl);
	ERR_clear_error();
	close(w->fd);
	free(w->partial);
	free(w);
}

/* Callbacks run between enter() and leave(); nothing touches ${w} after leave(). */
static void
enter(struct wire *w)
{
	w->busy = true;
}

static void
leave(struct wire *w)
{
	w->busy = false;
	if (w->freed)
		destroy(w);
}

static void
finish(struct wire *w, const char *why)
{
	if (w->over || w->freed)
		return;
	w->over = true;
	event_del(w->readable);
	event_del(w->writable);
	w->cb.closed(w->arg, why);
}

/* What a failed handshake means to a person. */
static const char *
handshake_reason(const struct wire *w)
{
	const unsigned char *alpn;
	unsigned alpn_len;

	if (w->cfg.mailbox)
		return "not a party";
	SSL_get0_alpn_selected(w->ssl, &alpn, &alpn_len);
	if (alpn_len > 0 && SSL_get_verify_result(w->ssl) != X509_V_OK)
		return "the mailbox's key is not the one in the URL: ask whoever runs it "
		       "for its current line";
	return "it answers with something that is not a mailbox";
}

/* Deal with a return of OpenSSL's that is no success: wait, or end the connection. */
static void
ssl_result(struct wire *w, int result)
{
	int error = SSL_get_error(w->ssl, result), saved = errno;
	unsigned long code = ERR_peek_error();
	const char *detail = cert_failure(w->ssl);
	char why[WIRE_WHY_BYTES];

	if (detail == NULL)
		detail = ERR_reason_error_string(code);
	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_READ:
		return;
	case SSL_ERROR_WANT_WRITE:
		event_add(w->writable, NULL);
		return;
	case SSL_ERROR_ZERO_RETURN:
		finish(w, "closed by the other side");
		return;
	case SSL_ERROR_SYSCALL:
		if (code == 0 && saved != 0) {
			finish(w, strerror(saved));
			return;
		}
		break;
	default:
		break;
	}
	if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		finish(w, w->opened
			      ? "the connection was cut"
			      : "it closed the connection during the TLS handshake");
		return;
	}
	snprintf(why, sizeof why, "%s (%s)",
		 w->opened ? "TLS failed" : handshake_reason(w),
		 detail != NULL ? detail : "no detail");
	finish(w, why);
}

/* SSL_get_error() looks at both, and others leave things there. */
static void
before_ssl(void)
{
	ERR_clear_error();
	errno = 0;
}

static void
flush(struct wire *w)
{
	struct evbuffer_iovec v;
	int n;

	while (evbuffer_peek(w->output, -1, NULL, &v, 1) > 0 && v.iov_len > 0) {
		if (v.iov_len > RECORD_BYTES)
			v.iov_len = RECORD_BYTES;
		before_ssl();
		n = SSL_write(w->ssl, v.iov_base, (int)v.iov_len);
		if (n <= 0) {
			ssl_result(w, n);
			return;
		}
		evbuffer_drain(w->output, (size_t)n);
		w->progress_ns = clock_now_ns();
	}
}

/* What is no TLS at all, OpenSSL has better words for. Alerts and the like in front of a
 * ClientHello would hide it. */
static bool
may_be_hello(const uint8_t head[HELLO_HEADER_BYTES])
{
	size_t record = (size_t)head[3] << 8 | head[4];
	size_t hello = (size_t)head[6] << 16 | (size_t)head[7] << 8 | head[8];

	if (head[0] == SSL3_RT_HANDSHAKE)
		return record >= 4 && head[5] == SSL3_MT_CLIENT_HELLO &&
		       hello <= HELLO_MAX;
	return head[0] < 0x80 && (head[0] < SSL3_RT_CHANGE_CIPHER_SPEC ||
				  head[0] > SSL3_RT_APPLICATION_DATA);
}

/* Whether the handshake may begin. ${readable}: all that is needed is there, or no more
 * will come. */
static bool
greet(struct wire *w, bool readable)
{
	uint8_t head[HELLO_HEADER_BYTES];
	ssize_t n = recv(w->fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT);

	if (n < (ssize_t)sizeof head && !readable)
		return false;
	if (n == (ssize_t)sizeof head && !may_be_hello(head)) {
		finish(w, "not a party (no ClientHello, or one that is too long)");
		return false;
	}
	w->greeted = true;
	wait_for_bytes(w, 1);
	return true;
}

static void
handshake(struct wire *w, bool readable)
{
	int n;

	if (!w->greeted && !greet(w, readable))
		return;
	before_ssl();
	n = SSL_do_handshake(w->ssl);
	if (n != 1) {
		ssl_result(w, n);
		return;
	}
	w->opened = true;
	w->cb.opened(w->arg);
}

/* Hand out the frames in ${data}; keep the start of one that is not complete. */
static void
frames(struct wire *w, const uint8_t *data, size_t len)
{
	struct frame f;
	struct err err;
	ssize_t n;

	while (len > 0 && !w->freed) {
		n = frame_parse(&f, !w->cfg.mailbox, data, len, &err);
		if (n < 0) {
			finish(w, err.text);
			return;
		}
		if (n == 0)
			break;
		w->cb.frame(w->arg, &f);
		data += n;
		len -= (size_t)n;
	}
	if (len == 0 || w->freed)
		return;
	w->partial = malloc(len);
	if (w->partial == NULL) {
		finish(w, "out of memory");
		return;
	}
	memcpy(w->partial, data, len);
	w->partial_len = len;
}

static void
receive(struct wire *w)
{
	uint8_t buffer[FRAME_MAX + RECORD_BYTES];
	size_t have = w->partial_len;
	int n;

	before_ssl();
	n = SSL_read(w->ssl, buffer + have, RECORD_BYTES);
	if (n <= 0) {
		ssl_result(w, n);
		return;
	}
	if (have > 0)
		memcpy(buffer, w->partial, have);
	free(w->partial);
	w->partial = NULL;
	w->partial_len = 0;
	frames(w, buffer, have + (size_t)n);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;

	(void)fd;
	(void)what;
	enter(w);
	if (!w->opened)
		handshake(w, true);
	/* One record at a time: what is left makes the socket readable again, and
	 * other connections get their turn. */
	else if (!w->paused)
		receive(w);
	leave(w);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;

	(void)fd;
	(void)what;
	enter(w);
	if (!w->opened)
		handshake(w, false);
	if (w->opened && !w->over && !w->freed) {
		flush(w);
		if (w->cb.drained != NULL && !w->over && wire_queued(w) == 0)
			w->cb.drained(w->arg);
	}
	leave(w);
}

void
wire_free(struct wire *w)
{
	if (w == NULL || w->freed)
		return;
	w->freed = true;
	if (w->opened && !w->over) {
		flush(w);
		if (!w->over)
			SSL_shutdown(w->ssl);
	}
	event_del(w->readable);
	event_del(w->writable);
	if (!w->busy)
		destroy(w);
}

int
wire_send(struct wire *w, const struct frame *f)
{
	struct evbuffer_iovec v;
	ssize_t n;

	if (w->over || w->freed || wire_queued(w) + FRAME_MAX > w->cfg.output_max)
		return -1;
	if (evbuffer_reserve_space(w->output,
				   FRAME_HEADER_BYTES + PUBKEY_BYTES + 2 + f->len, &v,
				   1) < 1)
		return -1;
	n = frame_encode(f, v.iov_base, v.iov_len);
	if (n < 0)
		return -1;
	if (wire_queued(w) == 0)
		w->progress_ns = clock_now_ns();
	v.iov_len = (size_t)n;
	evbuffer_commit_space(w->output, &v, 1);
	if (w->opened)
		event_add(w->writable, NULL);
	return 0;
}

size_t
wire_queued(const struct wire *w)
{
	return evbuffer_get_length(w->output);
}

uint64_t
wire_progress_ns(const struct wire *w)
{
	return w->progress_ns;
}

void
wire_pause(struct wire *w)
{
	if (w->paused || w->over || w->freed)
		return;
	w->paused = true;
	event_del(w->readable);
}

void
wire_resume(struct wire *w)
{
	if (!w->paused || w->over || w->freed)
		return;
	w->paused = false;
	event_add(w->readable, NULL);
}

const SSL *
wire_ssl(const struct wire *w)
{
	return w->ssl;
}
