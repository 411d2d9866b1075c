#include "base/clock.h"
#include "tunnel/search.h"

/* An attempt costs a few STUN requests and checks, no relay. */
#define PAUSE_FIRST_NS (3 * NS_PER_S)
#define PAUSE_MAX_NS   (600 * NS_PER_S)

/* A direct path that has lasted so long is as good as any. */
#define LASTING_NS (600 * NS_PER_S)

void
search_init(struct search *s)
{
	s->pause_ns = PAUSE_FIRST_NS;
	s->next_ns = CLOCK_NEVER;
	s->direct_ns = 0;
}

void
search_path(struct search *s, bool relayed, uint64_t now_ns)
{
	if (!relayed) {
		if (s->direct_ns == 0)
			s->direct_ns = now_ns;
		s->next_ns = CLOCK_NEVER;
		return;
	}
	if (s->direct_ns != 0 && now_ns - s->direct_ns >= LASTING_NS)
		s->pause_ns = PAUSE_FIRST_NS;
	s->direct_ns = 0;
	s->next_ns = now_ns + s->pause_ns;
}

void
search_tried(struct search *s, uint64_t now_ns)
{
	s->pause_ns = s->pause_ns * 2 > PAUSE_MAX_NS ? PAUSE_MAX_NS : s->pause_ns * 2;
	search_later(s, now_ns);
}

void
search_later(struct search *s, uint64_t now_ns)
{
	s->next_ns = now_ns + s->pause_ns;
}

void
search_afresh(struct search *s, uint64_t now_ns)
{
	s->pause_ns = PAUSE_FIRST_NS;
	if (s->next_ns != CLOCK_NEVER)
		s->next_ns = now_ns;
}
