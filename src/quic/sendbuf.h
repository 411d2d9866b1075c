#ifndef MPCPROXY_QUIC_SENDBUF_H
#define MPCPROXY_QUIC_SENDBUF_H

#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

/*
 * What a stream has to send, in chunks that stay where they are until the peer has
 * acknowledged them: bytes are written into the buffer once and read from there by
 * every (re)transmission. A buffer with nothing in it owns no chunk.
 *
 *     |  acknowledged, freed  |  sent  |  unsent  |  reserved  |
 */
#define SENDBUF_CHUNK_BYTES (16 * 1024)

/* Chunks to spare, shared by the streams of a connection, so that small messages do
 * not cost an allocation each. */
#define SENDBUF_POOL_CHUNKS 8

/* Areas of one reservation: the rest of the last chunk, and whole ones. */
#define SENDBUF_AREAS 5

struct sendbuf_chunk;

struct sendbuf_pool {
	struct sendbuf_chunk *free;
	size_t n;
};

void sendbuf_pool_clear(struct sendbuf_pool *pool);

struct sendbuf {
	struct sendbuf_pool *pool;
	struct sendbuf_chunk *head;   /* oldest unacknowledged byte */
	struct sendbuf_chunk *tail;   /* newest byte */
	struct sendbuf_chunk *cursor; /* first unsent byte; NULL when there is none */
	struct sendbuf_chunk *spare;  /* reserved behind tail, nothing in them yet */
	size_t head_offset;
	size_t cursor_offset;
	size_t len; /* unacknowledged, sent or not */
	size_t unsent;
};

void sendbuf_init(struct sendbuf *b, struct sendbuf_pool *pool);
void sendbuf_clear(struct sendbuf *b);

/* Room for up to ${want} bytes behind what is there, in areas of at most
 * SENDBUF_CHUNK_BYTES. Returns their number; 0 when memory is short. */
int sendbuf_reserve(struct sendbuf *b, size_t want, struct iovec iov[SENDBUF_AREAS]);

/* The first ${len} bytes of the last reservation are filled; the rest is released. */
void sendbuf_commit(struct sendbuf *b, size_t len);

/* The unsent bytes, oldest first: up to ${n} areas into ${iov}; returns their number. */
int sendbuf_unsent(const struct sendbuf *b, struct iovec *iov, int n);

/* ${len} unsent bytes have been sent, or ${len} sent bytes acknowledged. */
void sendbuf_sent(struct sendbuf *b, size_t len);
void sendbuf_acked(struct sendbuf *b, size_t len);

#endif
