#include "rendezvous/window.h"

bool
window_has(const struct window *w, uint64_t number)
{
	if (number > w->top)
		return false;
	if (w->top - number >= WINDOW_BITS)
		return true;
	return (w->bits >> (w->top - number) & 1) != 0;
}

bool
window_add(struct window *w, uint64_t number)
{
	if (number == 0 || window_has(w, number))
		return false;
	if (number > w->top) {
		uint64_t up = number - w->top;

		w->bits = up < WINDOW_BITS ? w->bits << up : 0;
		w->top = number;
	}
	w->bits |= UINT64_C(1) << (w->top - number);
	return true;
}
