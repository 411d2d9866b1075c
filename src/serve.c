#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "config.h"
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

static const struct proxy_callbacks callbacks = {on_changed, on_fatal, on_drained};

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

static int
reload(void *arg, char summary[ERR_TEXT_BYTES], struct err *err)
{
	struct serve *r = arg;
	struct setup fresh;
	int rc;

	if (setup_load(&fresh, &r->setup->options, err) != 0)
		goto fail;
	if (!pubkey_equal(identity_pubkey(fresh.identity),
			  identity_pubkey(r->setup->identity))) {
		err_set(err, "the identity has changed: start mpcproxy again");
		setup_free(&fresh);
		goto fail;
	}
	rc = proxy_reload(r->proxy, fresh.session, fresh.local, summary, err);
	fresh.session = NULL;
	fresh.local = NULL;
	if (rc == 0)
		r->setup->index = fresh.index;
	setup_free(&fresh);
	if (rc != 0)
		goto fail;
	log_info("reloaded: %s", summary);
	return 0;

fail:
	log_error("cannot reload, nothing has changed: %s", err->text);
	return -1;
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
	control_on_reload(r->control, reload, r);
	control_start(r->control, r->proxy);
	return 0;
}

static void
stop(struct serve *r)
{
	for (size_t i = 0; i < r->n_signals; i++)
		event_free(r->signals[i]);
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
