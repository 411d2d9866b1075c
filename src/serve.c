#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config.h"
#include "hosting.h"
#include "serve.h"
#include "tunnel/proxy.h"
#include "verbs.h"
#include "watch/control.h"
#include "watch/flags.h"

/* For streams to send what they hold after the first SIGINT or SIGTERM. */
#define DRAIN_NS (3 * NS_PER_S)

/* Longer flags (of some forty parties) do not fit a log line. */
#define FLAGS_LOG_MAX 800

#define SIGNALS_MAX 3

/* What the busiest moment needs for buffers is kept for the next one: glibc would give
 * all beyond 128 KiB back to the kernel after every batch of a bulk stream, and page
 * faults would then take most of the time. */
#define KEPT_BYTES (2 * 1024 * 1024)

struct serve {
	struct setup *setup;
	struct event_base *base;
	struct control *control;
	struct proxy *proxy;
	struct event *signals[SIGNALS_MAX];
	size_t n_signals;
	bool all_connected;
	bool draining;
	bool has_terminal; /* which ends it by hanging up */
	struct hosting *hosting; /* of our newest ticket; NULL: it is not good any more */
	struct session *news;    /* a newer roster, to be applied outside of callbacks */
	struct event *apply;
	int rc;
};

static void
on_changed(void *arg)
{
	struct serve *r = arg;
	struct proxy_status st;
	bool all;

	if (r->proxy == NULL || r->draining)
		return;
	control_changed(r->control);
	proxy_get_status(r->proxy, &st);
	all = st.n_connected + 1 == st.n_parties;
	if (all && !r->all_connected)
		log_info("session=%s all %zu parties connected", st.session,
			 st.n_parties);
	else if (!all && r->all_connected)
		log_info("session=%s connected=%zu of %zu: a party is missing again",
			 st.session, st.n_connected, st.n_parties - 1);
	r->all_connected = all;
}

static void
on_fatal(void *arg, const char *why)
{
	struct serve *r = arg;

	(void)why;
	r->rc = EXIT_FAILED;
	event_base_loopbreak(r->base);
}

static void
on_drained(void *arg)
{
	struct serve *r = arg;

	event_base_loopbreak(r->base);
}

/* A newer roster of our session, signed by its host. Connections may go by it, so that it
 * waits until nothing of the proxy's is on the stack. */
static void
on_roster(void *arg, struct session *s)
{
	struct serve *r = arg;

	if (r->news != NULL && r->news->version >= s->version) {
		session_free(s);
		return;
	}
	session_free(r->news);
	r->news = s;
	event_active(r->apply, EV_TIMEOUT, 0);
}

static const struct proxy_callbacks callbacks = {
    .changed = on_changed,
    .fatal = on_fatal,
    .drained = on_drained,
    .roster = on_roster,
};

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct serve *r = arg;

	(void)what;
	if (r->draining) {
		log_warn("%s again: ending at once", strsignal(sig));
		r->rc = EXIT_FAILED;
		event_base_loopbreak(r->base);
		return;
	}
	r->draining = true;
	log_info("%s: ending, streams may send what they hold for up to %u s",
		 strsignal(sig), (unsigned)(DRAIN_NS / NS_PER_S));
	proxy_drain(r->proxy, DRAIN_NS);
}

/* Late joiners of our own invitation: tell them so, and give parties that were
 * interrupted the session's file again. */
static void
host_ticket(struct serve *r)
{
	const char *text = r->setup->state.ticket;
	const struct hosting_callbacks cb = {NULL, NULL};
	uint64_t now_s = (uint64_t)time(NULL);
	struct ticket ticket;
	struct err err;
	struct hosting_config cfg = {
	    .host =
		{
		    .self = r->setup->identity,
		    .base = r->setup->session,
		},
	    .ticket = &ticket,
	    .local = r->setup->local,
	    .listen = &r->setup->local->listen,
	};

	hosting_free(r->hosting);
	r->hosting = NULL;
	if (text == NULL || ticket_parse(&ticket, text, &err) != 0 ||
	    ticket.expires_s <= now_s ||
	    !pubkey_equal(&r->setup->session->host, identity_pubkey(r->setup->identity)))
		return;
	cfg.host.expires_ns = clock_now_ns() + (ticket.expires_s - now_s) * NS_PER_S;
	r->hosting = hosting_new(r->base, &cfg, &cb, r, &err);
	if (r->hosting == NULL)
		log_warn("the ticket is not served any more: %s", err.text);
	OPENSSL_cleanse(&ticket, sizeof ticket);
}

