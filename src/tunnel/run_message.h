#ifndef MPCPROXY_TUNNEL_RUN_MESSAGE_H
#define MPCPROXY_TUNNEL_RUN_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "tunnel/run_offer.h"

/* What a party says of its program on a stream to `run` (protocol.md, Programs). */
enum run_message_type {
	RUN_MESSAGE_OFFER = 1, /* run_offer.h; first, once */
	RUN_MESSAGE_READY = 2, /* SHA-256 over the offers it agrees to */
	RUN_MESSAGE_END = 3,   /* enum run_end and a code; last */
};

/* How a party's run ended. */
enum run_end {
	RUN_END_PROGRAM = 0,  /* the program ended, with the code */
	RUN_END_REFUSED = 1,  /* before it: the parties would have run different things */
	RUN_END_GIVEN_UP = 2, /* before it: its user did not want to wait */
	RUN_END_GONE = 3,     /* the proxy, or what watched the program, was ended */
};

#define RUN_MESSAGE_HEAD_BYTES 3
#define RUN_MESSAGE_MAX        (RUN_MESSAGE_HEAD_BYTES + RUN_OFFER_MAX)

struct run_message {
	enum run_message_type type;
	const uint8_t *value; /* within what was parsed */
	size_t len;
	enum run_end how; /* END */
	uint8_t code;
};

/* Parse a message from the ${len} bytes that are there so far: the bytes it takes, 0
 * when it is not complete, -1 when it is none. An offer's value is not looked at. */
int run_message_parse(struct run_message *m, const uint8_t *data, size_t len);

/* Returns the length written to ${out}; a value of END is made from ${m->how} and
 * ${m->code}. */
size_t run_message_encode(const struct run_message *m, uint8_t out[RUN_MESSAGE_MAX]);

#endif
