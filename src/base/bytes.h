#ifndef MPCPROXY_BASE_BYTES_H
#define MPCPROXY_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The two ends of every wire format here. Integers are in network byte order. A
 * reader or writer that runs out of room fails once and stays failed, so that a
 * parser checks ${ok} at its end instead of after every field.
 */
struct reader {
	const uint8_t *p;
	size_t left;
	bool ok;
};

struct writer {
	uint8_t *p;
	size_t left;
	size_t len; /* bytes written so far */
	bool ok;
};

void reader_init(struct reader *r, const void *data, size_t len);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* RFC 9000, 16. */
uint64_t read_varint(struct reader *r);

/* The next ${len} bytes in place, or NULL when there are fewer. */
const uint8_t *read_bytes(struct reader *r, size_t len);

/* Copy the next ${len} bytes to ${out}; zeroes it when there are fewer. */
void read_copy(struct reader *r, void *out, size_t len);

/* All was there and nothing is left over. */
bool reader_done(const struct reader *r);

void writer_init(struct writer *w, void *out, size_t size);
void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
/* RFC 9000, 16, in as few bytes as can be; ${v} is below 2^62. */
void write_varint(struct writer *w, uint64_t v);
void write_bytes(struct writer *w, const void *data, size_t len);

#endif
