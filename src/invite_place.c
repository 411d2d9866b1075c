#include "invite_place.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adhoc.h"

/* How many ports above the usual one are tried. */
#define PORTS_TRIED 32

enum reach {
	REACH_MACHINE, /* this machine alone */
	REACH_LAN,     /* its network */
	REACH_WORLD,   /* if the firewall lets it through */
};

static int
add_server(struct url **list, size_t *n, enum url_kind kind, const char *option,
	   const char *text, struct err *err)
{
	struct err why;

	if (text == NULL)
		return 0;
	*list = calloc(SESSION_SERVERS_MAX, sizeof **list);
	if (*list == NULL)
		return err_set(err, "out of memory");
	if (url_parse(*list, kind, text, &why) != 0)
		return err_set(err, "%s: %s", option, why.text);
	*n = 1;
	return 0;
}

/* An address to which nothing is sent: what route the kernel would take is the question
 * (TEST-NET-1, RFC 5737, and 2001:db8::/32, RFC 3849). */
static int
own_address(union addr *out, const char *towards)
{
	union addr to;
	socklen_t len = sizeof *out;
	int fd, rc = -1;

	if (addr_parse(&to, towards, 9) != 0)
		return -1;
	fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, &to.sa, addr_len(&to)) == 0 &&
	    getsockname(fd, &out->sa, &len) == 0)
		rc = 0;
	close(fd);
	return rc;
}

/* Where no route leads out: an address of any network that we are on. */
static int
any_address(union addr *out, sa_family_t family)
{
	struct ifaddrs *all, *a;
	int rc = -1;

	if (getifaddrs(&all) != 0)
		return -1;
	for (a = all; a != NULL && rc != 0; a = a->ifa_next) {
		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != family ||
		    addr_from_sockaddr(out, a->ifa_addr,
				       family == AF_INET ? sizeof out->in
							 : sizeof out->in6) != 0)
			continue;
		if (!addr_is_loopback(out) &&
		    (family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&out->in6.sin6_addr)))
			rc = 0;
	}
	freeifaddrs(all);
	return rc;
}

/* The address under which others most likely reach this machine. */
static void
likely_address(union addr *out)
{
	if (own_address(out, "192.0.2.1") != 0 && own_address(out, "2001:db8::1") != 0 &&
	    any_address(out, AF_INET) != 0 && any_address(out, AF_INET6) != 0)
		addr_parse(out, "127.0.0.1", 0);
}

/* RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291. */
static enum reach
reach_of(const union addr *a)
{
	uint32_t v4;

	if (addr_is_loopback(a))
		return REACH_MACHINE;
	if (a->sa.sa_family == AF_INET6)
		return (a->in6.sin6_addr.s6_addr[0] & 0xe0) == 0x20 ? REACH_WORLD
								    : REACH_LAN;
	v4 = ntohl(a->in.sin_addr.s_addr);
	if (v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 ||
	    v4 >> 22 == 0x191 || v4 >> 16 == 0xa9fe)
		return REACH_LAN;
	return REACH_WORLD;
}