/* Let the proxy go on with ${fresh}, which is used up. */
static int
apply(struct serve *r, struct setup *fresh, char summary[ERR_TEXT_BYTES], struct err *err)
{
	struct store_state state;
	int rc;

	if (!pubkey_equal(identity_pubkey(fresh->identity),
			  identity_pubkey(r->setup->identity))) {
		err_set(err, "the identity has changed: start mpcproxy again");
		setup_free(fresh);
		return -1;
	}
	/* It points into what is about to change. */
	hosting_free(r->hosting);
	r->hosting = NULL;
	rc = proxy_reload(r->proxy, fresh->session, fresh->local, summary, err);
	fresh->session = NULL;
	fresh->local = NULL;
	if (rc == 0) {
		r->setup->index = fresh->index;
		state = r->setup->state;
		r->setup->state = fresh->state;
		fresh->state = state;
	}
	setup_free(fresh);
	host_ticket(r);
	return rc;
}

static int
reload(void *arg, char summary[ERR_TEXT_BYTES], struct err *err)
{
	struct serve *r = arg;
	const struct session *now = r->setup->session;
	struct setup fresh;

	if (setup_load(&fresh, &r->setup->options, err) != 0)
		goto fail;
	if (now->version > fresh.session->version) {
		err_set(err,
			"version %llu of the session runs, and its file has %llu: what "
			"its host has changed cannot be taken back",
			(unsigned long long)now->version,
			(unsigned long long)fresh.session->version);
		setup_free(&fresh);
		goto fail;
	}
	if (apply(r, &fresh, summary, err) != 0)
		goto fail;
	log_info("reloaded: %s", summary);
	return 0;

fail:
	log_error("cannot reload, nothing has changed: %s", err->text);
	return -1;
}

/* What the host has decided holds, whatever this party's own files say: who cannot follow
 * ends, rather than go on with somebody who was revoked. */
static void
on_apply(evutil_socket_t fd, short what, void *arg)
{
	struct serve *r = arg;
	struct session *s = r->news;
	char summary[ERR_TEXT_BYTES];
	unsigned long long version;
	struct setup fresh;
	struct err err;

	(void)fd;
	(void)what;
	r->news = NULL;
	if (s == NULL || r->draining || s->version <= r->setup->session->version) {
		session_free(s);
		return;
	}
	version = s->version;
	if (store_save(s, r->setup->path, &err) != 0)
		log_error("version %llu of the session cannot be kept: %s", version,
			  err.text);
	if (session_find_key(s, identity_pubkey(r->setup->identity)) < 0) {
		log_error("session=%s the host has taken this party out of the session",
			  s->name);
		session_free(s);
		on_fatal(r, "");
		return;
	}
	if (setup_load_with(&fresh, &r->setup->options, s, &err) != 0 ||
	    apply(r, &fresh, summary, &err) != 0) {
		log_error("version %llu of the session, which its host has signed, cannot "
			  "be applied; ending: %s",
			  version, err.text);
		on_fatal(r, "");
		return;
	}
	log_info("session=%s version=%llu from its host: %s", r->setup->session->name,
		 version, summary);
}

/* Our controlling terminal is there. */
static bool
has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Read the configuration again; but when the terminal has hung up, in which the program
 * was started, that ends it, as it ends others. */
static void
on_hang_up(evutil_socket_t sig, short what, void *arg)
{
	struct serve *r = arg;
	char summary[ERR_TEXT_BYTES];
	struct err err;

	if (r->has_terminal && !has_terminal())
		on_signal(sig, what, arg);
	else
		reload(r, summary, &err);
}

