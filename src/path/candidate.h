#ifndef MPCPROXY_PATH_CANDIDATE_H
#define MPCPROXY_PATH_CANDIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "path/path.h"

#define CANDIDATE_FOUNDATION_MAX 32
#define CANDIDATE_PRIORITY_MAX   0x7fffffffu /* RFC 8445, 5.1.2: 2^31 - 1 */

/* A UDP candidate of component 1. */
struct candidate {
	char foundation[CANDIDATE_FOUNDATION_MAX + 1];
	uint32_t priority;
	enum path_candidate_type type;
	union addr addr;
	union addr related; /* AF_UNSPEC when the line has none */
};

/*
 * Parse ${line}, RFC 8839, 5.1, from the foundation on. Returns 1 when ${c} has been
 * filled; 0 when the line is well-formed but of no use here: not UDP, another
 * component, a name instead of an address, an address that no datagram should go to
 * (unspecified, multicast, IPv6 link-local, IPv4-mapped), a peer-reflexive or unknown
 * type; -1 with ${err} when it is malformed.
 */
int candidate_parse(struct candidate *c, const char *line, struct err *err);

/* The line for ${c} into ${out}; what it needs is always there. Returns ${out}. */
char *candidate_format(const struct candidate *c, char out[PATH_CANDIDATE_MAX]);

bool candidate_equal(const struct candidate *a, const struct candidate *b);

/* Whether a candidate with address ${a} may be offered, or checked. */
bool candidate_addr_usable(const union addr *a);

/* RFC 8839, 5.4: ${text} is ${min} to 256 characters of ice-char. */
bool candidate_ice_chars(const char *text, size_t min);

#endif
