/* First: it makes pipe2() visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/gateway.h"
#include "path/portmap.h"
#include "path/upnp.h"

/* A search that found nothing is made again when somebody asks so much later. */
#define SEARCH_AGAIN_NS (60 * NS_PER_S)

/* The longest that the end of the program waits for the router. */
#define ENDING_MAX_NS (1500 * NS_PER_MS)

#define RENEW_NS (PORTMAP_LEASE_S * NS_PER_S / 2)

enum slot_state { SLOT_FREE, SLOT_WANTED, SLOT_MAPPED, SLOT_FAILED };

struct slot {
	enum slot_state state;
	bool dropped; /* by the loop; the thread frees it */
	bool told;    /* the loop has been told how it went */
	union addr inside, outside;
	union addr router; /* that has it */
	uint64_t renew_ns; /* when it is mapped */
};

/* What the loop and the thread share, under the lock. */
struct shared {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* the thread has something to do */
	pthread_cond_t ended; /* the thread is */
	unsigned users;       /* the last one frees */
	int pipe[2];          /* wakes the loop */
	bool ending, done;
	bool mapping; /* a mapping is being asked for: there may be one to take back */
	struct slot slot[PORTMAP_MAX];
	struct portmap_info info;
};

struct mapping {
	struct portmap *p;
	size_t slot;
	mapping_done *done;
	void *arg;
};

struct portmap {
	struct shared *s;
	struct event *news;
	void (*searched)(void *arg); /* NULL when it has been called */
	void *arg;
	struct mapping *mapping[PORTMAP_MAX]; /* by slot; NULL: nobody's any more */
	bool ending;
};

/* --- the thread --- */

/* The router, for the thread alone. */
struct router {
	struct upnp *upnp; /* NULL: none */
	union addr gateway;
	uint64_t searched_ns;
};

static void
wake_loop(struct shared *s)
{
	/* A full pipe wakes it as well. */
	while (write(s->pipe[1], "", 1) < 0 && errno == EINTR)
		;
}

/* Called with the lock held, which it gives up meanwhile. */
static void
search(struct shared *s, struct router *r)
{
	union addr gateway = {0};
	struct upnp *found = NULL;
	struct portmap_info info = {.state = PORTMAP_NONE};
	struct err err;

	s->info.state = PORTMAP_SEARCHING;
	pthread_mutex_unlock(&s->lock);
	upnp_free(r->upnp);
	if (gateway_find(&gateway) != 0)
		err_set(&err, "there is no default gateway");
	else if ((found = upnp_find(&gateway, &err)) != NULL) {
		info.state = PORTMAP_FOUND;
		err.text[0] = '\0';
		if (upnp_external(found, &info.outside, &err) != 0)
			memset(&info.outside, 0, sizeof info.outside);
	}
	pthread_mutex_lock(&s->lock);
	info.router = gateway;
	memcpy(info.why, err.text, sizeof info.why);
	s->info = info;
	r->upnp = found;
	r->gateway = gateway;
	r->searched_ns = clock_now_ns();
}

/* Whether there is a router to ask; searches again where that may help. */
static bool
have_router(struct shared *s, struct router *r)
{
	union addr gateway = {0};
	bool same;

	gateway_find(&gateway);
	same = addr_equal(&gateway, &r->gateway);
	if (!same ||
	    (r->upnp == NULL && clock_now_ns() - r->searched_ns >= SEARCH_AGAIN_NS))
		search(s, r);
	return r->upnp != NULL;
}

/* Where the outside address is no public one there is another NAT behind the router,
 * and nobody reaches what it maps. */
static int
map_outside(struct router *r, const union addr *inside, union addr *outside,
	    struct err *err)
{
	uint16_t port = addr_port(outside);
	char text[ADDR_TEXT_BYTES];

	if (upnp_external(r->upnp, outside, err) != 0)
		return -1;
	if (!addr_is_public(outside))
		return err_set(err,
			       "the router's own address outside, %.*s, is no public one",
			       (int)strcspn(addr_format(outside, text), ":"), text);
	if (upnp_map(r->upnp, inside, PORTMAP_LEASE_S, &port, err) != 0)
		return -1;
	addr_set_port(outside, port);
	return 0;
}

static void
map(struct shared *s, struct router *r, struct slot *slot)
{
	union addr inside = slot->inside, outside = slot->outside;
	bool renewal = slot->state == SLOT_MAPPED, any;
	struct err err = {""};
	int rc = -1;

	if (!renewal) {
		memset(&outside, 0, sizeof outside);
		outside.sa.sa_family = AF_INET;
		addr_set_port(&outside, addr_port(&inside));
	}
	any = have_router(s, r) && !slot->dropped;
	s->mapping = any;
	pthread_mutex_unlock(&s->lock);
	if (any)
		rc = map_outside(r, &inside, &outside, &err);
	pthread_mutex_lock(&s->lock);
	s->mapping = false;
	if (any) {
		s->info.outside = outside;
		addr_set_port(&s->info.outside, 0);
		memcpy(s->info.why, err.text, sizeof s->info.why);
	}
	/* What cannot be renewed now is tried again next time. */
	slot->renew_ns = clock_now_ns() + RENEW_NS;
	if (rc == 0) {
		slot->outside = outside;
		slot->router = r->gateway;
		slot->state = SLOT_MAPPED;
	} else if (!renewal) {
		slot->state = SLOT_FAILED;
	}
	wake_loop(s);
}