static int
add_signals(struct serve *r, struct err *err)
{
	static const struct {
		int number;
		event_callback_fn on;
	} signals[SIGNALS_MAX] = {
	    {SIGINT, on_signal}, {SIGTERM, on_signal}, {SIGHUP, on_hang_up}};
	struct sigaction now;

	/* Under nohup the terminal may go. */
	r->has_terminal = has_terminal() && (sigaction(SIGHUP, NULL, &now) != 0 ||
					     now.sa_handler != SIG_IGN);
	for (size_t i = 0; i < SIGNALS_MAX; i++) {
		struct event *ev =
		    evsignal_new(r->base, signals[i].number, signals[i].on, r);

		if (ev == NULL || evsignal_add(ev, NULL) != 0)
			return err_set(err, "out of memory");
		r->signals[r->n_signals++] = ev;
	}
	return 0;
}

/* The process stays dumpable otherwise, so that its owner can debug it: who may do that
 * can read the identity's file as well. */
void
serve_set_limits(void)
{
	/* One byte is too little for a core file, and the one value with which the
	 * kernel also starts no core_pattern program (core(5) says 0 does not stop it).
	 */
	static const struct rlimit no_core = {1, 1};

	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		log_debug("core files stay on");
	descriptors_raise();
	signal(SIGPIPE, SIG_IGN);
#ifdef M_TRIM_THRESHOLD
	mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

static void
announce(const struct setup *setup)
{
	const struct session *s = setup->session;
	char *text = NULL;
	size_t len;
	FILE *out;

	log_info("session=%s party=%s index=%zu parties=%zu mpcproxy " PACKAGE_VERSION
		 " runs",
		 s->name, s->parties[setup->index].name, setup->index, s->n_parties);
	if ((out = open_memstream(&text, &len)) == NULL)
		return;
	flags_write(out, setup->local->base_port, s->n_parties, setup->index);
	if (fclose(out) == 0 && len <= FLAGS_LOG_MAX)
		log_info("flags for MPyC: %.*s", (int)len - 1, text);
	else
		log_info("flags for MPyC: `mpcproxy flags` prints them");
	free(text);
}

/* The control socket first: its message for a second proxy of the same party says more
 * than that a port is in use. */
static int
start(struct serve *r, struct err *err)
{
	struct setup *setup = r->setup;

	if ((r->base = event_base_new()) == NULL)
		return err_set(err, "cannot make an event loop");
	r->control = control_new(r->base, setup->session, setup->index, err);
	if (r->control == NULL)
		return -1;
	r->proxy = proxy_new(r->base, setup->session, setup->local, setup->identity,
			     &callbacks, r, err);
	if (r->proxy == NULL)
		return -1;
	if (add_signals(r, err) != 0)
		return -1;
	if ((r->apply = evtimer_new(r->base, on_apply, r)) == NULL)
		return err_set(err, "out of memory");
	host_ticket(r);
	control_on_reload(r->control, reload, r);
	control_start(r->control, r->proxy);
	return 0;
}

static void
stop(struct serve *r)
{
	for (size_t i = 0; i < r->n_signals; i++)
		event_free(r->signals[i]);
	hosting_free(r->hosting);
	if (r->apply != NULL)
		event_free(r->apply);
	session_free(r->news);
	control_free(r->control);
	if (r->proxy != NULL)
		proxy_free(r->proxy);
	if (r->base != NULL)
		event_base_free(r->base);
}

int
serve(struct setup *setup, void (*started)(void *arg), void *arg)
{
	struct serve r = {.setup = setup, .rc = EXIT_DONE};
	struct err err;

	if (start(&r, &err) == 0) {
		announce(setup);
		if (started != NULL)
			started(arg);
		event_base_dispatch(r.base);
	} else {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		r.rc = EXIT_FAILED;
	}
	stop(&r);
	return r.rc;
}
