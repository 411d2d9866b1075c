#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The dialogue in pieces, the size of each from the input's first byte: it must come to
 * the same as in one piece. */
struct outcome {
	enum dialogue_result result;
	struct header_request req;
	uint8_t out[DIALOGUE_OUT_MAX];
	size_t out_len, used;
};

static void
run(struct outcome *o, bool secret, const uint8_t *data, size_t size, size_t step)
{
	struct dialogue d = {DIALOGUE_METHODS};
	size_t end = 0;

	memset(o, 0, sizeof *o);
	o->result = DIALOGUE_MORE;
	while (o->result == DIALOGUE_MORE && end < size) {
		uint8_t out[DIALOGUE_OUT_MAX];
		size_t used, out_len;

		end = size - end < step ? size : end + step;
		o->result = dialogue_take(&d, secret ? "me" : NULL, "secret",
					  data + o->used, end - o->used, &used, out,
					  &out_len, &o->req);
		if (used > end - o->used || o->out_len + out_len > sizeof o->out)
			abort();
		o->used += used;
		memcpy(o->out + o->out_len, out, out_len);
		o->out_len += out_len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;
	bool secret;
	size_t step;

	if (size == 0)
		return 0;
	secret = (data[0] & 1) != 0;
	step = (size_t)(data[0] >> 1) + 1;
	run(&whole, secret, data + 1, size - 1, SIZE_MAX);
	run(&pieces, secret, data + 1, size - 1, step);
	if (whole.result != pieces.result || whole.out_len != pieces.out_len ||
	    memcmp(whole.out, pieces.out, whole.out_len) != 0)
		abort();
	if (whole.result == DIALOGUE_REQUEST &&
	    (whole.used != pieces.used || whole.req.port != pieces.req.port ||
	     strcmp(whole.req.host, pieces.req.host) != 0))
		abort();
	/* Nobody gets to a request without the password. */
	if (secret && whole.result == DIALOGUE_REQUEST &&
	    memcmp(whole.out, "\x05\x02\x01\x00", 4) != 0)
		abort();
	return 0;
}
