#include <string.h>

#include "base/bytes.h"
#include "tunnel/run_message.h"

#define END_BYTES 2

static int
check(struct run_message *m)
{
	switch (m->type) {
	case RUN_MESSAGE_OFFER:
		return m->len > 0 && m->len <= RUN_OFFER_MAX ? 0 : -1;
	case RUN_MESSAGE_READY:
		return m->len == RUN_DIGEST_BYTES ? 0 : -1;
	case RUN_MESSAGE_END:
		return m->len == END_BYTES ? 0 : -1;
	default:
		return -1;
	}
}

int
run_message_parse(struct run_message *m, const uint8_t *data, size_t len)
{
	struct reader r;

	memset(m, 0, sizeof *m);
	reader_init(&r, data, len);
	m->type = (enum run_message_type)read_u8(&r);
	m->len = read_u16(&r);
	if (!r.ok)
		return 0;
	/* Before it is all there: a length that cannot be is not waited for. */
	if (check(m) != 0)
		return -1;
	m->value = read_bytes(&r, m->len);
	if (!r.ok)
		return 0;
	if (m->type == RUN_MESSAGE_END) {
		if (m->value[0] > RUN_END_GONE)
			return -1;
		m->how = (enum run_end)m->value[0];
		m->code = m->value[1];
	}
	return (int)(RUN_MESSAGE_HEAD_BYTES + m->len);
}

size_t
run_message_encode(const struct run_message *m, uint8_t out[RUN_MESSAGE_MAX])
{
	struct writer w;

	writer_init(&w, out, RUN_MESSAGE_MAX);
	write_u8(&w, (uint8_t)m->type);
	if (m->type == RUN_MESSAGE_END) {
		write_u16(&w, END_BYTES);
		write_u8(&w, (uint8_t)m->how);
		write_u8(&w, m->code);
	} else {
		write_u16(&w, (uint16_t)m->len);
		write_bytes(&w, m->value, m->len);
	}
	return w.len;
}
