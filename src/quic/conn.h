#ifndef MPCPROXY_QUIC_CONN_H
#define MPCPROXY_QUIC_CONN_H

#include <ngtcp2/ngtcp2.h>

#include "quic/pacer.h"
#include "quic/quic.h"
#include "quic/sendbuf.h"
#include "quic/tls.h"

/*
 * What the files of a connection share; private to quic/, which alone knows ngtcp2.
 */

enum quic_state {
	QUIC_WAITING, /* server, nothing heard yet: there is no ngtcp2_conn */
	QUIC_HANDSHAKE,
	QUIC_ESTABLISHED,
	QUIC_ENDED,
};

/* Trains that the path did not take; see quic_send.c. */
struct quic_batch;

/* A doubly linked list of streams, through one of the links in each. */
struct quic_list {
	struct quic_stream *first, *last;
};

struct quic_link {
	struct quic_stream *prev, *next;
	bool in;
};

enum quic_list_name {
	QUIC_LIST_ALL,
	QUIC_LIST_SEND,   /* have something that may be sent now */
	QUIC_LIST_ABORT,  /* RESET_STREAM and STOP_SENDING to be sent */
	QUIC_LIST_SMALL,  /* have little credit, and wait for more */
	QUIC_LIST_NOTIFY, /* callbacks to be made when ngtcp2 is not at work */
	QUIC_LISTS,
};

/* See ration.c. */
struct quic_ration {
	size_t n_refused;    /* streams of the peer's that we owe credit for */
	uint64_t refused_ns; /* when the next of it is given, CLOCK_NEVER when none is owed */
	uint64_t small_ns;   /* until then small windows wait; CLOCK_NEVER when none does */
};

/* Our connection ids. Nothing is dispatched by them: a path carries one connection. */
#define QUIC_CID_BYTES 8

/* What ngtcp2 takes for a path. */
struct quic_place {
	uint32_t path;
	uint16_t epoch; /* one path may become several; see quic_path.c */
};

/* Remembered: the place in use, the one before, and one being entered. */
#define QUIC_PLACES 4

struct quic {
	struct quic_config cfg;
	struct quic_callbacks cb;
	void *arg;

	enum quic_state state;
	ngtcp2_conn *conn;
	struct quic_tls *tls;
	enum quic_cipher cipher;
	bool tls_done;
	bool stateless_reset;

	uint64_t now_ns; /* of the call being served */
	bool inside;     /* a call is being served: callbacks may call back */
	bool expiring;   /* it is quic_expire() */
	uint64_t expiry_ns;
	uint64_t created_ns;
	uint64_t last_received_ns;
	uint64_t unanswered_ns; /* when what is to be answered began; 0: nothing is */
	bool opened;    /* the datagram being read contained a packet that decrypts... */
	bool authentic; /* ...with a key that only the peer has... */
	bool eliciting; /* ...and that is to be acknowledged */

	/* Set once, by whichever comes first: the end that quic_finish() will report. */
	bool ending;
	bool tell_peer; /* with CONNECTION_CLOSE */
	struct quic_end end;

	uint32_t path;     /* of the first packet */
	uint32_t new_path; /* being validated, while ${migrating} */
	bool migrating;
	uint16_t epoch; /* the newest; see quic_path.c */
	struct quic_place full[QUIC_PLACES];
	uint8_t
	    dcid[QUIC_CID_BYTES]; /* of the client's latest packet in the place in use */
	bool has_dcid;
	size_t n_full;    /* ever */
	uint64_t full_ns; /* when the newest was found */

	struct quic_list list[QUIC_LISTS];
	struct sendbuf_pool pool;
	size_t streams;
	size_t buffered; /* in all send buffers */
	size_t held;     /* handed to owners and not yet consumed */
	size_t owed;     /* connection credit withheld because ${held} was too much */

	bool settled;      /* something was sent after the handshake */
	unsigned n_read;   /* datagrams to be acknowledged since something was sent... */
	size_t read_bytes; /* ...in them */
	uint64_t read_ns;  /* when the first of them came */
	struct pacer pacer;
	struct quic_ration ration;
	size_t unaccounted; /* bytes that ngtcp2's pacing has not been told of */
	struct quic_datagram *datagrams, *last_datagram; /* to be sent */
	size_t n_datagrams;
	bool streams_turn; /* the packet before was for datagrams, if there were any */

	struct quic_batch *unsent;
	uint64_t bytes_sent, bytes_received, packets_lost, dropped;
};

struct quic_stream {
	struct quic *q;
	void *arg;
	int64_t id;
	struct quic_link link[QUIC_LISTS];
	struct sendbuf out;
	uint64_t written;
	uint64_t acked;
	size_t held;
	uint64_t abort_code;
	uint64_t reset_code; /* of the peer's RESET_STREAM */
	uint64_t stop_code;

	bool fin_wanted;
	bool fin_sent;
	bool fin_alone; /* in a frame of its own, behind data sent before */
	bool fin_acked;
	bool sent_told;
	bool blocked;   /* by the peer's stream window */
	bool refused;   /* the peer should not have opened it */
	bool want_room; /* reserve returned 0 */
	bool aborted;
	bool was_reset; /* RESET_STREAM came */
	bool stopped;   /* STOP_SENDING came */
	bool stop_told;
	bool over; /* ngtcp2 has closed it */
};