static void
unmap(struct shared *s, struct router *r, struct slot *slot)
{
	uint16_t port = addr_port(&slot->outside);
	struct err err;

	/* What another router has ends with its lease. */
	if (slot->state == SLOT_MAPPED && r->upnp != NULL &&
	    addr_equal(&slot->router, &r->gateway)) {
		pthread_mutex_unlock(&s->lock);
		upnp_unmap(r->upnp, port, &err);
		pthread_mutex_lock(&s->lock);
	}
	memset(slot, 0, sizeof *slot);
}

/* One thing that is to be done, if there is any. New mappings come first: somebody
 * waits for them. */
static bool
work(struct shared *s, struct router *r)
{
	uint64_t now_ns = clock_now_ns();
	struct slot *drop = NULL, *renew = NULL;

	for (size_t i = 0; i < PORTMAP_MAX; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->state == SLOT_FREE)
			continue;
		if (slot->dropped)
			drop = slot;
		else if (slot->state == SLOT_WANTED && !s->ending) {
			map(s, r, slot);
			return true;
		} else if (slot->state == SLOT_MAPPED && now_ns >= slot->renew_ns)
			renew = slot;
	}
	if (drop != NULL)
		unmap(s, r, drop);
	else if (renew != NULL && !s->ending)
		map(s, r, renew);
	return drop != NULL || (renew != NULL && !s->ending);
}

/* Until there may be something to do. */
static void
rest(struct shared *s)
{
	uint64_t next_ns = CLOCK_NEVER;
	struct timespec ts;

	for (size_t i = 0; i < PORTMAP_MAX; i++)
		if (s->slot[i].state == SLOT_MAPPED && s->slot[i].renew_ns < next_ns)
			next_ns = s->slot[i].renew_ns;
	if (next_ns == CLOCK_NEVER) {
		pthread_cond_wait(&s->work, &s->lock);
		return;
	}
	ts.tv_sec = (time_t)(next_ns / NS_PER_S);
	ts.tv_nsec = (long)(next_ns % NS_PER_S);
	pthread_cond_timedwait(&s->work, &s->lock, &ts);
}

/* The last one of both. With the lock held. */
static void
release(struct shared *s)
{
	bool last = --s->users == 0;

	pthread_mutex_unlock(&s->lock);
	if (!last)
		return;
	close(s->pipe[0]);
	close(s->pipe[1]);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->ended);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static void *
thread_main(void *arg)
{
	struct shared *s = arg;
	struct router r = {0};

	pthread_setname_np(pthread_self(), "portmap");
	pthread_mutex_lock(&s->lock);
	search(s, &r);
	wake_loop(s);
	for (;;) {
		if (work(s, &r))
			continue;
		if (s->ending)
			break;
		rest(s);
	}
	pthread_mutex_unlock(&s->lock);
	upnp_free(r.upnp);
	pthread_mutex_lock(&s->lock);
	s->done = true;
	pthread_cond_signal(&s->ended);
	release(s);
	return NULL;
}

/* --- the loop --- */

/* What there is to tell of slot ${i}, once. */
static bool
take_news(struct shared *s, size_t i, bool *mapped, union addr *outside)
{
	struct slot *slot = &s->slot[i];
	bool any;

	pthread_mutex_lock(&s->lock);
	any = !slot->told && !slot->dropped &&
	      (slot->state == SLOT_MAPPED || slot->state == SLOT_FAILED);
	slot->told |= any;
	*mapped = slot->state == SLOT_MAPPED;
	*outside = slot->outside;
	pthread_mutex_unlock(&s->lock);
	return any;
}

static void
tell_searched(struct portmap *p)
{
	void (*searched)(void *arg) = p->searched;
	struct portmap_info info;

	portmap_get(p, &info);
	if (searched == NULL || info.state == PORTMAP_SEARCHING)
		return;
	p->searched = NULL;
	searched(p->arg);
}

static void
tell_mapped(struct portmap *p, struct mapping *m, const union addr *outside)
{
	char text[ADDR_TEXT_BYTES];
	struct portmap_info info;

	portmap_get(p, &info);
	if (outside != NULL)
		log_debug("outside=%s port mapped (UPnP)", addr_format(outside, text));
	else
		log_debug("no port mapped (UPnP): %s", info.why);
	m->done(m->arg, outside);
}

