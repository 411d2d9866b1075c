#include <stdlib.h>
#include <string.h>

#include "sim_net.h"

#define NS_PER_SECOND 1000000000ULL

void
sim_net_init(struct sim_net *net, uint64_t seed, const struct sim_path *path)
{
	memset(net, 0, sizeof *net);
	net->now_ns = NS_PER_SECOND; /* 0 often means "never" */
	net->random = seed * 2 + 1;
	sim_net_set(net, path);
}

void
sim_net_set(struct sim_net *net, const struct sim_path *path)
{
	for (int i = 0; i < SIM_PATHS; i++)
		net->path[i] = *path;
}

void
sim_net_clear(struct sim_net *net)
{
	struct sim_datagram *d;

	for (int end = 0; end < 2; end++) {
		while ((d = net->queue[end]) != NULL) {
			net->queue[end] = d->next;
			free(d);
		}
	}
}

/* splitmix64 */
uint64_t
sim_net_random(struct sim_net *net, uint64_t n)
{
	uint64_t z = net->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % n;
}

static bool
happens(struct sim_net *net, unsigned ppm)
{
	return ppm > 0 && sim_net_random(net, 1000000) < ppm;
}

static void
enqueue(struct sim_net *net, int end, uint32_t path, uint64_t at_ns, const uint8_t *data,
	size_t len)
{
	struct sim_datagram *d = malloc(sizeof *d + len), **p = &net->queue[end];

	if (d == NULL)
		abort();
	d->at_ns = at_ns;
	d->order = net->order++;
	d->path = path;
	d->len = len;
	memcpy(d->data, data, len);
	if (*p != NULL && net->last[end]->at_ns <= at_ns)
		p = &net->last[end]->next;
	while (*p != NULL && (*p)->at_ns <= at_ns)
		p = &(*p)->next;
	d->next = *p;
	*p = d;
	if (d->next == NULL)
		net->last[end] = d;
}

void
sim_net_send(struct sim_net *net, int end, uint32_t path, const uint8_t *data, size_t len)
{
	const struct sim_path *p = &net->path[path % SIM_PATHS];
	uint64_t *busy = &net->busy_until_ns[end][path % SIM_PATHS];
	uint64_t start = *busy > net->now_ns ? *busy : net->now_ns;
	uint64_t at;

	if (p->dead || happens(net, p->loss_ppm)) {
		net->lost++;
		return;
	}
	if (p->rate > 0) {
		if (p->queue_bytes > 0 &&
		    (start - net->now_ns) * p->rate / NS_PER_SECOND + len >
			p->queue_bytes) {
			net->lost++;
			return;
		}
		start += len * NS_PER_SECOND / p->rate;
		*busy = start;
	}
	at = start + p->delay_ns;
	if (happens(net, p->reorder_ppm))
		at += p->delay_ns / 2;
	enqueue(net, end, path, at, data, len);
	if (happens(net, p->duplicate_ppm))
		enqueue(net, end, path, at + p->delay_ns / 4, data, len);
}

uint64_t
sim_net_next(const struct sim_net *net)
{
	uint64_t next = UINT64_MAX;

	for (int end = 0; end < 2; end++)
		if (net->queue[end] != NULL && net->queue[end]->at_ns < next)
			next = net->queue[end]->at_ns;
	return next;
}

bool
sim_net_more(const struct sim_net *net, int end)
{
	return net->queue[end] != NULL && net->queue[end]->at_ns <= net->now_ns;
}

struct sim_datagram *
sim_net_take(struct sim_net *net, int end)
{
	struct sim_datagram *d = net->queue[end];

	if (!sim_net_more(net, end))
		return NULL;
	net->queue[end] = d->next;
	net->delivered++;
	return d;
}
