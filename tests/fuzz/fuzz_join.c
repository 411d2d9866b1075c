/* Any body as a joining message, from either side: what decodes is encoded to the same
 * bytes again. And any bytes as a notice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "join/message.h"
#include "join/notice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct identity *id;
	static struct join_values values;
	static struct join_waiting waiting;
	uint8_t out[CONTACT_BODY_MAX], hash[JOIN_HASH_BYTES];
	enum join_refusal refusal;
	struct join_message m;

	if (id == NULL)
		id = identity_ephemeral(NULL);
	if (size < 1 || size > CONTACT_BODY_MAX)
		return 0;
	for (int host = 0; host < 2; host++) {
		if (join_decode(&m, host == 1, data[0], data + 1, size - 1, &values,
				&waiting) != 0)
			continue;
		if (join_encode(&m, &values, &waiting, out) != size - 1 ||
		    memcmp(out, data + 1, size - 1) != 0)
			abort();
		if (m.type == JOIN_REFUSED && join_refusal_text(m.refusal)[0] == '\0')
			abort();
	}
	if (notice_open(id, identity_pubkey(id), data, size, &refusal, hash) == 0)
		abort(); /* nobody has sealed one */
	return 0;
}
