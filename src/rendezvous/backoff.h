#ifndef MPCPROXY_RENDEZVOUS_BACKOFF_H
#define MPCPROXY_RENDEZVOUS_BACKOFF_H

/*
 * Waits between attempts to reach a place: doubled from the first to the last, each
 * shortened by a random part of up to a half, so that parties which lost it together do
 * not come back together.
 */
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 15000

struct backoff {
	unsigned next_ms;
};

/* The next wait is the shortest. Also the beginning. */
void backoff_reset(struct backoff *b);

/* How long to wait this time, in milliseconds. */
unsigned backoff_next(struct backoff *b);

#endif
