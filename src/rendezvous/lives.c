#include "rendezvous/lives.h"

static const struct life *
find(const struct lives *l, const struct incarnation *x)
{
	for (size_t i = 0; i < LIVES_PAST_MAX; i++) {
		if (incarnation_equal(&l->past[i].incarnation, x))
			return &l->past[i];
	}
	return NULL;
}

/* One entry per life: of two, the outdated one could be found later. */
void
lives_bury(struct lives *l, const struct life *life)
{
	const struct life *known = find(l, &life->incarnation);

	if (known != NULL)
		l->past[known - l->past] = *life;
	else
		l->past[l->n_past++ % LIVES_PAST_MAX] = *life;
}

void
lives_resume(const struct lives *l, const struct incarnation *x, struct life *life)
{
	const struct life *known = find(l, x);

	*life = known != NULL ? *known : (struct life){.incarnation = *x};
}

bool
lives_has_ended(const struct lives *l, const struct incarnation *x)
{
	const struct life *known = find(l, x);

	return known != NULL && known->ended;
}

void
lives_refuse(struct lives *l, const struct incarnation *x, uint64_t until_ns)
{
	size_t i = l->n_refused++ % LIVES_REFUSED_MAX;

	l->refused[i].incarnation = *x;
	l->refused[i].until_ns = until_ns;
}

bool
lives_is_refused(const struct lives *l, const struct incarnation *x, uint64_t now_ns)
{
	for (size_t i = 0; i < LIVES_REFUSED_MAX; i++) {
		if (now_ns < l->refused[i].until_ns &&
		    incarnation_equal(&l->refused[i].incarnation, x))
			return true;
	}
	return false;
}
