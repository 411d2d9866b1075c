#ifndef MPCPROXY_RENDEZVOUS_MQTT_SCREEN_H
#define MPCPROXY_RENDEZVOUS_MQTT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Looks through what a broker sends before the MQTT library sees it. The library takes a
 * packet of any length into memory, up to 256 MB, and whoever may publish to our topic
 * decides how long it is; here a message that is too long is left out. Only packets that
 * can be answers to ours pass at all. (MQTT 5.0, 2.1; the same in 3.1.1.)
 */

/* Of a PUBLISH: topic, properties and the longest sealed message. */
#define MQTT_PUBLISH_MAX 10240
/* Of everything else. */
#define MQTT_CONTROL_MAX 1024

#define MQTT_HEADER_MAX 5 /* of a packet: its type and the length of the rest */

struct mqtt_screen {
	uint8_t header[MQTT_HEADER_MAX];
	size_t n;      /* bytes of it that are there */
	uint32_t left; /* of the packet at hand */
	bool drop;     /* it */
	uint64_t dropped; /* packets */
};

/* Before the first byte of a connection; ${dropped} stays. */
void mqtt_screen_begin(struct mqtt_screen *s);

/* Take ${len} bytes of ${in}, cut anywhere; what passes goes to ${out}, which has room
 * for ${len} + MQTT_HEADER_MAX bytes. Returns how many, or -1 when the broker breaks the
 * protocol. */
ptrdiff_t mqtt_screen_pass(struct mqtt_screen *s, const uint8_t *in, size_t len,
			   uint8_t *out);

#endif
