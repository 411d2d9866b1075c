#ifndef MPCPROXY_TUNNEL_GUARD_H
#define MPCPROXY_TUNNEL_GUARD_H

#include <stddef.h>
#include <stdint.h>

/*
 * What an MPyC party sends first on a connection that it dialled: its index, two bytes
 * little endian (then PRSS keys, which are none of our business). MPyC believes it; we
 * know from the key behind the path who it must be.
 */
#define GUARD_BYTES 2

enum guard_verdict {
	GUARD_PASS,
	GUARD_MORE,        /* fewer than GUARD_BYTES so far */
	GUARD_WRONG_INDEX, /* another party's greeting, or none at all */
	GUARD_TLS,         /* a TLS record: MPyC runs with --ssl */
};

enum guard_verdict guard_check(const uint8_t *data, size_t len, size_t expected_index);

/* The index in the greeting of GUARD_BYTES at ${data}. */
unsigned guard_index(const uint8_t *data);

#endif
