#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "fake_path.h"

struct fake_paths fake_paths;

struct datagram {
	STAILQ_ENTRY(datagram) entry;
	size_t len;
	uint8_t data[];
};

struct path {
	LIST_ENTRY(path) entry;
	struct path_callbacks cb;
	void *arg;
	unsigned id, other; /* ${other} 0: not known yet */
	bool controlling, stalled, failing, shown, ready, failed, relayed, cut;
	bool probed, answered; /* on the way here */
	struct event *work;
	STAILQ_HEAD(, datagram) queue;
	unsigned busy; /* callbacks of it that have not returned */
	bool freed;    /* in one of them */
};

static LIST_HEAD(, path) paths = LIST_HEAD_INITIALIZER(paths);

static struct path *
find(unsigned id)
{
	struct path *p;

	LIST_FOREACH(p, &paths, entry)
	if (p->id == id)
		return p;
	return NULL;
}

static void
work_soon(struct path *p)
{
	static const struct timeval now;

	event_add(p->work, &now);
}

/* What the other end sends is on its way for a moment. */
static void
work_later(struct path *p)
{
	static const struct timeval trip = {0, FAKE_PATH_TRIP_US};

	if (!event_pending(p->work, EV_TIMEOUT, NULL))
		event_add(p->work, &trip);
}

static void
show(struct path *p)
{
	static struct path_bundle b;

	p->shown = true;
	snprintf(b.ufrag, sizeof b.ufrag, "%08u", p->id);
	snprintf(b.pwd, sizeof b.pwd, "%022u", p->id);
	strcpy(b.candidate[0], "1 1 udp 1 192.0.2.1 1 typ host");
	b.n = 1;
	b.last = true;
	p->cb.bundle(p->arg, &b);
}

