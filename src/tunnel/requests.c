#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tunnel/ping.h"
#include "tunnel/proxy_internal.h"
#include "tunnel/stream.h"

/* What clients of the control socket ask of a proxy. */

/* The peer called ${name}; NULL when it is nobody else. */
static struct peer *
find_peer(struct proxy *p, const char *name, struct err *err)
{
	int index = session_look_up(p->session, name, err);

	if (index < 0)
		return NULL;
	if (p->peers[index] == NULL)
		err_set(err, "%s is this party itself", name);
	return p->peers[index];
}

struct proxy_ping *
proxy_ping(struct proxy *p, const char *name, proxy_ping_done *done, void *arg,
	   struct err *err)
{
	struct peer *peer = find_peer(p, name, err);

	return peer != NULL ? ping_start(p->base, peer_link(peer), done, arg, err) : NULL;
}

struct proxy_connection *
proxy_connect(struct proxy *p, const char *party, const struct target *target, int fd,
	      proxy_connection_ended *ended, void *arg, struct err *err)
{
	struct stream_caller caller = {.close_breaks = true, .ended = ended, .arg = arg};
	struct peer *peer = find_peer(p, party, err);
	struct stream *s;
	int flags = fcntl(fd, F_GETFL);

	if (peer == NULL)
		goto err1;
	/* Whatever else was passed would block the loop, or not work at all. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &(int){0}, &(socklen_t){sizeof(int)}) !=
		0) {
		err_sys(err, "what came with the request is no socket");
		goto err1;
	}
	s = peer_open_port(peer, fd, target, &caller);
	if (s == NULL)
		err_set(err, "there are too many streams");
	return (struct proxy_connection *)s;

err1:
	close(fd);
	return NULL;
}

void
proxy_connection_cancel(struct proxy_connection *c)
{
	stream_cancel((struct stream *)c);
}

/* --- forwards --- */

/* The ports of all others are taken already. */
static bool
is_our_mpyc(const struct proxy *p, const struct endpoint *at)
{
	size_t self = 0;

	while (self + 1 < p->session->n_parties && p->peers[self] != NULL)
		self++;
	return at->path[0] == '\0' &&
	       addr_port(&at->addr) == p->local->base_port + self;
}

int
proxy_add_forward(struct proxy *p, const struct endpoint *at, const char *party,
		  const struct target *target, struct err *err)
{
	struct peer *peer = find_peer(p, party, err);
	struct port port = {.kind = PORT_FORWARD, .at = *at, .target = *target};
	char text[ENDPOINT_TEXT_BYTES], to[TARGET_TEXT_BYTES];

	if (peer == NULL)
		return -1;
	if (p->ports == NULL)
		return err_set(err, "this proxy is shutting down");
	if (is_our_mpyc(p, at))
		return err_set(err,
			       "%s is where this party's own MPyC program listens: choose "
			       "another port", endpoint_format(at, text));
	port.party = p->session->parties[peer_index(peer)].key;
	if (ports_add(p->ports, &port, p->session, err) != 0)
		return -1;
	log_info("listen=%s forwards to %s:%s", endpoint_format(at, text), party,
		 target_format(target, to));
	return 0;
}

int
proxy_remove_forward(struct proxy *p, const struct endpoint *at, struct err *err)
{
	char text[ENDPOINT_TEXT_BYTES];

	if (p->ports == NULL)
		return err_set(err, "this proxy is shutting down");
	if (ports_remove(p->ports, at, err) != 0)
		return -1;
	log_info("listen=%s forwards no more", endpoint_format(at, text));
	return 0;
}

struct listing {
	const struct session *session;
	void (*each)(void *arg, const struct proxy_forward *f);
	void *arg;
};

static void
on_port(void *arg, const struct port *port, bool added)
{
	struct listing *l = arg;
	int index = session_find_key(l->session, &port->party);
	struct proxy_forward f = {.at = port->at, .target = port->target, .added = added};

	if (index < 0)
		return;
	f.party = l->session->parties[index].name;
	l->each(l->arg, &f);
}

void
proxy_each_forward(struct proxy *p,
		   void (*each)(void *arg, const struct proxy_forward *f), void *arg)
{
	struct listing l = {.session = p->session, .each = each, .arg = arg};

	if (p->ports != NULL)
		ports_each(p->ports, on_port, &l);
}
