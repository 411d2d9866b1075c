#include <string.h>

#include "base/bytes.h"

void
reader_init(struct reader *r, const void *data, size_t len)
{
	r->p = data;
	r->left = len;
	r->ok = true;
}

const uint8_t *
read_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (!r->ok || r->left < len) {
		r->ok = false;
		return NULL;
	}
	r->p += len;
	r->left -= len;
	return p;
}

static uint64_t
read_uint(struct reader *r, size_t bytes)
{
	const uint8_t *p = read_bytes(r, bytes);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	return v;
}

uint8_t
read_u8(struct reader *r)
{
	return (uint8_t)read_uint(r, 1);
}

uint16_t
read_u16(struct reader *r)
{
	return (uint16_t)read_uint(r, 2);
}

uint32_t
read_u32(struct reader *r)
{
	return (uint32_t)read_uint(r, 4);
}

uint64_t
read_u64(struct reader *r)
{
	return read_uint(r, 8);
}

uint64_t
read_varint(struct reader *r)
{
	size_t bytes = r->left > 0 ? (size_t)1 << (*r->p >> 6) : 1;
	uint64_t v = read_uint(r, bytes);

	return v & (UINT64_MAX >> (64 - 8 * bytes)) >> 2;
}

void
read_copy(struct reader *r, void *out, size_t len)
{
	const uint8_t *p = read_bytes(r, len);

	if (p != NULL)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

bool
reader_done(const struct reader *r)
{
	return r->ok && r->left == 0;
}

void
writer_init(struct writer *w, void *out, size_t size)
{
	w->p = out;
	w->left = size;
	w->len = 0;
	w->ok = true;
}

void
write_bytes(struct writer *w, const void *data, size_t len)
{
	if (!w->ok || w->left < len) {
		w->ok = false;
		return;
	}
	if (len > 0)
		memcpy(w->p, data, len);
	w->p += len;
	w->left -= len;
	w->len += len;
}

static void
write_uint(struct writer *w, uint64_t v, size_t bytes)
{
	uint8_t out[8];

	for (size_t i = bytes; i > 0; i--) {
		out[i - 1] = (uint8_t)v;
		v >>= 8;
	}
	write_bytes(w, out, bytes);
}

void
write_u8(struct writer *w, uint8_t v)
{
	write_uint(w, v, 1);
}

void
write_u16(struct writer *w, uint16_t v)
{
	write_uint(w, v, 2);
}

void
write_u32(struct writer *w, uint32_t v)
{
	write_uint(w, v, 4);
}

void
write_u64(struct writer *w, uint64_t v)
{
	write_uint(w, v, 8);
}

void
write_varint(struct writer *w, uint64_t v)
{
	/* The length's logarithm is in the first two bits. */
	if (v < 1 << 6)
		write_u8(w, (uint8_t)v);
	else if (v < 1 << 14)
		write_u16(w, (uint16_t)(v | 1 << 14));
	else if (v < 1 << 30)
		write_u32(w, (uint32_t)v | 2U << 30);
	else
		write_u64(w, v | 3ULL << 62);
}
