#ifndef MPCPROXY_QUIC_QUIC_H
#define MPCPROXY_QUIC_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>
#include <sys/uio.h>

#include "base/err.h"
#include "session/pubkey.h"

/*
 * One QUIC v1 connection (RFC 9000) with one peer, TLS 1.3 by OpenSSL, both ends
 * pinned to a key. No sockets and no clock: datagrams and times are arguments, what
 * is to be sent leaves through a callback. Times are nanoseconds, monotonic.
 */
struct quic;
struct quic_stream;

/* What is sent or buffered has a bound. */
#define QUIC_STREAM_WINDOW_INITIAL (2 * 1024 * 1024)
#define QUIC_STREAM_WINDOW_MAX     (8 * 1024 * 1024)
#define QUIC_WINDOW_INITIAL        (4 * 1024 * 1024)
#define QUIC_WINDOW_MAX            (16 * 1024 * 1024) /* per connection, all streams */
#define QUIC_RECEIVED_MAX          (32 * 1024 * 1024) /* see stream_data() */
#define QUIC_SEND_BUFFER_MAX       (8 * 1024 * 1024)  /* per stream, unacknowledged too */
#define QUIC_UNSENT_MAX            (512 * 1024)       /* per stream, of that: what would only
							 grow old in memory */
#define QUIC_BUFFERED_MAX          (64 * 1024 * 1024) /* all send buffers; beyond it a
							 stream has 16 KiB only */
#define QUIC_STREAMS_MAX           4096               /* open at once, of each side */
#define QUIC_DATAGRAMS_MAX         256                /* that wait to be sent */
#define QUIC_BATCH_BYTES           65535              /* one train of datagrams */

/*
 * Calling in and being called: callbacks run inside quic_receive(), quic_expire(),
 * quic_flush(), quic_close() and quic_migrate(), and only there. A callback may call
 * everything but quic_free(): what it asks for is noted, and done before the outer
 * call returns. Outside of callbacks the functions on streams only note, too; then
 * quic_flush() has to follow (once, after any number of them).
 */

/* Application error codes (RFC 9000, 20.2). */
enum quic_code {
	QUIC_CODE_NONE = 0,
	QUIC_CODE_SHUTDOWN = 1,  /* connection: the party ends as it was asked to */
	QUIC_CODE_REPLACED = 2,  /* connection: a newer one takes its place */
	QUIC_CODE_REFUSED = 3,   /* stream: not exposed, or the guard's objection */
	QUIC_CODE_CANCELLED = 4, /* stream: the local program hung up while held */
	QUIC_CODE_ABORTED = 5,   /* stream: the local program's connection was reset */
	QUIC_CODE_PROTOCOL = 6,  /* either: the peer broke our protocol */
	QUIC_CODE_LIMIT = 7,     /* either: a documented bound was exceeded */
};

/* Why a connection ended. */
struct quic_end {
	bool by_peer;
	bool silence;      /* nothing was heard for quic_config.idle_ns */
	bool application;  /* ${code} is a quic_code; otherwise RFC 9000's (0x100 + alert for TLS) */
	uint64_t code;
	char text[160];    /* one phrase for the log: "the peer's key is not the roster's" */
};

