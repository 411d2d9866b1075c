#ifndef MPCPROXY_TUNNEL_STREAM_INTERNAL_H
#define MPCPROXY_TUNNEL_STREAM_INTERNAL_H

#include "tunnel/dialer.h"
#include "tunnel/header.h"
#include "tunnel/joint.h"
#include "tunnel/stream.h"

/* What the two roles of a stream (opener.c, acceptor.c) share. */

enum stream_state {
	STATE_HEADER,
	STATE_GREETING,
	STATE_WAITING,
	STATE_REQUESTED,
	STATE_DIALLING,
	STATE_LIVE,
};

/* Services that a request can name besides ports; their port is 0. */
#define SERVICE_MPYC   "mpyc"
#define SERVICE_ECHO   "echo"
#define SERVICE_RUN    "run"
#define SERVICE_SIGNAL "signal"
/* And ROSTER_SERVICE, which does not need a peer. */

struct stream {
	struct link_owner owner; /* first: see conn.h */
	struct stream_links links;
	struct peer *peer;
	struct quic_stream *qs;
	struct joint *joint;
	struct dialer *dialer;
	enum stream_state state;
	bool opener, mpyc;
	bool socks; /* the local program waits for a SOCKS5 reply */
	enum header_reply socks_reply;
	struct stream_caller caller;
	struct event *limit; /* for the answer, when the caller is impatient */
	const char *why;     /* of an abnormal end */
	struct target target;
	uint64_t moved_ns; /* when bytes did */
	/* The header (acceptor) or reply (opener), as far as it has come. */
	uint8_t head[HEADER_REQUEST_MAX];
	size_t head_len;
};

struct stream *stream_new(struct peer *p, const struct link_stream_ops *ops, bool opener);
void stream_flush(struct stream *s);

/* Free ${s}; the local connection is closed as it is, and what QUIC has to send goes out
 * without us. */
void stream_destroy(struct stream *s);

/*
 * End ${s} abnormally, let the local program see it, and free it. MPyC takes a reset for
 * a reason to wait for ever, and stops at once on an end of file; a SOCKS5 client reads
 * its reply first. Every other program gets the reset, which cannot be mistaken for the
 * end of the data.
 */
void stream_abort(struct stream *s, enum quic_code code);

/* The local program closed or reset its connection while it should not. Frees ${s}. */
void stream_local_gone(struct stream *s);

/* Data of the peer's for the local program, which gets all that one turn of the loop
 * has brought at once. ${s} may be gone after it. */
void stream_deliver(struct stream *s, const uint8_t *data, size_t len, bool fin);

/* The greeting of an MPyC party: at its own end, before anything is asked of the peer,
 * and at the far end, before anything is dialled. -1 when it is refused (logged). */
int stream_check_greeting(struct stream *s);

/* Both programs are there. */
void stream_go_live(struct stream *s);

/* The same for both roles. */
void stream_on_writable(void *owner);
void stream_on_reset(void *owner, uint64_t code);

/* stream_proceed() of each role. */
int opener_request(struct stream *s);
int acceptor_dial(struct stream *s);

/* Look at what the local program of an opener that is not LIVE has sent or done. -1 when
 * ${s} is gone. */
int opener_look(struct stream *s);

#endif
