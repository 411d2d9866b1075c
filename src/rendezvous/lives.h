#ifndef MPCPROXY_RENDEZVOUS_LIVES_H
#define MPCPROXY_RENDEZVOUS_LIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rendezvous/envelope.h"
#include "rendezvous/window.h"

/* What is remembered of a peer's lives that are not the one we know: those we knew
 * before, and those we refused. The newest of each. */
#define LIVES_PAST_MAX    8
#define LIVES_REFUSED_MAX 4

struct life {
	struct incarnation incarnation;
	struct window seen; /* its messages that were delivered */
	bool ended;         /* by its own word: it is not met again */
};

struct lives {
	struct life past[LIVES_PAST_MAX];
	size_t n_past; /* so far */
	struct {
		struct incarnation incarnation;
		uint64_t until_ns;
	} refused[LIVES_REFUSED_MAX];
	size_t n_refused; /* so far */
};

/* We knew ${life} until now. */
void lives_bury(struct lives *l, const struct life *life);

/* Life ${x} as it was when we last knew it, or as a new one. */
void lives_resume(const struct lives *l, const struct incarnation *x, struct life *life);

bool lives_has_ended(const struct lives *l, const struct incarnation *x);

void lives_refuse(struct lives *l, const struct incarnation *x, uint64_t until_ns);
bool lives_is_refused(const struct lives *l, const struct incarnation *x,
		      uint64_t now_ns);

#endif