struct quic_callbacks {
	/* A train of datagrams of ${segment} bytes each (the last may be shorter) for
	 * path ${path}. Returns the bytes taken, a multiple of ${segment} or all; what
	 * is not taken is kept and offered again by quic_flush(). */
	size_t (*send)(void *arg, uint32_t path, const uint8_t *data, size_t len,
		       size_t segment);
	/* quic_expiry() has changed: set the timer anew. */
	void (*timer)(void *arg);
	/* Both ends are authenticated; streams can be opened. */
	void (*established)(void *arg);
	/* It is over: by either end, a failed handshake or silence. Called once. All
	 * stream_closed() calls come before it. Only quic_free() may follow. */
	void (*ended)(void *arg, const struct quic_end *end);
	/* The peer opened a bidirectional stream. Return the owner's pointer for it,
	 * or NULL to refuse it (it is reset with QUIC_CODE_LIMIT). */
	void *(*stream_opened)(void *arg, struct quic_stream *s);
	/* Bytes in order, and FIN behind them (${len} may be 0 then). The callee gives
	 * credit back with quic_stream_consumed() when they have left its hands, now
	 * or later. A stalled owner stops its own stream at once (its window, 8 MiB at
	 * most) and the others only when all owners together hold QUIC_RECEIVED_MAX;
	 * with what is under way then, a connection's owners never hold more than
	 * QUIC_RECEIVED_MAX + QUIC_WINDOW_MAX. */
	void (*stream_data)(void *sarg, const uint8_t *data, size_t len, bool fin);
	/* There is room again after quic_stream_reserve() returned 0 or
	 * quic_stream_write() failed. */
	void (*stream_writable)(void *sarg);
	/* The peer has acknowledged all bytes and the FIN of our half. */
	void (*stream_sent)(void *sarg);
	/* RESET_STREAM: the peer's half ended abnormally; no more data comes. */
	void (*stream_reset)(void *sarg, uint64_t code);
	/* STOP_SENDING: the peer wants no more; our half has been reset in answer.
	 * Noticed when something is to be sent, or else with the stream's end; ${code}
	 * is 0 when it is not known. */
	void (*stream_stopped)(void *sarg, uint64_t code);
	/* Both halves are over, and after a clean end all that was handed out has been
	 * consumed; the stream is freed after the call. Also called for every stream
	 * when the connection ends, then with ${lost}. Never from within a call on the
	 * stream itself. */
	void (*stream_closed)(void *sarg, bool lost);
	/* A datagram (RFC 9221), as the peer sent it. May be NULL. */
	void (*datagram)(void *arg, const uint8_t *data, size_t len);
	/* Migration (quic_migrate()) was decided: ${ok} when ${path} works and is in
	 * use. Otherwise the old path is, if it still was alive. */
	void (*migrated)(void *arg, uint32_t path, bool ok);
};

struct quic_config {
	bool server;
	SSL_CTX *ssl_ctx;      /* cert_ssl_ctx(); shared between connections */
	struct pubkey peer;    /* whom the other end must prove to be */
	uint32_t path;         /* the path of the first packet */
	uint64_t idle_ns;      /* silence after which the connection is given up */
	uint64_t keep_alive_ns; /* 0 for none */
	unsigned uni_streams;  /* what the peer may open of unidirectional streams. Ours
				  has no use for them; HTTP/3 insists. Their bytes are
				  discarded. */
};

/* A client's first packet leaves with the first quic_flush() or quic_expire(), which
 * is due at once. ${cfg} and ${cb} are copied, the SSL_CTX is not. */
struct quic *quic_new(const struct quic_config *cfg, const struct quic_callbacks *cb,
		      void *arg, uint64_t now_ns, struct err *err);
/* Silent: sends nothing, calls nothing back. quic_close() first to tell the peer. */
void quic_free(struct quic *q);

/* A datagram from the network on ${path}. Garbage is dropped and counted. ${data} may
 * be modified. Callbacks run inside, ended() among them; quic_free() must not be
 * called from within a callback. Ends by sending what there is to send, unless
 * ${more} says that further datagrams of the same batch follow (or quic_flush()). */
void quic_receive(struct quic *q, uint32_t path, uint8_t *data, size_t len, bool more,
		  uint64_t now_ns);

/* When quic_expire() must be called; CLOCK_NEVER when there is nothing to wait for. */
uint64_t quic_expiry(const struct quic *q);
void quic_expire(struct quic *q, uint64_t now_ns);

/* The path has room again, or streams have new data: send what may be sent. */
void quic_flush(struct quic *q, uint64_t now_ns);

/* Tell the peer (CONNECTION_CLOSE, ${code} of the application) and end; streams are
 * closed as lost, ended() is called: before it returns, or from a callback, before the
 * outer call does. */
void quic_close(struct quic *q, uint64_t code, const char *reason, uint64_t now_ns);

