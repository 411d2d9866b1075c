#include "base/bytes.h"
#include "quic/eliciting.h"

/* RFC 9000, 19. */
#define FRAME_PADDING 0x00
#define FRAME_ACK     0x02
#define FRAME_ACK_ECN 0x03

/* What follows the type (RFC 9000, 19.3). */
static void
skip_ack(struct reader *r, bool ecn)
{
	uint64_t ranges;

	read_varint(r); /* Largest Acknowledged */
	read_varint(r); /* ACK Delay */
	ranges = read_varint(r);
	read_varint(r); /* First ACK Range */
	for (; r->ok && ranges > 0; ranges--) {
		read_varint(r); /* Gap */
		read_varint(r); /* ACK Range Length */
	}
	for (int i = 0; ecn && i < 3; i++)
		read_varint(r);
}

bool
packet_elicits_ack(const uint8_t *frames, size_t len)
{
	struct reader r;
	uint64_t type;

	reader_init(&r, frames, len);
	while (r.ok && r.left > 0) {
		type = read_varint(&r);
		if (type == FRAME_ACK || type == FRAME_ACK_ECN)
			skip_ack(&r, type == FRAME_ACK_ECN);
		else if (type != FRAME_PADDING)
			return true;
	}
	return !r.ok;
}
