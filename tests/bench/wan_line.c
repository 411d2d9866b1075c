#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wan_line.h"

#define NS_PER_S      1000000000.0
#define BITS_PER_BYTE 8
/* A burst is over then, however few packets have met it: on a line time passes. Without
 * this, a sender that has backed off would stay in it for half a minute. */
#define BURST_MAX_NS 100000000

#define HEAP_FIRST 256

struct packet {
	uint64_t at_ns;
	uint64_t number; /* in order of coming */
	size_t len;
	unsigned char data[];
};

struct wan_line {
	struct wan_config cfg;
	struct wan_counters count;
	uint64_t random;
	bool bad; /* the state in which everything is lost */
	uint64_t bad_since_ns;
	uint64_t busy_until_ns;
	uint64_t latest; /* number of the latest packet delivered */
	struct packet *taken;
	/* A heap: no packet arrives before its parent, at (index - 1) / 2. */
	struct packet **heap;
	size_t n, size;
};

struct wan_line *
wan_line_new(const struct wan_config *cfg)
{
	struct wan_line *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->cfg = *cfg;
	l->random = cfg->seed;
	return l;
}

void
wan_line_free(struct wan_line *l)
{
	if (l == NULL)
		return;
	while (l->n > 0)
		free(l->heap[--l->n]);
	free(l->heap);
	free(l->taken);
	free(l);
}

void
wan_line_set(struct wan_line *l, const struct wan_config *cfg)
{
	l->cfg = *cfg;
}

/* splitmix64, as a number from 0 to below 1. */
static double
draw(struct wan_line *l)
{
	uint64_t z = l->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/*
 * Whether the next packet is lost. In bursts: Gilbert's two states, everything lost in
 * the bad one, left with probability 1/burst for each packet; the other probability
 * follows from the share of packets that meet the bad state.
 */
static bool
is_lost(struct wan_line *l, uint64_t now_ns)
{
	const struct wan_config *c = &l->cfg;
	double leave, enter;

	if (c->loss <= 0)
		return false;
	if (c->loss >= 1)
		return true;
	if (c->burst <= 1)
		return draw(l) < c->loss;
	leave = 1 / c->burst;
	enter = leave * c->loss / (1 - c->loss);
	if (l->bad && now_ns - l->bad_since_ns < BURST_MAX_NS) {
		l->bad = draw(l) >= leave;
	} else {
		l->bad = draw(l) < enter;
		l->bad_since_ns = now_ns;
	}
	return l->bad;
}

static bool
before(const struct packet *a, const struct packet *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static bool
heap_add(struct wan_line *l, struct packet *p)
{
	struct packet **heap = l->heap;
	size_t i, parent, size;

	if (l->n == l->size) {
		size = l->size > 0 ? 2 * l->size : HEAP_FIRST;
		heap = realloc(heap, size * sizeof(struct packet *));
		if (heap == NULL)
			return false;
		l->heap = heap;
		l->size = size;
	}
	for (i = l->n++; i > 0; i = parent) {
		parent = (i - 1) / 2;
		if (before(heap[parent], p))
			break;
		heap[i] = heap[parent];
	}
	heap[i] = p;
	return true;
}

static struct packet *
heap_take(struct wan_line *l)
{
	struct packet *first = l->heap[0], *last = l->heap[--l->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < l->n) {
		if (child + 1 < l->n && before(l->heap[child + 1], l->heap[child]))
			child++;
		if (before(last, l->heap[child]))
			break;
		l->heap[i] = l->heap[child];
		i = child;
	}
	l->heap[i] = last;
	return first;
}

/* When the packet's last bit has left, or UINT64_MAX when the queue has no room. */
static uint64_t
serialise(struct wan_line *l, uint64_t now_ns, size_t len)
{
	uint64_t start = l->busy_until_ns > now_ns ? l->busy_until_ns : now_ns;
	uint64_t waits = start - now_ns;

	if (l->n >= WAN_PACKETS_MAX)
		return UINT64_MAX;
	if (l->cfg.rate_bps == 0)
		return now_ns;
	if (waits > l->cfg.queue_ns)
		return UINT64_MAX;
	if (waits > l->count.queue_max_ns)
		l->count.queue_max_ns = waits;
	l->busy_until_ns = start + (uint64_t)((double)(len * BITS_PER_BYTE) * NS_PER_S /
					      (double)l->cfg.rate_bps);
	return l->busy_until_ns;
}

void
wan_line_put(struct wan_line *l, uint64_t now_ns, const void *data, size_t len)
{
	uint64_t left_ns = serialise(l, now_ns, len);
	struct packet *p;

	l->count.packets++;
	l->count.bytes += len;
	if (left_ns == UINT64_MAX) {
		l->count.overflowed++;
		return;
	}
	/* A lost packet has used its time on the line. */
	if (is_lost(l, now_ns)) {
		l->count.lost++;
		return;
	}
	p = malloc(sizeof *p + len);
	if (p == NULL) {
		l->count.overflowed++;
		return;
	}
	p->at_ns = left_ns + l->cfg.delay_ns;
	if (l->cfg.jitter_ns > 0)
		p->at_ns += (uint64_t)(draw(l) * (double)l->cfg.jitter_ns);
	p->number = l->count.packets;
	p->len = len;
	memcpy(p->data, data, len);
	if (!heap_add(l, p)) {
		free(p);
		l->count.overflowed++;
	}
}

uint64_t
wan_line_next(const struct wan_line *l)
{
	return l->n > 0 ? l->heap[0]->at_ns : UINT64_MAX;
}

const void *
wan_line_take(struct wan_line *l, uint64_t now_ns, size_t *len)
{
	if (wan_line_next(l) > now_ns)
		return NULL;
	free(l->taken);
	l->taken = heap_take(l);
	l->count.delivered++;
	l->count.delivered_bytes += l->taken->len;
	if (l->taken->number < l->latest)
		l->count.reordered++;
	else
		l->latest = l->taken->number;
	*len = l->taken->len;
	return l->taken->data;
}

const struct wan_counters *
wan_line_counters(const struct wan_line *l)
{
	return &l->count;
}