/*
 * Move to ${path}, a number that was never used before: path validation, then
 * migrated(). A move under way is given up first (migrated() says so). Client only. -1
 * and no callback when it cannot be tried now: before established(), or when failed
 * moves have used up the spare connection ids, of which the peer sends new ones as
 * soon as the path in use carries packets. When the path in use is dead, as the
 * caller knows (${dead}) or a keep-alive or data have shown, ${path} is used without
 * waiting: a server with a full congestion window would not answer a mere challenge.
 */
int quic_migrate(struct quic *q, uint32_t path, bool dead, uint64_t now_ns);

/*
 * The path in use carries packets again after a silence, as something outside of QUIC
 * has shown: what is in doubt is sent now, not after a probe timeout that has doubled
 * many times, and as on a new path: validated, with a fresh congestion window. Client
 * only; the server follows. -1 as for quic_migrate(), and while a move is under way.
 */
int quic_revive(struct quic *q, uint64_t now_ns);

/* Answers are overdue, and the next probe of QUIC's own is far away: time to find out in
 * another way whether the path carries anything. Changes to true in quic_expire(). */
bool quic_is_late(const struct quic *q);
/* quic_info's. */
uint64_t quic_last_received_ns(const struct quic *q);

/* NULL when the connection is not established, or the peer allows no more now. */
struct quic_stream *quic_stream_open(struct quic *q, void *sarg);

/* Room to put up to ${want} bytes of the stream's data without a copy; returns the
 * number of areas in ${iov}, 0 when the send buffer is full (stream_writable()
 * follows). */
#define QUIC_STREAM_AREAS 5
int quic_stream_reserve(struct quic_stream *s, size_t want,
			struct iovec iov[QUIC_STREAM_AREAS]);
/* The first ${len} reserved bytes are filled, before any other call on the connection.
 * Sent by the next quic_flush(). */
void quic_stream_commit(struct quic_stream *s, size_t len);
/* For small things: reserve, copy, commit. -1 when there is no room for all. */
int quic_stream_write(struct quic_stream *s, const void *data, size_t len);
/* FIN after all that was written. */
void quic_stream_finish(struct quic_stream *s);
/* ${len} bytes handed out by stream_data() have left; the peer may send as many. */
void quic_stream_consumed(struct quic_stream *s, size_t len);
/* RESET_STREAM and STOP_SENDING. Of the callbacks only stream_closed() follows. */
void quic_stream_abort(struct quic_stream *s, uint64_t code);
/* The peer should not have opened this stream: when it is over, the peer may open another
 * in its place only after a while. What ends it is for the caller to do. */
void quic_stream_refuse(struct quic_stream *s);
/* The callbacks' ${sarg} from now on; NULL when the owner is gone (nothing is called
 * back any more, data that still comes is consumed). */
void quic_stream_set_arg(struct quic_stream *s, void *sarg);
/* Bytes written and not yet acknowledged by the peer. */
size_t quic_stream_unacked(const struct quic_stream *s);

/* The stream's number on its connection (RFC 9000, 2.1), the same at both ends. */
uint64_t quic_stream_id(const struct quic_stream *s);

/* Send the ${n} parts as one unreliable datagram, with the next quic_flush(). -1 when it
 * is too large for the path now, or there is no connection. */
int quic_datagram_send(struct quic *q, const struct iovec *part, int n);

struct quic_info {
	bool established;
	uint64_t smoothed_rtt_ns, min_rtt_ns;
	uint64_t bytes_sent, bytes_received; /* of UDP payload */
	uint64_t packets_lost;      /* of those with bytes of streams */
	uint64_t datagrams_dropped; /* nothing in them could be decrypted */
	uint64_t last_received_ns; /* last authenticated packet; 0 for none */
	size_t streams;
	size_t cwnd_bytes;
	uint32_t path;
	size_t datagram_bytes; /* current path MTU, UDP payload */
};

void quic_get_info(const struct quic *q, struct quic_info *info);

#endif