/* A port of ${listen}'s address that nobody has. */
static int
find_port(union addr *listen, struct err *err)
{
	char text[ADDR_TEXT_BYTES];

	for (unsigned i = 0; i < PORTS_TRIED; i++) {
		int fd = socket(listen->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int one = 1, ok;

		if (fd < 0)
			break;
		addr_set_port(listen, (uint16_t)(INVITE_PLACE_PORT + i));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
		ok = bind(fd, &listen->sa, addr_len(listen)) == 0;
		close(fd);
		if (ok)
			return 0;
	}
	return err_set(err, "cannot serve the rendezvous at %s: give --listen ADDR:PORT",
		       addr_format(listen, text));
}

static int
take_listen(const char *text, sa_family_t family, union addr *listen, struct err *err)
{
	char host[URL_HOST_MAX + 1];
	struct err why;
	uint16_t port;

	if (text == NULL) {
		addr_parse(listen, family == AF_INET6 ? "::" : "0.0.0.0",
			   INVITE_PLACE_PORT);
		return find_port(listen, err);
	}
	if (host_port_parse(host, &port, text, INVITE_PLACE_PORT, &why) != 0)
		return err_set(err, "--listen: %s", why.text);
	if (addr_parse(listen, host, port) != 0)
		return err_set(err, "--listen wants an address of this machine, such as "
				    "0.0.0.0:%d, not a name",
			       INVITE_PLACE_PORT);
	return 0;
}

static bool
is_any(const union addr *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == htonl(INADDR_ANY)
					  : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static void
say_reach(enum reach reach, const char *at, unsigned port)
{
	switch (reach) {
	case REACH_MACHINE:
		adhoc_say("All meet at this machine, %s, which only those on it reach: it "
			  "has no network. For others,\nname a --rendezvous.",
			  at);
		return;
	case REACH_LAN:
		adhoc_say("All meet at this machine, %s, which those on the same network "
			  "reach. For others, let your\nrouter forward TCP port %u and "
			  "name its outside --address, or name a --rendezvous that all "
			  "reach.",
			  at, port);
		return;
	case REACH_WORLD:
		adhoc_say("All meet at this machine, %s: TCP port %u must be open in its "
			  "firewall. If it is not, name a\n--rendezvous that all reach.",
			  at, port);
		return;
	}
}

/* We serve it: under the address that others most likely reach. */
static int
serve_ourselves(const struct invite_place_options *o, const struct identity *id,
		struct session *s, union addr *listen, struct err *err)
{
	char text[URL_HOST_MAX + 128], at[ADDR_TEXT_BYTES];
	struct url *url = calloc(SESSION_SERVERS_MAX, sizeof *url);
	union addr own;
	struct err why;

	s->rendezvous = url;
	if (url == NULL)
		return err_set(err, "out of memory");
	s->n_rendezvous = 1;
	likely_address(&own);
	if (take_listen(o->listen, own.sa.sa_family, listen, err) != 0)
		return -1;
	url->scheme = URL_TLS;
	url->key = *identity_pubkey(id);
	if (o->address != NULL) {
		if (host_port_parse(url->host, &url->port, o->address,
				    addr_port(listen), &why) != 0)
			return err_set(err, "--address: %s", why.text);
		adhoc_say("All meet at this machine, %s: TCP port %u must lead to it.",
			  o->address, url->port);
	} else {
		if (!is_any(listen))
			own = *listen;
		addr_set_port(&own, addr_port(listen));
		addr_format(&own, at);
		if (host_port_parse(url->host, &url->port, at, 0, err) != 0)
			return -1;
		say_reach(reach_of(&own), at, url->port);
	}
	url_format(url, text, sizeof text);
	return url_parse(url, URL_KIND_RENDEZVOUS, text, err);
}

int
invite_place(const struct invite_place_options *o, const struct defaults *d,
	     const struct identity *id, struct session *s, union addr *listen,
	     struct err *err)
{
	const char *rendezvous = o->rendezvous;

	memset(listen, 0, sizeof *listen);
	if (rendezvous != NULL && (o->address != NULL || o->listen != NULL))
		return err_set(err, "--address and --listen are for a rendezvous that "
				    "this machine serves: leave them out with "
				    "--rendezvous");
	if (rendezvous == NULL && o->address == NULL && o->listen == NULL)
		rendezvous = d->rendezvous;
	if (add_server(&s->stun, &s->n_stun, URL_KIND_STUN, "stun",
		       o->stun != NULL ? o->stun : d->stun, err) != 0 ||
	    add_server(&s->turn, &s->n_turn, URL_KIND_TURN, "turn",
		       o->turn != NULL ? o->turn : d->turn, err) != 0)
		return -1;
	if (rendezvous == NULL)
		return serve_ourselves(o, id, s, listen, err);
	return add_server(&s->rendezvous, &s->n_rendezvous, URL_KIND_RENDEZVOUS,
			  "rendezvous", rendezvous, err);
}
