#ifndef MPCPROXY_TUNNEL_STREAM_H
#define MPCPROXY_TUNNEL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "quic/quic.h"
#include "tunnel/link.h"
#include "tunnel/peer.h"

/*
 * One local TCP connection joined to one QUIC stream. The opener's side has accepted a
 * local program's connection and holds it until the far program is there; the
 * acceptor's side dials the local program that the stream's header asks for.
 *
 *   opener:    [GREETING ->] WAITING -> REQUESTED -> LIVE
 *   acceptor:  HEADER -> [GREETING -> WAITING ->] DIALLING -> LIVE
 *
 * GREETING is for MPyC's first bytes (guard.h). WAITING is for the link, and for the one
 * MPyC stream that may be live between two parties. Until an opener is LIVE its local
 * program's first bytes are kept, so that the request can be made again on a new link. A
 * stream that is over is freed at once; what QUIC still has to deliver of it, QUIC
 * delivers.
 */
struct stream;

/* A local program's connection for the far MPyC. Takes ${fd} over. NULL (${fd} closed)
 * when memory is short. */
struct stream *stream_open_mpyc(struct peer *p, int fd);

/* Whom a stream is opened for. */
struct stream_caller {
	bool socks; /* the local program waits for a SOCKS5 reply first */
	bool close_breaks; /* joint_close_breaks() */
	/* It is over: well, or ${why} not. Not from within stream_open_port(). NULL:
	 * nobody wants to know. Who does, and who waits for a reply, does not wait
	 * longer than STREAM_WAIT_S for the party, and for its answer. */
	void (*ended)(void *arg, const char *why);
	void *arg;
};

#define STREAM_WAIT_S 30

/* The same for something that the peer exposes. */
struct stream *stream_open_port(struct peer *p, int fd, const struct target *t,
				const struct stream_caller *caller);
/* Its caller wants to hear no more of it, and that it ends. */
void stream_cancel(struct stream *s);

/* A stream that the peer opened. */
struct stream *stream_accept(struct peer *p, struct quic_stream *qs);

/* What link.h wants of an owner. */
struct link_owner *stream_owner(struct stream *s);
bool stream_is_mpyc(const struct stream *s);
bool stream_is_opener(const struct stream *s);
/* Not LIVE yet. */
bool stream_is_held(const struct stream *s);
/* The peer opened it for something that is not exposed to it (any more). */
bool stream_is_forbidden(const struct stream *s);
/* Nothing has moved since ${since_ns}. */
bool stream_is_quiet(const struct stream *s, uint64_t since_ns);
/* A meter of the peer's has stopped it. */
bool stream_is_metered(const struct stream *s);
/* Move what can be moved. ${s} may be gone after it. */
void stream_resume(struct stream *s);
/* It has a QUIC stream. */
bool stream_is_attached(const struct stream *s);
/* Nothing is on its way in either direction. */
bool stream_is_idle(const struct stream *s);

/* What ${s} was waiting for is there: ask the peer (opener) or dial (acceptor). -1 when
 * no QUIC stream can be had now: it goes on waiting. */
int stream_proceed(struct stream *s);

/* Move what can be moved, both ways, and end what is over. ${s} may be gone after it. */
void stream_move(struct stream *s);

/* End it now, abnormally for both ends, and free it. */
void stream_kill(struct stream *s);

/* How peer.c strings streams together: all of a peer's, the queue that one waits in, if
 * any, and those that got data in this turn of the loop. */
TAILQ_HEAD(stream_list, stream_links);
struct stream_links {
	struct stream *stream; /* NULL while it is in no list */
	TAILQ_ENTRY(stream_links) all, waiting, fed;
	struct stream_list *queue;
	bool is_fed;
};
struct stream_links *stream_links(struct stream *s);

#endif
