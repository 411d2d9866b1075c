#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/tcp.h>

#include "base/clock.h"
#include "base/connector.h"
#include "base/log.h"
#include "base/owner.h"
#include "session/shim.h"
#include "session/web_tls.h"

#define HANDSHAKE_TIMEOUT_S 10

/* What the library has left to say when it hangs up gets this long to leave. */
#define LINGER_TIMEOUT_S 1

/* A server that acknowledges nothing for this long is gone. */
#define USER_TIMEOUT_MS 30000

#define BACKLOG 64

/* A connection of the library's and the one to the server. */
struct pair {
	LIST_ENTRY(pair) entry;
	struct shim *shim;
	struct bufferevent *local, *remote; /* ${remote} is NULL until connected */
	struct connector *connector;
	struct event *timer;
	bool established;
	bool ending; /* ${local} is gone, ${remote} sends what it holds */
};

struct shim {
	struct event_base *base;
	const struct url *server;
	const struct http_proxy *proxy;
	SSL_CTX *tls;
	struct evconnlistener *listener;
	union addr addr;
	LIST_HEAD(, pair) pairs;
	size_t n_pairs;
	char name[URL_HOST_MAX + 32]; /* the server's, for the log */
	char why[ERR_TEXT_BYTES];
	struct log_gate gate, strangers;
	shim_pass *pass; /* NULL: everything passes */
	void *pass_arg;
};

static void
pair_free(struct pair *p)
{
	LIST_REMOVE(p, entry);
	p->shim->n_pairs--;
	connector_cancel(p->connector);
	if (p->local != NULL)
		bufferevent_free(p->local);
	if (p->remote != NULL)
		bufferevent_free(p->remote);
	event_free(p->timer);
	free(p);
}

/* The same reason is said once, until something else has happened. Of brokers the
 * rendezvous says it. */
static void
server_failed(struct shim *s, const char *why)
{
	if (s->server->scheme != URL_MQTT && s->server->scheme != URL_MQTTS &&
	    strcmp(s->why, why) != 0 &&
	    log_gate_pass(&s->gate, (long long)clock_now_ns(), NULL))
		log_warn("server=%s the TURN server cannot be used: %s", s->name, why);
	snprintf(s->why, sizeof s->why, "%s", why);
}

static void
pair_failed(struct pair *p, const char *why)
{
	if (!p->ending)
		server_failed(p->shim, why);
	pair_free(p);
}

/* Move what ${from} has to ${to} as far as there is room. Reading pauses while the other
 * end's buffer is full, and goes on when half of it has left. */
static void
carry(struct bufferevent *from, struct bufferevent *to)
{
	struct evbuffer *out = bufferevent_get_output(to);

	evbuffer_add_buffer(out, bufferevent_get_input(from));
	if (evbuffer_get_length(out) >= SHIM_BUFFER_BYTES)
		bufferevent_disable(from, EV_READ);
}

static void
on_local_data(struct bufferevent *bev, void *arg)
{
	struct pair *p = arg;

	if (p->established)
		carry(bev, p->remote);
}

static void
on_remote_data(struct bufferevent *bev, void *arg)
{
	struct pair *p = arg;
	struct shim *s = p->shim;
	struct evbuffer *out;
	struct err err;

	if (p->local == NULL)
		return;
	if (s->pass == NULL) {
		carry(bev, p->local);
		return;
	}
	out = bufferevent_get_output(p->local);
	if (s->pass(s->pass_arg, bufferevent_get_input(bev), out, &err) != 0)
		pair_failed(p, err.text);
	else if (evbuffer_get_length(out) >= SHIM_BUFFER_BYTES)
		bufferevent_disable(bev, EV_READ);
}

static void
on_local_room(struct bufferevent *bev, void *arg)
{
	struct pair *p = arg;

	(void)bev;
	if (p->established)
		bufferevent_enable(p->remote, EV_READ);
}

static void
on_remote_room(struct bufferevent *bev, void *arg)
{
	struct pair *p = arg;

	if (!p->established)
		return;
	if (p->ending && evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		pair_free(p);
	else if (!p->ending)
		bufferevent_enable(p->local, EV_READ);
}

/* The library has hung up: neither TURN nor MQTT knows half-closed connections. */
static void
on_local_event(struct bufferevent *bev, short what, void *arg)
{
	const struct timeval linger = {.tv_sec = LINGER_TIMEOUT_S};
	struct pair *p = arg;

	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
		return;
	if (!p->established) {
		pair_free(p);
		return;
	}
	carry(bev, p->remote);
	bufferevent_free(p->local);
	p->local = NULL;
	p->ending = true;
	if (evbuffer_get_length(bufferevent_get_output(p->remote)) == 0) {
		pair_free(p);
		return;
	}
	bufferevent_setwatermark(p->remote, EV_WRITE, 0, 0);
	event_add(p->timer, &linger);
}

static void
establish(struct pair *p)
{
	p->established = true;
	p->shim->why[0] = '\0';
	event_del(p->timer);
	log_debug("server=%s connected", p->shim->name);
	carry(p->local, p->remote);
	bufferevent_enable(p->remote, EV_READ);
}

static void
handshake_failed(struct pair *p)
{
	struct err err;

	web_tls_why(bufferevent_openssl_get_ssl(p->remote),
		     bufferevent_get_openssl_error(p->remote), p->shim->server, &err);
	pair_failed(p, err.text);
}

static void
on_remote_event(struct bufferevent *bev, short what, void *arg)
{
	struct pair *p = arg;
	int error = EVUTIL_SOCKET_ERROR();

	(void)bev;
	if (what & BEV_EVENT_CONNECTED) {
		establish(p);
		return;
	}
	if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0)
		return;
	if (!p->established) {
		handshake_failed(p);
		return;
	}
	if (what & BEV_EVENT_ERROR)
		log_debug("server=%s the connection broke: %s", p->shim->name,
			  strerror(error));
	pair_free(p);
}

