#include <string.h>

#include "rendezvous/mqtt_screen.h"

/* Packet types, the upper half of a packet's first byte. */
enum {
	CONNACK = 2,
	PUBLISH = 3,
	PUBACK = 4,
	SUBACK = 9,
	PINGRESP = 13,
	DISCONNECT = 14,
};

#define PUBLISH_QOS_BITS 0x06

void
mqtt_screen_begin(struct mqtt_screen *s)
{
	s->n = 0;
	s->left = 0;
	s->drop = false;
}

/* What the header says: 0, or -1. We subscribe with QoS 0, so nothing comes with
 * another, and nothing that is left out needs an answer. */
static int
judge(struct mqtt_screen *s)
{
	switch (s->header[0] >> 4) {
	case PUBLISH:
		if ((s->header[0] & PUBLISH_QOS_BITS) != 0)
			return -1;
		s->drop = s->left > MQTT_PUBLISH_MAX;
		s->dropped += s->drop;
		return 0;
	case CONNACK:
	case PUBACK:
	case SUBACK:
	case PINGRESP:
	case DISCONNECT:
		s->drop = false;
		return (s->header[0] & 0x0f) == 0 && s->left <= MQTT_CONTROL_MAX ? 0 : -1;
	default:
		return -1;
	}
}

/* One more byte of the header: 1 when it is complete, 0 when not, -1. */
static int
take_header(struct mqtt_screen *s, uint8_t byte)
{
	s->header[s->n++] = byte;
	if (s->n == 1)
		return 0;
	s->left |= (uint32_t)(byte & 0x7f) << (7 * (s->n - 2));
	if ((byte & 0x80) == 0)
		return judge(s) == 0 ? 1 : -1;
	return s->n < MQTT_HEADER_MAX ? 0 : -1;
}

ptrdiff_t
mqtt_screen_pass(struct mqtt_screen *s, const uint8_t *in, size_t len, uint8_t *out)
{
	size_t passed = 0, i = 0;

	while (i < len) {
		size_t n = len - i;
		int rc;

		/* ${left} is 0 between packets. */
		if (s->left > 0 && s->n == 0) {
			if (n > s->left)
				n = s->left;
			if (!s->drop) {
				memcpy(out + passed, in + i, n);
				passed += n;
			}
			s->left -= (uint32_t)n;
			i += n;
			continue;
		}
		rc = take_header(s, in[i++]);
		if (rc < 0)
			return -1;
		if (rc == 0)
			continue;
		if (!s->drop) {
			memcpy(out + passed, s->header, s->n);
			passed += s->n;
		}
		s->n = 0;
	}
	return (ptrdiff_t)passed;
}
