#ifndef MPCPROXY_NETCHECK_H
#define MPCPROXY_NETCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "path/probe.h"
#include "setup.h"

/* What paths this machine can have: every server of session.ini asked, and what their
 * answers say of the network. */
struct netcheck;

/* One server of session.ini. */
struct netcheck_server {
	const char *kind; /* "rendezvous", "stun", "turn" */
	char name[URL_HOST_MAX + 32];
	bool works;
	bool over_tcp; /* turn: reached without UDP */
	bool asked;    /* false: it was not, ${why} says why */
	uint64_t rtt_ns;
	char why[ERR_TEXT_BYTES]; /* when it does not work */
};

#define NETCHECK_SERVERS_MAX (3 * SESSION_SERVERS_MAX)

enum netcheck_upnp {
	NETCHECK_UPNP_OFF, /* upnp = no */
	NETCHECK_UPNP_NO,  /* ${upnp_why} */
	NETCHECK_UPNP_YES, /* the router has mapped a port for us */
};

struct netcheck_report {
	const char *session, *party;
	enum probe_answer udp;
	enum probe_mapping mapping;
	enum probe_filtering filtering;
	enum probe_answer hairpin;
	union addr public[PROBE_FAMILIES]; /* AF_UNSPEC: unknown */
	bool ipv4, ipv6;                   /* there is an address of our own */
	enum netcheck_upnp upnp;
	union addr router, router_outside; /* AF_UNSPEC: unknown */
	char upnp_why[ERR_TEXT_BYTES];     /* when it is of no use */
	struct netcheck_server server[NETCHECK_SERVERS_MAX];
	size_t n_servers;
};

/* Ask, and wait for the answers, ten seconds or so at most. */
int netcheck_run(const struct setup *setup, struct netcheck_report *out, struct err *err);

/* Whether somebody can be reached at all: some rendezvous works, and UDP or a relay. */
bool netcheck_is_well(const struct netcheck_report *r);

void netcheck_text(FILE *out, const struct netcheck_report *r);
void netcheck_json(FILE *out, const struct netcheck_report *r);

/* A sentence or two: what paths to expect, and what to change. */
void netcheck_verdict(FILE *out, const struct netcheck_report *r);

#endif