static void
tune(int fd)
{
	unsigned ms = USER_TIMEOUT_MS;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static struct bufferevent *
make_remote(struct shim *s, int fd, struct err *err)
{
	struct bufferevent *bev;
	SSL *ssl;

	if (s->tls == NULL) {
		bev = bufferevent_socket_new(s->base, fd,
					     BEV_OPT_CLOSE_ON_FREE |
						 BEV_OPT_DEFER_CALLBACKS);
	} else {
		ssl = web_tls_client(s->tls, s->server, err);
		if (ssl == NULL)
			return NULL;
		bev = bufferevent_openssl_socket_new(s->base, fd, ssl,
						     BUFFEREVENT_SSL_CONNECTING,
						     BEV_OPT_CLOSE_ON_FREE |
							 BEV_OPT_DEFER_CALLBACKS);
		/* Many servers close without close_notify; TURN's and MQTT's messages
		 * have lengths of their own. */
		if (bev != NULL)
			bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
		else
			SSL_free(ssl);
	}
	if (bev == NULL)
		err_set(err, "out of memory");
	return bev;
}

static void
set_bounds(struct bufferevent *bev)
{
	bufferevent_setwatermark(bev, EV_READ, 0, SHIM_BUFFER_BYTES);
	bufferevent_setwatermark(bev, EV_WRITE, SHIM_BUFFER_BYTES / 2, 0);
}

static void
on_connected(void *arg, int fd, const char *why)
{
	const struct timeval limit = {.tv_sec = HANDSHAKE_TIMEOUT_S};
	struct pair *p = arg;
	struct err err;

	p->connector = NULL;
	if (fd < 0) {
		pair_failed(p, why);
		return;
	}
	tune(fd);
	p->remote = make_remote(p->shim, fd, &err);
	if (p->remote == NULL) {
		close(fd);
		pair_failed(p, err.text);
		return;
	}
	set_bounds(p->remote);
	bufferevent_setcb(p->remote, on_remote_data, on_remote_room, on_remote_event, p);
	bufferevent_enable(p->remote, EV_WRITE);
	if (p->shim->tls == NULL)
		establish(p);
	else
		event_add(p->timer, &limit);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pair_failed(arg, "the TLS handshake is not answered");
}

static bool
may_connect(struct shim *s, int fd)
{
	struct err err;

	if (s->n_pairs >= SHIM_CONNECTIONS_MAX)
		err_set(&err, "there are too many");
	else if (owner_check_client(fd, NULL, &err) == 0)
		return true;
	if (log_gate_pass(&s->strangers, (long long)clock_now_ns(), NULL))
		log_warn("server=%s a local connection is refused: %s", s->name,
			 err.text);
	return false;
}

static void
on_accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
	    int len, void *arg)
{
	struct shim *s = arg;
	struct pair *p;
	struct err err;
	int on = 1;

	(void)listener;
	(void)from;
	(void)len;
	p = may_connect(s, fd) ? calloc(1, sizeof *p) : NULL;
	if (p == NULL)
		goto err0;
	p->shim = s;
	p->timer = evtimer_new(s->base, on_timer, p);
	if (p->timer == NULL)
		goto err1;
	p->local =
	    bufferevent_socket_new(s->base, fd,
				   BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (p->local == NULL)
		goto err2;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	LIST_INSERT_HEAD(&s->pairs, p, entry);
	s->n_pairs++;
	set_bounds(p->local);
	bufferevent_setcb(p->local, on_local_data, on_local_room, on_local_event, p);
	bufferevent_enable(p->local, EV_READ | EV_WRITE);
	p->connector = connector_start(s->base, s->proxy, s->server->host,
				       s->server->port, 0, on_connected, p, &err);
	if (p->connector == NULL)
		pair_failed(p, err.text);
	return;

err2:
	event_free(p->timer);
err1:
	free(p);
err0:
	close(fd);
}

struct shim *
shim_new(struct event_base *base, int family, const struct url *server,
	 const struct http_proxy *proxy, SSL_CTX *tls, struct err *err)
{
	struct shim *s = calloc(1, sizeof *s);
	socklen_t len = sizeof s->addr;

	if (s == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	s->base = base;
	s->server = server;
	s->proxy = proxy;
	s->tls = tls;
	LIST_INIT(&s->pairs);
	url_format_public(server, s->name, sizeof s->name);
	addr_parse(&s->addr, family == AF_INET6 ? "::1" : "127.0.0.1", 0);
	s->listener =
	    evconnlistener_new_bind(base, on_accepted, s,
				    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
				    BACKLOG, &s->addr.sa, (int)addr_len(&s->addr));
	if (s->listener == NULL ||
	    getsockname(evconnlistener_get_fd(s->listener), &s->addr.sa, &len) != 0) {
		err_sys(err, "cannot listen on loopback for %s", s->name);
		shim_free(s);
		return NULL;
	}
	return s;
}

void
shim_free(struct shim *s)
{
	struct pair *p;

	if (s == NULL)
		return;
	while ((p = LIST_FIRST(&s->pairs)) != NULL)
		pair_free(p);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	free(s);
}

bool
shim_is_idle(const struct shim *s)
{
	return s->n_pairs == 0;
}

void
shim_screen(struct shim *s, shim_pass *pass, void *arg)
{
	s->pass = pass;
	s->pass_arg = arg;
}

const union addr *
shim_addr(const struct shim *s)
{
	return &s->addr;
}

const char *
shim_why(const struct shim *s)
{
	return s->why;
}
