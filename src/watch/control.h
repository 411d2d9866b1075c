#ifndef MPCPROXY_WATCH_CONTROL_H
#define MPCPROXY_WATCH_CONTROL_H

#include <stddef.h>

#include <event2/event.h>

#include "base/err.h"
#include "session/session.h"
#include "tunnel/proxy.h"
#include "watch/responder.h"

/*
 * The control socket of a running proxy: answers the requests of request.h to
 * processes of the same user. Holding it also makes this process the only proxy of its
 * party on this machine. SIGPIPE must be ignored while it lives.
 */
struct control;

/* Those of `connect` stay as long as their connection. */
#define CONTROL_CLIENTS_MAX 256

/*
 * Take the place of party ${index} of ${s}, which must outlive the control. A socket
 * that a dead process left is replaced; a live one is refused, naming its process.
 * Clients can connect from here on, and are answered after control_start().
 */
struct control *control_new(struct event_base *base, const struct session *s,
			    size_t index, struct err *err);

/* Answer from ${proxy} until control_free(). */
void control_start(struct control *ctl, struct proxy *proxy);

/* What `reload` does; before control_start(). */
void control_on_reload(struct control *ctl, responder_reload *reload, void *arg);

/* The number of connected parties has changed: answer who waits for it. */
void control_changed(struct control *ctl);

/* Hangs up on all clients and removes the socket; before proxy_free(). NULL is
 * ignored. */
void control_free(struct control *ctl);

#endif
