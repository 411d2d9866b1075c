#include "base/clock.h"
#include "tunnel/meter.h"

static int64_t
burst(const struct meter *m)
{
	uint64_t tenth = m->rate / 10;

	return tenth > METER_BURST_MIN ? (int64_t)tenth : METER_BURST_MIN;
}

void
meter_set(struct meter *m, uint64_t rate, uint64_t now_ns)
{
	if (m->rate == 0) {
		m->left = INT64_MAX;
		m->filled_ns = now_ns;
	}
	m->rate = rate;
	if (m->left > burst(m))
		m->left = burst(m);
}

static void
fill(struct meter *m, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - m->filled_ns, more;

	/* In a second it is full in any case, unless it owes much for its rate, and the
	 * product below does not overflow. */
	if (passed_ns > NS_PER_S)
		passed_ns = NS_PER_S;
	more = passed_ns / NS_PER_US * m->rate / (NS_PER_S / NS_PER_US);
	/* Time that has not made a byte yet goes on counting. */
	if (more == 0)
		return;
	m->filled_ns = now_ns;
	m->left = burst(m) - m->left < (int64_t)more ? burst(m) : m->left + (int64_t)more;
}

size_t
meter_allow(struct meter *m, size_t want, uint64_t now_ns)
{
	if (m->rate == 0)
		return want;
	fill(m, now_ns);
	if (m->left <= 0)
		return 0;
	return (uint64_t)m->left < want ? (size_t)m->left : want;
}

void
meter_take(struct meter *m, size_t len)
{
	if (m->rate != 0)
		m->left -= (int64_t)len;
}

bool
meter_pass(struct meter *m, size_t len, uint64_t now_ns)
{
	if (meter_allow(m, 1, now_ns) == 0)
		return false;
	meter_take(m, len);
	return true;
}
