#ifndef MPCPROXY_RENDEZVOUS_WIRE_H
#define MPCPROXY_RENDEZVOUS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>
#include <openssl/ssl.h>

#include "rendezvous/frame.h"

/*
 * A TCP connection that carries frames inside TLS, at either end. While it is idle it
 * holds no buffers (and OpenSSL is told to hold none).
 *
 * The process must ignore SIGPIPE.
 */
struct wire;

#define WIRE_ALPN      "mpcproxy-mailbox/1"
#define WIRE_WHY_BYTES 200

struct wire_callbacks {
	/* The TLS handshake is done. */
	void (*opened)(void *arg);
	/* A frame of the other side's; its pointers are valid during the call. */
	void (*frame)(void *arg, const struct frame *f);
	/* All that was sent is with the kernel. NULL: not wanted. */
	void (*drained)(void *arg);
	/* It is over; only wire_free() may follow. ${why} is one phrase. */
	void (*closed)(void *arg, const char *why);
};

struct wire_config {
	bool mailbox;      /* the TLS server, whose peer is a party */
	size_t output_max; /* bytes that may wait to be sent; more fails wire_send() */
};

/* Take over the connected, non-blocking ${fd} and ${ssl} (a fresh one that knows which
 * key to expect), also when this fails. Callbacks come from the event loop only;
 * wire_free() may be called inside each. */
struct wire *wire_new(struct event_base *base, int fd, SSL *ssl,
		      const struct wire_config *cfg, const struct wire_callbacks *cb,
		      void *arg);

/* What is queued gets one chance to leave (so that a last ERROR arrives). NULL is fine.
 */
void wire_free(struct wire *w);

/* Queue a frame. -1 when the peer does not read: ${output_max} is reached. */
int wire_send(struct wire *w, const struct frame *f);

/* Bytes that wait to be sent, and when the kernel last took any of them or they began
 * to wait (monotonic). */
size_t wire_queued(const struct wire *w);
uint64_t wire_progress_ns(const struct wire *w);

/* Stop and resume reading: the peer is held back by TCP. */
void wire_pause(struct wire *w);
void wire_resume(struct wire *w);

const SSL *wire_ssl(const struct wire *w);

#endif