void quic_list_add(enum quic_list_name name, struct quic_stream *s);
void quic_list_remove(enum quic_list_name name, struct quic_stream *s);

/* quic.c */
/* Around every call that may call back or send: false when there is nothing to serve
 * any more, or the call comes from a callback, which leaves the work to the outer one. */
bool quic_enter(struct quic *q, uint64_t now_ns);
void quic_leave(struct quic *q, bool more);
/* Both ends are authenticated; tells the owner once. */
void quic_established(struct quic *q);

/* quic_end.c */
/* End the connection when the call being served ends. The first reason stays. */
void quic_end(struct quic *q, bool tell_peer, bool by_peer, bool application,
	      uint64_t code, const char *text);
/* The same, because ngtcp2 returned ${error}. */
void quic_fail(struct quic *q, int error);
/* Tell everybody that it is over. */
void quic_finish(struct quic *q);

/* quic_path.c */
void quic_path_callbacks(ngtcp2_callbacks *cb);
void quic_path_set(ngtcp2_path_storage *ps, struct quic_place place);
uint32_t quic_path_id(const ngtcp2_path *path);
uint32_t quic_path_current(const struct quic *q);
/* Where a datagram on ${path} counts as received; false when it must not be read. */
bool quic_path_of(struct quic *q, uint32_t path, const uint8_t *data, size_t len,
		  struct quic_place *place);
/* The same datagram was authentic. */
void quic_path_proved(struct quic *q, struct quic_place place, const uint8_t *data,
		      size_t len);
/* A packet has left, or come. */
void quic_path_sent(struct quic *q);
void quic_path_heard(struct quic *q);
/* When quic_is_late() may change to true; CLOCK_NEVER: not before something is sent. */
uint64_t quic_path_expiry(const struct quic *q);

/* quic_crypto.c: TLS */
void quic_crypto_callbacks(ngtcp2_callbacks *cb);
/* Make the TLS end for a new q->conn, whose own connection id is ${scid}. */
int quic_crypto_start(struct quic *q, const ngtcp2_cid *scid, struct err *err);

/* quic_keys.c: packet protection. Each returns 0, or -1 (quic_keys_initial(): an error
 * of ngtcp2's). */
void quic_keys_callbacks(ngtcp2_callbacks *cb);
int quic_keys_initial(struct quic *q, const ngtcp2_cid *dcid);
int quic_keys_retry(struct quic *q);
int quic_keys_install(struct quic *q, enum quic_level level, bool write,
		      enum quic_cipher cipher, const uint8_t *secret, size_t len);

/* quic_send.c */
/* Send what may be sent now. 0, or an error of ngtcp2's that ends the connection. */
int quic_send(struct quic *q);
/* CONNECTION_CLOSE, for q->end. */
void quic_send_close(struct quic *q);
void quic_send_clear(struct quic *q);

/* ration.c */
void quic_ration_init(struct quic_ration *r);
/* A stream that was refused is over: the peer may open another, in a while. */
void quic_ration_refused(struct quic *q);
/* Whether ${left} bytes of credit are too few to send ${offered} with, yet. */
bool quic_ration_is_small(struct quic *q, uint64_t left, size_t offered);
/* Around sending: what has waited long enough. */
void quic_ration_begin(struct quic *q);
void quic_ration_end(struct quic *q);
/* When there is something to begin for; CLOCK_NEVER for nothing. */
uint64_t quic_ration_expiry(const struct quic *q);

/* datagram.c */
void quic_datagram_callbacks(ngtcp2_callbacks *cb);
/* Fill one packet with the first one that waits: as ngtcp2_conn_writev_datagram(), 0 when
 * there is none. */
ngtcp2_ssize quic_datagram_write(struct quic *q, uint8_t *dest, size_t size,
				 ngtcp2_path *path);
void quic_datagrams_clear(struct quic *q);

/* stream.c */
struct quic_stream *quic_stream_new(struct quic *q);
void quic_stream_free(struct quic_stream *s);
/* The owner got rid of ${len} bytes: the connection's credit for them, and what was
 * withheld before as far as the bound allows. */
void quic_stream_release(struct quic *q, size_t len);
/* Put the stream among those that send, or take it from them. */
void quic_stream_update(struct quic_stream *s);
bool quic_stream_may_write(const struct quic_stream *s);
/* Room enough to wake an owner for. */
bool quic_stream_has_room(const struct quic_stream *s);
/* stream_closed() is due. A clean end waits for the owner to have got rid of everything,
 * so that the peer's credit bounds what owners hold of finished streams, too. */
bool quic_stream_is_over(const struct quic_stream *s);
/* RESET_STREAM and STOP_SENDING of aborted streams, to be written by quic_send(). */
int quic_streams_abort(struct quic *q);
void quic_streams_free(struct quic *q);
/* What became of a write. */
void quic_stream_taken(struct quic_stream *s, size_t len, bool fin);
/* The peer's window ends, or (${small}) is not worth a packet. */
void quic_stream_blocked(struct quic_stream *s, bool small);
void quic_stream_unblocked(struct quic_stream *s);
void quic_stream_stopped(struct quic_stream *s, uint64_t code);

/* stream_events.c: what happens to streams */
void quic_stream_callbacks(ngtcp2_callbacks *cb);
/* Owners' callbacks that waited until ngtcp2 is not at work. */
void quic_streams_notify(struct quic *q);
/* Close all streams as lost. */
void quic_streams_lost(struct quic *q);

#endif