static void
on_news(evutil_socket_t fd, short what, void *arg)
{
	struct portmap *p = arg;
	char discarded[PORTMAP_MAX];
	union addr outside;
	bool mapped;

	(void)what;
	while (read(fd, discarded, sizeof discarded) > 0)
		;
	tell_searched(p);
	for (size_t i = 0; i < PORTMAP_MAX && !p->ending; i++)
		if (p->mapping[i] != NULL && take_news(p->s, i, &mapped, &outside))
			tell_mapped(p, p->mapping[i], mapped ? &outside : NULL);
}

static struct shared *
shared_new(void)
{
	struct shared *s = calloc(1, sizeof *s);
	pthread_condattr_t monotonic;

	if (s == NULL)
		return NULL;
	if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
		free(s);
		return NULL;
	}
	s->users = 1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &monotonic);
	pthread_cond_init(&s->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return s;
}

static int
start_thread(struct shared *s)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int e;

	/* Signals are the event loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	s->users++;
	e = pthread_create(&thread, &attr, thread_main, s);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e != 0)
		s->users--;
	return e;
}

struct portmap *
portmap_new(struct event_base *base, void (*searched)(void *arg), void *arg,
	    struct err *err)
{
	struct portmap *p = calloc(1, sizeof *p);
	int e;

	if (p == NULL || (p->s = shared_new()) == NULL) {
		err_sys(err, "cannot look for a router");
		goto err1;
	}
	p->searched = searched;
	p->arg = arg;
	p->news = event_new(base, p->s->pipe[0], EV_READ | EV_PERSIST, on_news, p);
	if (p->news == NULL || event_add(p->news, NULL) != 0) {
		err_set(err, "cannot look for a router: out of memory");
		goto err2;
	}
	e = start_thread(p->s);
	if (e != 0) {
		err_set(err, "cannot start a thread to look for a router: %s",
			strerror(e));
		goto err2;
	}
	return p;

err2:
	if (p->news != NULL)
		event_free(p->news);
	pthread_mutex_lock(&p->s->lock);
	release(p->s);
err1:
	free(p);
	return NULL;
}

void
portmap_end(struct portmap *p)
{
	struct shared *s;

	if (p == NULL || p->ending)
		return;
	s = p->s;
	p->ending = true;
	event_del(p->news);
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	for (size_t i = 0; i < PORTMAP_MAX; i++)
		s->slot[i].dropped = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

/* Whether the thread's end is worth waiting for. */
static bool
has_mappings(const struct shared *s)
{
	bool any = s->mapping;

	for (size_t i = 0; i < PORTMAP_MAX; i++)
		any |= s->slot[i].state == SLOT_MAPPED;
	return any && !s->done;
}

void
portmap_free(struct portmap *p)
{
	struct timespec ts;
	uint64_t by_ns;

	if (p == NULL)
		return;
	portmap_end(p);
	by_ns = clock_now_ns() + ENDING_MAX_NS;
	ts.tv_sec = (time_t)(by_ns / NS_PER_S);
	ts.tv_nsec = (long)(by_ns % NS_PER_S);
	pthread_mutex_lock(&p->s->lock);
	while (has_mappings(p->s) && clock_now_ns() < by_ns)
		pthread_cond_timedwait(&p->s->ended, &p->s->lock, &ts);
	release(p->s);
	event_free(p->news);
	for (size_t i = 0; i < PORTMAP_MAX; i++)
		if (p->mapping[i] != NULL)
			p->mapping[i]->p = NULL;
	free(p);
}

void
portmap_get(struct portmap *p, struct portmap_info *out)
{
	pthread_mutex_lock(&p->s->lock);
	*out = p->s->info;
	pthread_mutex_unlock(&p->s->lock);
}

struct mapping *
mapping_new(struct portmap *p, const union addr *inside, mapping_done *done, void *arg)
{
	struct mapping *m = NULL;
	struct shared *s = p->s;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < PORTMAP_MAX && m == NULL && !s->ending; i++) {
		if (s->slot[i].state != SLOT_FREE || (m = calloc(1, sizeof *m)) == NULL)
			continue;
		m->p = p;
		m->slot = i;
		m->done = done;
		m->arg = arg;
		p->mapping[i] = m;
		memset(&s->slot[i], 0, sizeof s->slot[i]);
		s->slot[i].state = SLOT_WANTED;
		s->slot[i].inside = *inside;
		pthread_cond_signal(&s->work);
	}
	pthread_mutex_unlock(&s->lock);
	return m;
}

void
mapping_free(struct mapping *m)
{
	struct shared *s;

	if (m == NULL)
		return;
	if (m->p != NULL) {
		s = m->p->s;
		m->p->mapping[m->slot] = NULL;
		pthread_mutex_lock(&s->lock);
		s->slot[m->slot].dropped = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
	}
	free(m);
}
