#include <string.h>

#include "base/clock.h"
#include "tunnel/silence.h"

/* Short outages end within a quarter of a second; those of hours cost little. */
#define PROBE_FIRST_NS (250 * NS_PER_MS)
#define PROBE_LATER_NS NS_PER_S
#define PROBES_FIRST   240 /* a minute of them */

/* Then a path is given up: with the keep-alive before and ICE behind, a change that only
 * silence tells is over within 10 s. */
#define UNANSWERED_MAX 10

/* The same when there is a reason to suspect it: over within 3 s. */
#define UNANSWERED_SUSPECT_MAX 5

/* The same when probes are answered, but QUIC's packets are not. */
#define PROBES_MAX 40

#define PAUSE_FIRST_NS NS_PER_S
#define PAUSE_MAX_NS   (32 * NS_PER_S)

void
silence_init(struct silence *s)
{
	memset(s, 0, sizeof *s);
	s->next_ns = CLOCK_NEVER;
	s->pause_ns = PAUSE_FIRST_NS;
}

static void
begin(struct silence *s, unsigned unanswered_max, uint64_t now_ns)
{
	s->unanswered_max = unanswered_max;
	s->late = true;
	s->since_ns = s->next_ns = now_ns;
	s->probes = s->unanswered = 0;
}

static void
cleared(struct silence *s)
{
	s->late = s->lost = s->suspect = false;
	s->next_ns = CLOCK_NEVER;
}

void
silence_suspect(struct silence *s, uint64_t now_ns)
{
	if (s->late) {
		s->unanswered_max = UNANSWERED_SUSPECT_MAX;
		return;
	}
	begin(s, UNANSWERED_SUSPECT_MAX, now_ns);
	s->suspect = true;
}

unsigned
silence_step(struct silence *s, bool late, uint64_t heard_ns, uint64_t now_ns)
{
	unsigned todo = 0;

	if (!late && (!s->late || heard_ns > s->since_ns)) {
		todo = s->lost ? SILENCE_HEARD : 0;
		if (s->late)
			s->pause_ns = PAUSE_FIRST_NS;
		cleared(s);
		return todo;
	}
	if (!s->late)
		begin(s, UNANSWERED_MAX, now_ns);
	if (late)
		s->suspect = false;
	if (now_ns < s->next_ns)
		return 0;
	if (!s->lost && (s->unanswered >= s->unanswered_max || s->probes >= PROBES_MAX)) {
		s->lost = true;
		todo |= SILENCE_LOST;
	}
	s->probes++;
	s->unanswered++;
	s->next_ns =
	    now_ns + (s->probes < PROBES_FIRST ? PROBE_FIRST_NS : PROBE_LATER_NS);
	return todo | SILENCE_PROBE;
}

bool
silence_probed(struct silence *s, uint64_t now_ns)
{
	bool again = s->probed_ns > 0 && now_ns - s->probed_ns < 2 * PROBE_LATER_NS;

	s->probed_ns = now_ns;
	return again;
}

bool
silence_answered(struct silence *s, uint64_t now_ns)
{
	uint64_t ago_ns = now_ns - s->revived_ns;

	s->unanswered = 0;
	/* It has lost nothing by being suspected. */
	if (s->suspect && !s->lost) {
		cleared(s);
		return false;
	}
	if (s->revived_ns > 0 && ago_ns < s->pause_ns)
		return false;
	if (s->revived_ns == 0 || ago_ns > 2 * s->pause_ns)
		s->pause_ns = PAUSE_FIRST_NS;
	else if (s->pause_ns < PAUSE_MAX_NS)
		s->pause_ns *= 2;
	s->revived_ns = now_ns;
	return true;
}
