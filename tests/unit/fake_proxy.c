#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_proxy.h"
#include "tunnel/run.h"

#define FAKE_RTT_NS (23 * NS_PER_MS + 104 * NS_PER_US)

static struct party parties[FAKE_PARTIES] = {
    {.name = "alice", .key = {{2, 1}}},
    {.name = "bob", .key = {{2, 2}}},
    {.name = "carol", .key = {{2, 3}}},
};

struct session fake_session = {
    .name = "santa",
    .parties = parties,
    .n_parties = FAKE_PARTIES,
};

struct proxy_ping {
	struct proxy *proxy;
	proxy_ping_done *done;
	void *arg;
	struct event *timer;
};

void
fake_proxy_init(struct proxy *p, struct event_base *base)
{
	struct path_info *path = &p->peer[0].path;

	memset(p, 0, sizeof *p);
	p->base = base;
	p->answers = true;
	p->status.session = fake_session.name;
	p->status.party = parties[FAKE_SELF].name;
	p->status.index = FAKE_SELF;
	p->status.n_parties = FAKE_PARTIES;
	p->status.base_port = 11365;
	p->status.rendezvous_online = true;
	p->status.n_rendezvous = 1;
	strcpy(p->place.url, "tls://alice.example.org:7470");
	p->place.online = true;
	p->place.sent = 12;
	p->place.received = 9;
	for (size_t i = 0; i < FAKE_PARTIES; i++) {
		p->peer[i].name = parties[i].name;
		p->peer[i].index = i;
		fake_proxy_connect(p, i, false);
	}
	fake_proxy_connect(p, 0, true);
	p->peer[0].has_path = true;
	path->ready = true;
	path->carrier = "socket";
	path->local_type = PATH_HOST;
	path->remote_type = PATH_SERVER_REFLEXIVE;
	addr_parse(&path->local, "192.0.2.1", 4711);
	addr_parse(&path->remote, "203.0.113.5", 9999);
}

void
fake_proxy_connect(struct proxy *p, size_t index, bool connected)
{
	struct peer_status *peer = &p->peer[index];

	peer->connected = connected;
	peer->smoothed_rtt_ns = connected ? FAKE_RTT_NS : 0;
	strcpy(peer->state, connected ? "connected" : "waiting for it");
	p->status.n_connected = 0;
	for (size_t i = 0; i < FAKE_PARTIES; i++)
		p->status.n_connected += i != FAKE_SELF && p->peer[i].connected ? 1 : 0;
}

void
proxy_get_status(const struct proxy *p, struct proxy_status *out)
{
	*out = p->status;
}

int
proxy_get_place_status(const struct proxy *p, size_t i, struct place_status *out)
{
	if (i >= p->status.n_rendezvous)
		return -1;
	*out = p->place;
	return 0;
}

int
proxy_get_peer_status(const struct proxy *p, size_t index, struct peer_status *out)
{
	if (index == FAKE_SELF || index >= FAKE_PARTIES)
		return -1;
	*out = p->peer[index];
	return 0;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct proxy_ping *ping = arg;
	proxy_ping_done *done = ping->done;
	void *done_arg = ping->arg;

	(void)fd;
	(void)what;
	proxy_ping_cancel(ping);
	done(done_arg, FAKE_RTT_NS, NULL);
}

struct proxy_ping *
proxy_ping(struct proxy *p, const char *name, proxy_ping_done *done, void *arg,
	   struct err *err)
{
	static const struct timeval now;
	struct proxy_ping *ping;
	size_t index = (size_t)session_find_name(&fake_session, name);

	if (!p->peer[index].connected) {
		err_set(err, "%s is not connected", p->peer[index].name);
		return NULL;
	}
	if ((ping = calloc(1, sizeof *ping)) == NULL)
		abort();
	ping->proxy = p;
	ping->done = done;
	ping->arg = arg;
	ping->timer = evtimer_new(p->base, on_answer, ping);
	if (p->answers)
		evtimer_add(ping->timer, &now);
	p->pings++;
	return ping;
}

void
proxy_ping_cancel(struct proxy_ping *ping)
{
	ping->proxy->pings--;
	event_free(ping->timer);
	free(ping);
}

const char *
path_candidate_type_name(enum path_candidate_type type)
{
	static const char *const names[] = {"host", "srflx", "prflx", "relay"};

	return names[type];
}

/* Runs: a party offers what the test puts there; nothing happens by itself. */

