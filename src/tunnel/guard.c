#include "tunnel/guard.h"

/* ContentType handshake and the high byte of every legacy_record_version (RFC 8446,
 * 5.1). As an index that is 790: more than the parties a session can have. */
#define TLS_HANDSHAKE     22
#define TLS_VERSION_MAJOR 3

unsigned
guard_index(const uint8_t *data)
{
	return (unsigned)data[0] | (unsigned)data[1] << 8;
}

enum guard_verdict
guard_check(const uint8_t *data, size_t len, size_t expected_index)
{
	if (len < GUARD_BYTES)
		return GUARD_MORE;
	if (data[0] == TLS_HANDSHAKE && data[1] == TLS_VERSION_MAJOR)
		return GUARD_TLS;
	return guard_index(data) == expected_index ? GUARD_PASS : GUARD_WRONG_INDEX;
}
