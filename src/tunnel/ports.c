#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "tunnel/listener.h"
#include "tunnel/ports.h"

struct entry {
	TAILQ_ENTRY(entry) entry;
	struct ports *ports;
	struct port port;
	struct port next; /* what it will be after ports_commit() */
	struct listener *listener;
	bool added;  /* while the proxy runs */
	bool bound;  /* before ports_prepare() */
	bool wanted; /* after it, */
	bool taken;  /* by the configuration */
};

struct ports {
	struct event_base *base;
	const struct owner_users *users;
	ports_accepted *accepted;
	void *arg;
	size_t n_added;
	TAILQ_HEAD(, entry) entries;
};

#define WHAT_BYTES (64 + TARGET_TEXT_BYTES)

static void
on_accepted(void *arg, int fd)
{
	struct entry *e = arg;

	e->ports->accepted(e->ports->arg, &e->port, fd);
}

static void
drop(struct entry *e)
{
	TAILQ_REMOVE(&e->ports->entries, e, entry);
	e->ports->n_added -= e->added;
	listener_free(e->listener);
	free(e);
}

/* What ${port} is for, in messages. */
static void
describe(const struct port *port, const struct session *s, char out[WHAT_BYTES])
{
	int index = session_find_key(s, &port->party);
	const char *name = index >= 0 ? s->parties[index].name : "nobody";
	char text[TARGET_TEXT_BYTES];

	switch (port->kind) {
	case PORT_MPYC:
		snprintf(out, WHAT_BYTES, "for MPyC's connection to %s", name);
		break;
	case PORT_FORWARD:
		snprintf(out, WHAT_BYTES, "to forward to %s:%s", name,
			 target_format(&port->target, text));
		break;
	default:
		snprintf(out, WHAT_BYTES, "for SOCKS5 clients");
		break;
	}
}

static struct entry *
find(struct ports *p, const struct endpoint *at)
{
	struct entry *e;

	TAILQ_FOREACH (e, &p->entries, entry)
		if (endpoint_equal(&e->port.at, at))
			return e;
	return NULL;
}

static struct entry *
bind_port(struct ports *p, const struct port *port, const char *what, struct err *err)
{
	struct entry *e = calloc(1, sizeof *e);

	if (e == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	e->ports = p;
	e->port = *port;
	e->listener = listener_new(p->base, &port->at, what, p->users, on_accepted, e, err);
	if (e->listener == NULL) {
		free(e);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&p->entries, e, entry);
	return e;
}

static void
free_if(struct ports *p, bool wanted)
{
	struct entry *e = TAILQ_FIRST(&p->entries), *next;

	for (; e != NULL; e = next) {
		next = TAILQ_NEXT(e, entry);
		if (wanted ? !e->bound : !e->wanted)
			drop(e);
	}
}

int
ports_prepare(struct ports *p, const struct port *want, size_t n, const struct session *s,
	      struct err *err)
{
	char what[WHAT_BYTES];
	struct entry *e;

	TAILQ_FOREACH (e, &p->entries, entry) {
		e->bound = true;
		e->wanted = e->added && session_find_key(s, &e->port.party) >= 0;
		e->next = e->port;
		e->taken = false;
	}
	for (size_t i = 0; i < n; i++) {
		e = find(p, &want[i].at);
		describe(&want[i], s, what);
		if (e == NULL)
			e = bind_port(p, &want[i], what, err);
		if (e == NULL) {
			ports_abort(p);
			return -1;
		}
		e->wanted = e->taken = true;
		e->next = want[i];
	}
	return 0;
}

void
ports_abort(struct ports *p)
{
	free_if(p, true);
}

void
ports_commit(struct ports *p)
{
	struct entry *e;

	free_if(p, false);
	TAILQ_FOREACH (e, &p->entries, entry) {
		e->port = e->next;
		if (e->taken && e->added) {
			e->added = false;
			p->n_added--;
		}
		if (e->bound)
			listener_follow(e->listener, e->port.at.everyone);
		else
			listener_start(e->listener);
	}
}

int
ports_add(struct ports *p, const struct port *port, const struct session *s,
	  struct err *err)
{
	char what[WHAT_BYTES], text[ENDPOINT_TEXT_BYTES];
	struct entry *e;

	if (p->n_added == PORTS_ADDED_MAX)
		return err_set(err, "more than %d forwards", PORTS_ADDED_MAX);
	if (find(p, &port->at) != NULL)
		return err_set(err, "%s is this proxy's already: remove that first",
			       endpoint_format(&port->at, text));
	describe(port, s, what);
	e = bind_port(p, port, what, err);
	if (e == NULL)
		return -1;
	e->added = true;
	p->n_added++;
	listener_start(e->listener);
	return 0;
}

int
ports_remove(struct ports *p, const struct endpoint *at, struct err *err)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct entry *e = find(p, at);

	endpoint_format(at, text);
	if (e == NULL || e->port.kind != PORT_FORWARD)
		return err_set(err, "nothing is forwarded from %s", text);
	if (!e->added)
		return err_set(err,
			       "the forward from %s is local.ini's: take it out there, "
			       "then `mpcproxy reload`",
			       text);
	drop(e);
	return 0;
}

void
ports_each(struct ports *p, void (*each)(void *arg, const struct port *port, bool added),
	   void *arg)
{
	struct entry *e;

	TAILQ_FOREACH (e, &p->entries, entry)
		if (e->port.kind == PORT_FORWARD)
			each(arg, &e->port, e->added);
}

static struct endpoint
loopback(uint16_t port)
{
	struct endpoint at = {.path = ""};

	addr_parse(&at.addr, "127.0.0.1", port);
	return at;
}

struct port *
ports_wanted(const struct session *s, const struct local *l, size_t self, size_t *n)
{
	struct port *want = calloc(s->n_parties + l->n_forward + 1, sizeof *want);

	*n = 0;
	if (want == NULL)
		return NULL;
	/* MPyC dials parties with a larger index only; it expects the others to dial. */
	for (size_t i = self + 1; i < s->n_parties; i++)
		want[(*n)++] = (struct port){
		    .kind = PORT_MPYC,
		    .at = loopback((uint16_t)(l->base_port + i)),
		    .party = s->parties[i].key,
		};
	for (size_t i = 0; i < l->n_forward; i++)
		want[(*n)++] = (struct port){
		    .kind = PORT_FORWARD,
		    .at = l->forward[i].at,
		    .party = s->parties[l->forward[i].party].key,
		    .target = l->forward[i].target,
		};
	if (endpoint_is_set(&l->socks5))
		want[(*n)++] = (struct port){.kind = PORT_SOCKS, .at = l->socks5};
	return want;
}

struct ports *
ports_new(struct event_base *base, const struct owner_users *users,
	  ports_accepted *accepted, void *arg)
{
	struct ports *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->base = base;
	p->users = users;
	p->accepted = accepted;
	p->arg = arg;
	TAILQ_INIT(&p->entries);
	return p;
}

void
ports_free(struct ports *p)
{
	struct entry *e;

	if (p == NULL)
		return;
	while ((e = TAILQ_FIRST(&p->entries)) != NULL)
		drop(e);
	free(p);
}
