#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "quic/sendbuf.h"

struct sendbuf_chunk {
	struct sendbuf_chunk *next;
	size_t len;
	uint8_t data[SENDBUF_CHUNK_BYTES];
};

static struct sendbuf_chunk *
chunk_get(struct sendbuf_pool *pool)
{
	struct sendbuf_chunk *c = pool->free;

	if (c != NULL) {
		pool->free = c->next;
		pool->n--;
	} else if ((c = malloc(sizeof *c)) == NULL) {
		return NULL;
	}
	c->next = NULL;
	c->len = 0;
	return c;
}

static void
chunk_put(struct sendbuf_pool *pool, struct sendbuf_chunk *c)
{
	if (pool->n == SENDBUF_POOL_CHUNKS) {
		free(c);
		return;
	}
	c->next = pool->free;
	pool->free = c;
	pool->n++;
}

void
sendbuf_pool_clear(struct sendbuf_pool *pool)
{
	struct sendbuf_chunk *c;

	while ((c = pool->free) != NULL) {
		pool->free = c->next;
		free(c);
	}
	pool->n = 0;
}

void
sendbuf_init(struct sendbuf *b, struct sendbuf_pool *pool)
{
	memset(b, 0, sizeof *b);
	b->pool = pool;
}

static void
put_spare(struct sendbuf *b)
{
	struct sendbuf_chunk *c;

	while ((c = b->spare) != NULL) {
		b->spare = c->next;
		chunk_put(b->pool, c);
	}
}

void
sendbuf_clear(struct sendbuf *b)
{
	struct sendbuf_chunk *c;

	while ((c = b->head) != NULL) {
		b->head = c->next;
		chunk_put(b->pool, c);
	}
	put_spare(b);
	sendbuf_init(b, b->pool);
}

int
sendbuf_reserve(struct sendbuf *b, size_t want, struct iovec iov[SENDBUF_AREAS])
{
	size_t room = b->tail != NULL ? SENDBUF_CHUNK_BYTES - b->tail->len : 0;
	struct sendbuf_chunk **c = &b->spare;
	int n = 0;

	if (want == 0)
		return 0;
	if (room > 0) {
		iov[n].iov_base = b->tail->data + b->tail->len;
		iov[n].iov_len = want < room ? want : room;
		want -= iov[n++].iov_len;
	}
	for (; want > 0 && n < SENDBUF_AREAS; c = &(*c)->next) {
		if (*c == NULL && (*c = chunk_get(b->pool)) == NULL)
			break;
		iov[n].iov_base = (*c)->data;
		iov[n].iov_len =
		    want < SENDBUF_CHUNK_BYTES ? want : (size_t)SENDBUF_CHUNK_BYTES;
		want -= iov[n++].iov_len;
	}
	return n;
}

/* Count ${len} bytes written behind the end of tail. */
static void
grow_tail(struct sendbuf *b, size_t len)
{
	if (b->cursor == NULL) {
		b->cursor = b->tail;
		b->cursor_offset = b->tail->len;
	}
	b->tail->len += len;
	b->len += len;
	b->unsent += len;
}

void
sendbuf_commit(struct sendbuf *b, size_t len)
{
	size_t room = b->tail != NULL ? SENDBUF_CHUNK_BYTES - b->tail->len : 0;
	size_t n = len < room ? len : room;
	struct sendbuf_chunk *c;

	if (n > 0)
		grow_tail(b, n);
	while ((len -= n) > 0) {
		c = b->spare;
		assert(c != NULL);
		b->spare = c->next;
		c->next = NULL;
		if (b->tail != NULL)
			b->tail->next = c;
		else
			b->head = c;
		b->tail = c;
		n = len < SENDBUF_CHUNK_BYTES ? len : (size_t)SENDBUF_CHUNK_BYTES;
		grow_tail(b, n);
	}
	put_spare(b);
}

int
sendbuf_unsent(const struct sendbuf *b, struct iovec *iov, int n)
{
	const struct sendbuf_chunk *c = b->cursor;
	size_t offset = b->cursor_offset;
	int i;

	for (i = 0; i < n && c != NULL; i++) {
		iov[i].iov_base = (uint8_t *)c->data + offset;
		iov[i].iov_len = c->len - offset;
		c = c->next;
		offset = 0;
	}
	return i;
}

void
sendbuf_sent(struct sendbuf *b, size_t len)
{
	assert(len <= b->unsent);
	b->unsent -= len;
	b->cursor_offset += len;
	while (b->cursor != NULL && b->cursor_offset >= b->cursor->len) {
		b->cursor_offset -= b->cursor->len;
		b->cursor = b->cursor->next;
	}
}

void
sendbuf_acked(struct sendbuf *b, size_t len)
{
	struct sendbuf_chunk *c;

	assert(len <= b->len - b->unsent);
	b->len -= len;
	b->head_offset += len;
	while ((c = b->head) != NULL && b->head_offset >= c->len) {
		b->head_offset -= c->len;
		b->head = c->next;
		if (c == b->tail)
			b->tail = NULL;
		chunk_put(b->pool, c);
	}
}