struct run {
	struct proxy *proxy;
	const struct run_callbacks *cb;
	void *arg;
};

struct run *
proxy_run(struct proxy *p, const uint8_t *offer, size_t len,
	  const struct run_callbacks *cb, void *arg, struct err *err)
{
	if (p->run != NULL) {
		err_set(err, "one at a time");
		return NULL;
	}
	if ((p->run = calloc(1, sizeof *p->run)) == NULL)
		abort();
	p->run->proxy = p;
	p->run->cb = cb;
	p->run->arg = arg;
	memcpy(p->offer, offer, len);
	p->offer_len = len;
	return p->run;
}

const struct run_callbacks *
fake_run_callbacks(struct proxy *p, void **arg)
{
	*arg = p->run->arg;
	return p->run->cb;
}

enum run_party_state
run_party_state(const struct run *r, size_t index)
{
	return r->proxy->peer[index].connected ? RUN_PARTY_CONNECTED : RUN_PARTY_ABSENT;
}

const uint8_t *
run_party_offer(const struct run *r, size_t index, size_t *len)
{
	*len = r->proxy->offer_len;
	return index == 0 ? r->proxy->offer : NULL;
}

void
run_agree(struct run *r, uint32_t set)
{
	r->proxy->agreed = set;
}

void
run_finish(struct run *r, enum run_end how, uint8_t code)
{
	r->proxy->how = how;
	r->proxy->code = code;
	r->proxy->run = NULL;
	free(r);
}

int
proxy_set_gate(struct proxy *p, int fd, struct err *err)
{
	(void)err;
	p->has_gate = fd >= 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

bool
proxy_mpyc_is_over(const struct proxy *p)
{
	return !p->mpyc;
}

int
proxy_offer(struct proxy *p, char **text, char whom[PROXY_WHOM_BYTES], struct err *err)
{
	*text = NULL;
	if (p->status.n_connected + 1 == p->status.n_parties)
		return err_set(err, "every party is connected");
	if (p->offers_asked++ == 0)
		return 0; /* gathering */
	strcpy(whom, "carol");
	*text = strdup("the\nblock\n");
	return *text != NULL ? 1 : err_set(err, "out of memory");
}

int
proxy_accept(struct proxy *p, const uint8_t *sealed, size_t len,
	     char summary[ERR_TEXT_BYTES], struct err *err)
{
	(void)p;
	if (len != 3 || sealed[0] != 1)
		return err_set(err, "this is no offer");
	strcpy(summary, "carol: its block is taken");
	return 0;
}
struct proxy_connection {
	struct proxy *proxy;
	proxy_connection_ended *ended;
	void *arg;
};

struct proxy_connection *
proxy_connect(struct proxy *p, const char *party, const struct target *target, int fd,
	      proxy_connection_ended *ended, void *arg, struct err *err)
{
	struct proxy_connection *c;

	(void)target;
	if (session_find_name(&fake_session, party) < 0) {
		close(fd);
		err_set(err, "no party %s", party);
		return NULL;
	}
	if ((c = calloc(1, sizeof *c)) == NULL)
		abort();
	*c = (struct proxy_connection){p, ended, arg};
	p->connection = c;
	p->joined = fd;
	return c;
}

void
proxy_connection_cancel(struct proxy_connection *c)
{
	close(c->proxy->joined);
	c->proxy->connection = NULL;
	free(c);
}

void
fake_proxy_end_connection(struct proxy *p, const char *why)
{
	struct proxy_connection *c = p->connection;

	close(p->joined);
	p->connection = NULL;
	c->ended(c->arg, why);
	free(c);
}

int
proxy_add_forward(struct proxy *p, const struct endpoint *at, const char *party,
		  const struct target *target, struct err *err)
{
	(void)err;
	p->forward = (struct proxy_forward){*at, NULL, *target, true};
	p->forward.party =
	    parties[session_find_name(&fake_session, party)].name;
	return 0;
}

int
proxy_remove_forward(struct proxy *p, const struct endpoint *at, struct err *err)
{
	if (!endpoint_equal(&p->forward.at, at))
		return err_set(err, "nothing is forwarded from there");
	p->forward.party = NULL;
	return 0;
}

void
proxy_each_forward(struct proxy *p,
		   void (*each)(void *arg, const struct proxy_forward *f), void *arg)
{
	if (p->forward.party != NULL)
		each(arg, &p->forward);
}
