#include "quic/pacer.h"

/* A train: as much as one call can send, but no longer than what a queue on the way
 * should have to take at once, and no shorter than an event loop's precision. */
#define TRAIN_BYTES  60000.0
#define TRAIN_MIN_NS NS_PER_MS
#define TRAIN_MAX_NS (8 * NS_PER_MS)

/*
 * So much may be saved up, by a wake-up that comes late, and for the first train after a
 * pause: a program that sends a few packets and waits for the answer has shown no rate
 * but theirs in a round trip, and must not wait as long for the last of them.
 */
#define SAVED_MAX_NS (200.0 * NS_PER_MS)

bool
pacer_begin(struct pacer *p, double rate, uint64_t now_ns)
{
	double train_ns = rate > 0 ? TRAIN_BYTES / rate : 0;
	uint64_t saved_ns = (uint64_t)(train_ns < SAVED_MAX_NS ? train_ns : SAVED_MAX_NS);

	if (train_ns < (double)TRAIN_MIN_NS) {
		p->paid_ns = now_ns;
		p->end_ns = now_ns + TRAIN_MIN_NS;
		return true;
	}
	if (train_ns > (double)TRAIN_MAX_NS)
		train_ns = (double)TRAIN_MAX_NS;
	if (p->paid_ns + saved_ns < now_ns)
		p->paid_ns = now_ns - saved_ns;
	p->end_ns = now_ns + (uint64_t)train_ns;
	return p->paid_ns <= now_ns;
}

void
pacer_sent(struct pacer *p, double rate, size_t len)
{
	if (rate > 0)
		p->paid_ns += (uint64_t)((double)len / rate);
}

bool
pacer_allows(const struct pacer *p)
{
	return p->paid_ns <= p->end_ns;
}

void
pacer_rest(struct pacer *p, uint64_t now_ns)
{
	p->waiting = false;
	if (p->paid_ns > now_ns)
		p->paid_ns = now_ns;
}

uint64_t
pacer_expiry(const struct pacer *p)
{
	return p->waiting ? p->paid_ns : CLOCK_NEVER;
}