static void
drain(struct path *p)
{
	struct datagram *d;

	while ((d = STAILQ_FIRST(&p->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->queue, entry);
		free(d);
	}
}

static void
deliver(struct path *p)
{
	struct datagram *d;

	while (!p->freed && (d = STAILQ_FIRST(&p->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&p->queue, entry);
		/* A long header of version 0 (RFC 9000, 17.2.1). */
		if (d->len > 5 && d->data[0] & 0x80 &&
		    memcmp(d->data + 1, "\0\0\0", 4) == 0)
			fake_paths.negotiations++;
		p->cb.datagram(p->arg, d->data, d->len);
		free(d);
	}
}

static void
work(struct path *p)
{
	if (p->failed)
		return;
	if (!p->shown)
		show(p);
	if (!p->freed && p->failing) {
		p->failed = true;
		p->cb.failed(p->arg, "the test wants it to");
		return;
	}
	if (!p->freed && p->other != 0 && !p->ready && !p->stalled) {
		p->ready = true;
		p->cb.ready(p->arg);
	}
	deliver(p);
	if (!p->freed && p->probed) {
		p->probed = false;
		p->cb.probed(p->arg);
	}
	if (!p->freed && p->answered) {
		p->answered = false;
		p->cb.alive(p->arg);
	}
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct path *p = arg;

	(void)fd;
	(void)what;
	p->busy++;
	work(p);
	p->busy--;
	if (p->freed) {
		drain(p);
		free(p);
	}
}

struct path *
path_new(struct path_context *ctx, const struct path_config *cfg,
	 const struct path_callbacks *cb, void *arg, struct err *err)
{
	static unsigned last_id;
	struct path *p = calloc(1, sizeof *p);
	int role = cfg->controlling;

	(void)ctx;
	(void)err;
	if (p == NULL)
		abort();
	p->cb = *cb;
	p->arg = arg;
	p->id = ++last_id;
	p->controlling = cfg->controlling;
	p->relayed = fake_paths.relayed && cfg->policy != PATH_DIRECT;
	fake_paths.made[role]++;
	fake_paths.newest[role] = p;
	if (fake_paths.fail[role] > 0) {
		fake_paths.fail[role]--;
		p->failing = true;
	} else if (fake_paths.hollow[role] > 0) {
		fake_paths.hollow[role]--;
		p->cut = true;
	} else if (fake_paths.stall[role] > 0) {
		fake_paths.stall[role]--;
		p->stalled = true;
	}
	p->work = evtimer_new(fake_paths.base, on_work, p);
	STAILQ_INIT(&p->queue);
	LIST_INSERT_HEAD(&paths, p, entry);
	work_soon(p);
	return p;
}

void
path_free(struct path *p)
{
	if (p == NULL)
		return;
	if (fake_paths.newest[p->controlling] == p)
		fake_paths.newest[p->controlling] = NULL;
	LIST_REMOVE(p, entry);
	event_free(p->work);
	if (p->busy > 0) {
		p->freed = true;
		return;
	}
	drain(p);
	free(p);
}

int
path_remote(struct path *p, const char *ufrag, const char *pwd,
	    const char *const *candidate, size_t n, bool last, struct err *err)
{
	(void)pwd;
	(void)candidate;
	(void)n;
	(void)last;
	(void)err;
	p->other = (unsigned)strtoul(ufrag, NULL, 10);
	work_soon(p);
	return 0;
}

/* A datagram has come for ${p}. */
static void
add(struct path *p, const uint8_t *data, size_t len)
{
	struct datagram *d = malloc(sizeof *d + len);

	if (d == NULL)
		abort();
	d->len = len;
	memcpy(d->data, data, len);
	STAILQ_INSERT_TAIL(&p->queue, d, entry);
}

void
fake_path_inject(struct path *p, const uint8_t *data, size_t len)
{
	add(p, data, len);
	work_soon(p);
}

/* Whether what ${from} sends arrives at ${to}, if there is one. A path that does not know
 * the other side yet takes nothing from it. */
static bool
arrives(const struct path *from, const struct path *to)
{
	return !fake_paths.swallow && !fake_paths.mute[from->controlling] && to != NULL &&
	       !from->cut && !to->cut && to->other == from->id && !to->failed;
}

size_t
path_send(struct path *p, const uint8_t *data, size_t len, size_t segment)
{
	struct path *to = find(p->other);

	if (!arrives(p, to) || fake_paths.probes_only)
		return len;
	for (size_t at = 0; at < len; at += segment)
		add(to, data + at, len - at < segment ? len - at : segment);
	work_later(to);
	return len;
}

void
fake_path_fail(struct path *p)
{
	p->failing = true;
	work_soon(p);
}

void
fake_path_cut(struct path *p)
{
	p->cut = true;
}

void
fake_path_go_on(struct path *p)
{
	p->stalled = false;
	work_soon(p);
}

void
fake_path_mend(struct path *p)
{
	p->cut = false;
}

void
fake_path_ask(struct path *p)
{
	p->probed = true;
	work_soon(p);
}

void
fake_path_select_again(struct path *p)
{
	p->cb.ready(p->arg);
}

bool
fake_path_is_ready(const struct path *p)
{
	return p->ready && !p->failed;
}

void
path_probe(struct path *p, bool full)
{
	struct path *to = find(p->other);

	fake_paths.asked[p->controlling] += full;
	fake_paths.probes[p->controlling]++;
	if (!arrives(p, to))
		return;
	to->probed = true;
	work_later(to);
	if (!arrives(to, p))
		return;
	p->answered = true;
	work_later(p);
}

void
path_take_over(struct path *p)
{
	fake_paths.taken_over[p->controlling]++;
}

void
path_get_info(const struct path *p, struct path_info *info)
{
	memset(info, 0, sizeof *info);
	info->ready = p->ready;
	info->relayed = p->relayed;
	info->carrier = "fake";
}

void
path_get_facts(const struct path *p, struct path_facts *facts)
{
	(void)p;
	memset(facts, 0, sizeof *facts);
}

bool
path_has_lost_address(const struct path *p)
{
	return fake_paths.lost_address[p->controlling];
}
