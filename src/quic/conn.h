#ifndef MPCPROXY_QUIC_CONN_H
#define MPCPROXY_QUIC_CONN_H

#include <ngtcp2/ngtcp2.h>

#include "quic/quic.h"
#include "quic/sendbuf.h"
#include "quic/tls.h"

/*
 * What the files of a connection share; private to quic/. quic.c owns its life,
 * quic_crypto.c feeds ngtcp2's keys and handshake, quic_send.c writes packets,
 * stream.c keeps the streams.
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
	QUIC_LIST_NOTIFY, /* callbacks to be made when ngtcp2 is not at work */
	QUIC_LISTS,
};

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
	uint64_t expiry_ns;
	uint64_t created_ns;
	uint64_t last_received_ns;
	bool opened;    /* the datagram being read contained a packet that decrypts... */
	bool authentic; /* ...with a key that only the peer has */

	/* Set once, by whichever comes first: the end that finish() will report. */
	bool ending;
	bool tell_peer; /* with CONNECTION_CLOSE */
	struct quic_end end;

	uint32_t path;        /* of the first packet */
	uint32_t new_path;    /* being validated, while ${migrating} */
	bool migrating;

	struct quic_list list[QUIC_LISTS];
	struct sendbuf_pool pool;
	size_t streams;
	size_t buffered; /* in all send buffers */
	size_t held;     /* handed to owners and not yet consumed */
	size_t owed;     /* connection credit withheld because ${held} was too much */

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
	bool want_room; /* reserve returned 0 */
	bool aborted;
	bool was_reset; /* RESET_STREAM came */
	bool stopped;   /* STOP_SENDING came */
	bool stop_told;
	bool over;      /* ngtcp2 has closed it */
};

void quic_list_add(enum quic_list_name name, struct quic_stream *s);
void quic_list_remove(enum quic_list_name name, struct quic_stream *s);

/* quic.c */
/* End the connection when the call being served ends, because ngtcp2 returned
 * ${error}. The first reason given stays. */
void quic_fail(struct quic *q, int error);
/* Both ends are authenticated; tells the owner once. */
void quic_established(struct quic *q);
void quic_path_set(ngtcp2_path_storage *ps, uint32_t path);
uint32_t quic_path_id(const ngtcp2_path *path);

/* quic_crypto.c */
void quic_crypto_callbacks(ngtcp2_callbacks *cb);
/* Make the TLS end for a new q->conn, whose own connection id is ${scid}. */
int quic_crypto_start(struct quic *q, const ngtcp2_cid *scid, struct err *err);

/* quic_send.c */
/* Send what may be sent now. 0, or an error of ngtcp2's that ends the connection. */
int quic_send(struct quic *q);
/* CONNECTION_CLOSE, for q->end. */
void quic_send_close(struct quic *q);
void quic_send_clear(struct quic *q);

/* stream.c */
void quic_stream_callbacks(ngtcp2_callbacks *cb);
/* RESET_STREAM and STOP_SENDING of aborted streams, to be written by quic_send(). */
int quic_streams_abort(struct quic *q);
/* Owners' callbacks that wait until ngtcp2 is not at work. */
void quic_streams_notify(struct quic *q);
/* Close all streams as lost. */
void quic_streams_lost(struct quic *q);
void quic_streams_free(struct quic *q);
/* quic_send.c tells what became of a write. */
void quic_stream_taken(struct quic_stream *s, size_t len, bool fin);
void quic_stream_blocked(struct quic_stream *s);
void quic_stream_stopped(struct quic_stream *s, uint64_t code);

#endif
