#ifndef MPCPROXY_RENDEZVOUS_GATE_H
#define MPCPROXY_RENDEZVOUS_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* Lets ${burst} pass at once and one more ${every_ns}. ${*full_ns}, 0 at first, is when
 * all of the burst will be free again. */
static inline bool
gate_pass(uint64_t *full_ns, unsigned burst, uint64_t every_ns, uint64_t now_ns)
{
	if (*full_ns < now_ns)
		*full_ns = now_ns;
	if (*full_ns - now_ns > (burst - 1) * every_ns)
		return false;
	*full_ns += every_ns;
	return true;
}

/* Whoever can leave a message in a box can claim to be anybody, and to find out costs a
 * Diffie-Hellman. So many are taken at once, for the meeting of 256 parties, and so many
 * a second; the rest is dropped, and sent again by its sender. */
#define GATE_MESSAGES_BURST 2048
#define GATE_MESSAGES_RATE  500

static inline bool
gate_pass_message(uint64_t *full_ns, uint64_t now_ns)
{
	return gate_pass(full_ns, GATE_MESSAGES_BURST, NS_PER_S / GATE_MESSAGES_RATE,
			 now_ns);
}

#endif
