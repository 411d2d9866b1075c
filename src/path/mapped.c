#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "path/mapped.h"

/* RFC 8445, 5.1.2.1: a type preference between the host candidates' 126 and the others
 * that a server tells of, 100. RFC 6544, 4.2 calls these NAT-assisted. */
#define TYPE_PREFERENCE 105

/* RFC 8445, 5.1.1.3: the router is the server that they are from. */
#define FOUNDATION "router"

static bool
is_behind_nat(const struct candidate *c)
{
	return c->type == PATH_HOST && c->addr.sa.sa_family == AF_INET &&
	       !addr_is_loopback(&c->addr) && !addr_is_public(&c->addr);
}

/* The first local preference is the highest. */
static void
fill_in(struct mapped *m, const union addr *outside)
{
	struct candidate *c = &m->candidate[m->n];
	uint32_t preference = 65535 - (uint32_t)m->n;

	memset(c, 0, sizeof *c);
	snprintf(c->foundation, sizeof c->foundation, FOUNDATION "%zu", m->n);
	c->priority = TYPE_PREFERENCE << 24 | preference << 8 | (256 - 1);
	c->type = PATH_SERVER_REFLEXIVE;
	c->addr = *outside;
	/* As convert.c does it: nothing about the network behind. */
	c->related.sa.sa_family = AF_INET;
	addr_set_port(&c->related, 9);
	m->n++;
}

static void
on_mapped(void *arg, const union addr *outside)
{
	struct mapped *m = arg;

	m->n_open--;
	if (outside != NULL && path_context_believes(m->ctx, outside))
		fill_in(m, outside);
	m->changed(m->arg);
}

void
mapped_start(struct mapped *m, struct path_context *ctx, const struct candidate *hosts,
	     size_t n, void (*changed)(void *arg), void *arg)
{
	struct portmap *portmap;
	struct mapping *one;

	m->ctx = ctx;
	m->changed = changed;
	m->arg = arg;
	for (size_t i = 0; i < n && m->n_mappings < MAPPED_MAX; i++) {
		if (!is_behind_nat(&hosts[i]) ||
		    (portmap = path_context_portmap(ctx)) == NULL)
			continue;
		one = mapping_new(portmap, &hosts[i].addr, on_mapped, m);
		if (one == NULL)
			continue;
		m->mapping[m->n_mappings++] = one;
		m->n_open++;
	}
}

void
mapped_stop(struct mapped *m)
{
	for (size_t i = 0; i < m->n_mappings; i++)
		mapping_free(m->mapping[i]);
	m->n_mappings = m->n_open = m->n = 0;
}
