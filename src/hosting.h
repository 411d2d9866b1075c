#ifndef MPCPROXY_HOSTING_H
#define MPCPROXY_HOSTING_H

#include <event2/event.h>

#include "join/host.h"
#include "session/ticket.h"
#include "session/url.h"

/*
 * A join_host at its rendezvous, on the event loop: while people join, and later beside
 * the running proxy, so that whoever comes late is told so and whoever was interrupted
 * gets the session's file again.
 */
struct hosting;

struct hosting_config {
	struct join_host_config host; /* without psk */
	const struct ticket *ticket;  /* copied */
	const struct local *local;    /* as rendezvous_open() wants it */
	/* Where this process, or the running proxy, serves the ticket's mailbox itself:
	 * AF_UNSPEC: nowhere. */
	const union addr *listen;
};

struct hosting_callbacks {
	/* As in join_host_callbacks; NULL: log it. */
	const struct join_host_callbacks *host;
	/* The rendezvous became reachable or unreachable; NULL: log it. */
	void (*state)(void *arg, bool online, const char *why);
};

struct hosting *hosting_new(struct event_base *base, const struct hosting_config *cfg,
			    const struct hosting_callbacks *cb, void *arg,
			    struct err *err);
void hosting_free(struct hosting *h);

/* For join_host_confirm() and the enquiries; hosting_touch() after the former. */
struct join_host *hosting_host(struct hosting *h);
void hosting_touch(struct hosting *h);

#endif
