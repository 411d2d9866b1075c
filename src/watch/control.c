/* First: it makes struct ucred visible. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/listener.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/claim.h"
#include "watch/control.h"
#include "watch/responder.h"

/* How long accepting pauses when the process has no descriptor left. */
#define ACCEPT_PAUSE_S 1

/* "session NAME party NAME". */
#define WHO_BYTES 96

struct control {
	struct event_base *base;
	struct proxy *proxy;
	const struct session *session;
	struct responder_hooks hooks;
	struct claim claim;
	struct evconnlistener *listener;
	struct event *pause;
	struct log_gate gate;
	struct responder *responders[CONTROL_CLIENTS_MAX];
};

/* The directory lets nobody else in but root, who may also have opened it for others. */
static bool
is_owner(struct control *ctl, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	if (cred.uid == geteuid())
		return true;
	if (log_gate_pass(&ctl->gate, (long long)clock_now_ns(), NULL))
		log_warn("uid=%u refused on the control socket: it is not the owner's",
			 (unsigned)cred.uid);
	return false;
}

static struct responder **
find_slot(struct control *ctl, const struct responder *r)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (ctl->responders[i] == r)
			return &ctl->responders[i];
	}
	return NULL;
}

static void
on_gone(void *arg, const struct responder *r)
{
	*find_slot(arg, r) = NULL;
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len,
	  void *arg)
{
	static const char busy[] =
	    "2too many clients of this proxy at once: try again\nx 1\n";
	struct control *ctl = arg;
	struct responder **slot;

	(void)l;
	(void)sa;
	(void)len;
	if (!is_owner(ctl, fd)) {
		close(fd);
		return;
	}
	slot = find_slot(ctl, NULL);
	if (slot != NULL)
		*slot = responder_new(ctl->base, ctl->proxy, ctl->session, &ctl->hooks,
				      fd, on_gone, ctl);
	if (slot == NULL || *slot == NULL) {
		/* A fresh socket's buffer takes these few bytes. */
		if (send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL) < 0)
			log_debug("a client of the control socket left: %s",
				  strerror(errno));
		close(fd);
	}
}

/* Out of descriptors: the client stays in the backlog, and asking for it again at once
 * would only spin. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	static const struct timeval pause = {ACCEPT_PAUSE_S, 0};
	struct control *ctl = arg;

	log_warn("the control socket cannot accept: %s", strerror(errno));
	evconnlistener_disable(l);
	evtimer_add(ctl->pause, &pause);
}

static void
on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(ctl->listener);
}

struct control *
control_new(struct event_base *base, const struct session *s, size_t index,
	    struct err *err)
{
	struct place places[PLACES_MAX];
	char who[WHO_BYTES];
	struct control *ctl;

	if (place_list(places, s, index, err) == 0)
		goto fail0;
	snprintf(who, sizeof who, "session %s party %s", s->name, s->parties[index].name);
	if ((ctl = calloc(1, sizeof *ctl)) == NULL) {
		err_set(err, "out of memory");
		goto fail0;
	}
	ctl->base = base;
	ctl->session = s;
	if (claim_take(&ctl->claim, &places[0], who, err) != 0)
		goto fail1;
	if ((ctl->pause = evtimer_new(base, on_pause_over, ctl)) == NULL) {
		err_set(err, "out of memory");
		goto fail2;
	}
	/* Backlog 0: it listens already. */
	ctl->listener = evconnlistener_new(base, on_accept, ctl,
					   LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0,
					   ctl->claim.fd);
	if (ctl->listener == NULL) {
		err_set(err, "out of memory");
		goto fail3;
	}
	evconnlistener_set_error_cb(ctl->listener, on_accept_error);
	return ctl;

fail3:
	event_free(ctl->pause);
fail2:
	claim_drop(&ctl->claim);
fail1:
	free(ctl);
fail0:
	return NULL;
}

void
control_start(struct control *ctl, struct proxy *proxy)
{
	ctl->proxy = proxy;
	evconnlistener_enable(ctl->listener);
}

void
control_on_reload(struct control *ctl, responder_reload *reload, void *arg)
{
	ctl->hooks = (struct responder_hooks){reload, arg};
}

void
control_changed(struct control *ctl)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (ctl->responders[i] != NULL)
			responder_changed(ctl->responders[i]);
	}
}

void
control_free(struct control *ctl)
{
	if (ctl == NULL)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		responder_free(ctl->responders[i]);
	evconnlistener_free(ctl->listener);
	event_free(ctl->pause);
	claim_drop(&ctl->claim);
	free(ctl);
}
