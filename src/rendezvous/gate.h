#ifndef MPCPROXY_RENDEZVOUS_GATE_H
#define MPCPROXY_RENDEZVOUS_GATE_H

#include <stdbool.h>
#include <stdint.h>

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

#endif
