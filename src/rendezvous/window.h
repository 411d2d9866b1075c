#ifndef MPCPROXY_RENDEZVOUS_WINDOW_H
#define MPCPROXY_RENDEZVOUS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which sequence numbers have been seen: the highest and the WINDOW_BITS - 1 below it.
 * What lies below counts as seen, so a sender must not have a number outstanding that
 * far behind its newest. Numbers start at 1; a zeroed window has seen none.
 */
#define WINDOW_BITS 64

struct window {
	uint64_t top;  /* the highest number seen */
	uint64_t bits; /* bit i: top - i has been seen */
};

/* Note ${number} as seen; whether it is the first time. */
bool window_add(struct window *w, uint64_t number);

bool window_has(const struct window *w, uint64_t number);

#endif
