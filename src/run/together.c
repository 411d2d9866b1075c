/* First: it makes asprintf visible. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/timer.h"
#include "run/command.h"
#include "run/compare.h"
#include "run/isolate.h"
#include "run/own_proxy.h"
#include "run/ports.h"
#include "run/probe.h"
#include "run/program.h"
#include "run/progress.h"
#include "run/together.h"
#include "verbs.h"
#include "watch/client.h"
#include "watch/run_client.h"

/* A program whose session is lost may end by itself first: MPyC does, at some parties. */
#define LOST_GRACE_S 1
/* Between SIGTERM and SIGKILL. */
#define KILL_GRACE_S 5
/* For the proxy to tell the others of the end; it takes a moment, three seconds at most.
 */
#define DONE_LIMIT_S 6

enum phase {
	WAITS,   /* for all to be ready */
	RUNS,    /* the program does */
	ENDS,    /* it does, and must not: the session is lost */
	REPORTS, /* the others are being told */
};

struct together {
	struct setup *setup;
	const struct together_options *options;
	const struct session *session;
	struct command command;
	struct ports_hold ports;
	struct own_proxy proxy;
	struct isolate isolate;
	bool isolated;
	uint16_t base_port;
	struct run_offer *offers; /* by index, ours among them */
	struct program program;

	struct event_base *base;
	int signal_fd;
	struct event *signals, *tick, *limit, *kill;
	struct run_client *client;
	struct progress *progress;
	enum phase phase;
	bool killed;      /* SIGTERM has been sent */
	bool interrupted; /* again, while the others are being told */
	int rc;
};

static void say(struct together *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct together *t, const char *fmt, ...)
{
	va_list ap;

	progress_clear(t->progress);
	fputs("mpcproxy: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static const char *
name_of(const struct together *t, size_t index)
{
	return index < t->session->n_parties ? t->session->parties[index].name : "?";
}

static void
set_timer(struct event *timer, unsigned seconds)
{
	const struct timeval tv = {.tv_sec = seconds};

	evtimer_add(timer, &tv);
}

/* --- the end --- */

/* Tell the others, and be done when the proxy has. */
static void
report(struct together *t, enum run_end how, int code, int rc)
{
	const struct run_line l = {.type = RUN_LINE_END,
				   .how = how,
				   .code = (uint8_t)code};

	if (t->phase == REPORTS)
		return;
	progress_clear(t->progress);
	t->phase = REPORTS;
	t->rc = rc;
	evtimer_del(t->tick);
	evtimer_del(t->kill);
	if (t->client == NULL) {
		event_base_loopbreak(t->base);
		return;
	}
	run_client_say(t->client, &l);
	set_timer(t->limit, DONE_LIMIT_S);
}

/* The program waits in vain. */
static void
lose(struct together *t)
{
	if (t->phase != RUNS)
		return;
	t->phase = ENDS;
	set_timer(t->kill, LOST_GRACE_S);
}

static void
on_kill(evutil_socket_t fd, short what, void *arg)
{
	struct together *t = arg;

	(void)fd;
	(void)what;
	if (!t->killed) {
		say(t, "ending the program");
		program_signal(&t->program, SIGTERM);
		/* A stopped one could not end. */
		program_signal(&t->program, SIGCONT);
		t->killed = true;
		set_timer(t->kill, KILL_GRACE_S);
	} else {
		say(t, "it does not end on SIGTERM: killing it");
		program_signal(&t->program, SIGKILL);
	}
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct together *t = arg;

	(void)fd;
	(void)what;
	if (t->phase == WAITS) {
		say(t, "not all parties were ready in time");
		progress_missing(t->progress);
		report(t, RUN_END_GIVEN_UP, 0, EXIT_TIMEOUT);
	} else if (t->phase == REPORTS) {
		event_base_loopbreak(t->base);
	}
}

static void
on_program_ended(struct together *t, int code)
{
	/* One that came to its end all the same has not missed the session. */
	if (t->phase == ENDS && code != 0)
		report(t, RUN_END_PROGRAM, code, EXIT_LOST);
	else
		report(t, RUN_END_PROGRAM, code, code);
}

/* --- what the proxy says --- */

static char **
make_flags(const struct together *t)
{
	size_t n = t->session->n_parties, k = 0;
	char **flags = calloc(2 * n + 3, sizeof *flags);

	for (size_t i = 0; flags != NULL && i < n; i++) {
		flags[k++] = strdup("-P");
		if (asprintf(&flags[k], "localhost:%zu", t->base_port + i) < 0)
			flags[k] = NULL;
		k++;
	}
	if (flags == NULL)
		return NULL;
	flags[k++] = strdup("-I");
	if (asprintf(&flags[k], "%zu", t->setup->index) < 0)
		flags[k] = NULL;
	return flags;
}

static void read_signals(struct together *t, sigset_t *sent);

static int
run_program(struct together *t, char **argv, int *code, struct err *err)
{
	sigset_t sent;

	if (program_fork(&t->program, argv, t->isolated ? &t->isolate : NULL, code, err) !=
	    0)
		return -1;
	t->phase = RUNS;
	read_signals(t, &sent);
	return program_go(&t->program, argv[0], &sent, code, err);
}

static void
start_program(struct together *t)
{
	char **flags = make_flags(t), **argv = NULL;
	int code = EXIT_FAILED;
	struct err err;

	if (flags == NULL || (argv = command_argv(&t->command, flags)) == NULL)
		err_set(&err, "out of memory");
	else if (run_program(t, argv, &code, &err) == 0)
		code = 0;
	command_argv_free(flags);
	command_argv_free(argv);
	if (code == 0)
		return;
	say(t, "%s", err.text);
	report(t, RUN_END_PROGRAM, code, code);
}

static void
on_go(struct together *t)
{
	const struct run_offer *o = &t->offers[t->setup->index];

	if (t->phase != WAITS)
		return;
	evtimer_del(t->tick);
	evtimer_del(t->limit);
	say(t, "all %zu parties are ready: running %s%s%s%s%s", t->session->n_parties,
	    o->program, o->python[0] != '\0' ? ", Python " : "", o->python,
	    o->mpyc[0] != '\0' ? ", MPyC " : "", o->mpyc);
	start_program(t);
}

static void
on_complete(struct together *t, uint32_t set)
{
	const struct run_line agree = {.type = RUN_LINE_AGREE, .set = set};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool same = f != NULL && compare_offers(f, t->session, t->offers);

	if (f != NULL)
		fclose(f);
	if (!same) {
		/* Without its last newline. */
		say(t, "the parties are about to run different things:\n%.*s",
		    len > 0 ? (int)len - 1 : 0, text != NULL ? text : "");
		if (!t->options->allow_different)
			say(t, "not started: make them the same, or give "
			       "--allow-different at every party");
	}
	free(text);
	if (same || t->options->allow_different)
		run_client_say(t->client, &agree);
	else
		report(t, RUN_END_REFUSED, 0, EXIT_DIFFERENT);
}

static void
on_ended(struct together *t, const struct run_line *l)
{
	const char *name = name_of(t, l->index);

	if (l->how == RUN_END_REFUSED)
		say(t, "%s does not start: what the parties run is not the same", name);
	else if (l->how == RUN_END_GIVEN_UP)
		say(t, "%s has given up waiting", name);
	else if (l->how == RUN_END_GONE)
		say(t, "%s: its run was ended", name);
	else if (l->code > 128)
		say(t, "%s: its program was ended by signal %d (%s)", name, l->code - 128,
		    strsignal(l->code - 128));
	else if (l->code != 0)
		say(t, "%s: its program has ended with exit code %u", name, l->code);
}

static void
on_theirs(struct together *t, const struct run_line *l)
{
	if (l->index < t->session->n_parties &&
	    run_offer_parse(&t->offers[l->index], l->offer, l->offer_len) != RUN_OFFER_OK)
		memset(&t->offers[l->index], 0, sizeof t->offers[l->index]);
}

static void
on_refused(struct together *t, const char *why)
{
	say(t, "%s", why);
	run_client_free(t->client);
	t->client = NULL;
	if (t->phase == WAITS)
		report(t, RUN_END_GONE, 0, EXIT_FAILED);
	else if (t->phase == REPORTS)
		event_base_loopbreak(t->base);
	else
		lose(t);
}

static void
on_line(void *arg, const struct run_line *l)
{
	struct together *t = arg;

	switch (l->type) {
	case RUN_LINE_PARTY:
		if (t->phase == WAITS)
			progress_party(t->progress, l->index, l->state, l->text);
		break;
	case RUN_LINE_THEIRS:
		on_theirs(t, l);
		break;
	case RUN_LINE_COMPLETE:
		if (t->phase == WAITS)
			on_complete(t, l->set);
		break;
	case RUN_LINE_GO:
		on_go(t);
		break;
	case RUN_LINE_ENDED:
		if (t->phase != REPORTS)
			on_ended(t, l);
		break;
	case RUN_LINE_LOST:
		if (t->phase != RUNS)
			break;
		say(t, "%s is lost: %s", name_of(t, l->index), l->text);
		lose(t);
		break;
	case RUN_LINE_NO:
		on_refused(t, l->text);
		break;
	case RUN_LINE_DONE:
		event_base_loopbreak(t->base);
		break;
	default:
		break;
	}
}

static void
on_closed(void *arg, const char *why)
{
	struct together *t = arg;

	if (t->phase == REPORTS)
		event_base_loopbreak(t->base);
	else
		on_refused(t, why);
}

static const struct run_client_callbacks client_callbacks = {on_line, on_closed};

/* --- signals --- */

/* Stop with the program, as the terminal wants it; returns when we go on. */
static void
stop_ourselves(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What a terminal sends goes to the program as well, which is in the same group: only
 * what others send is passed on. */
static void
on_signal(struct together *t, const struct signalfd_siginfo *info)
{
	int sig = (int)info->ssi_signo;
	bool passed = info->ssi_code == SI_KERNEL && !t->program.leads;
	int code;

	if (sig == SIGCHLD) {
		if (program_has_ended(&t->program, &code))
			on_program_ended(t, code);
		return;
	}
	if (t->program.pid > 0 && !passed)
		program_signal(&t->program, sig);
	if (sig == SIGTSTP) {
		progress_clear(t->progress);
		stop_ourselves();
	}
	if (sig != SIGINT && sig != SIGTERM && sig != SIGHUP && sig != SIGQUIT)
		return;
	if (t->phase == WAITS)
		report(t, RUN_END_GIVEN_UP, 0, 128 + sig);
	else if (t->phase == REPORTS)
		event_base_loopbreak(t->base);
}

static void
on_signals(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	while (read((int)fd, &info, sizeof info) == sizeof info)
		on_signal(arg, &info);
}

/* What is pending while the program's process is new: on_signal() takes it that what a
 * terminal ends programs with has reached that, too, and goes to ${sent}. */
static void
read_signals(struct together *t, sigset_t *sent)
{
	static const int ends[] = {SIGINT, SIGQUIT, SIGHUP};
	struct signalfd_siginfo info;

	sigemptyset(sent);
	while (read(t->signal_fd, &info, sizeof info) == sizeof info) {
		for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
			if (info.ssi_signo == (uint32_t)ends[i] &&
			    info.ssi_code == SI_KERNEL && !t->program.leads)
				sigaddset(sent, ends[i]);
		on_signal(t, &info);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct together *t = arg;

	(void)fd;
	(void)what;
	progress_show(t->progress);
	set_timer(t->tick, 1);
}

/* --- the beginning --- */

/* Ports that nobody has, unless the user has chosen some. */
static int
choose_ports(struct together *t, char text[8], struct err *err)
{
	struct setup *s = t->setup;
	uint16_t first;

	if (s->options.base_port != NULL || s->local->has_base_port)
		return 0;
	if ((first = ports_find(&t->ports, s->session->n_parties, err)) == 0)
		return -1;
	snprintf(text, 8, "%u", first);
	/* The proxy keeps them when it loads its files again. */
	s->options.base_port = text;
	return local_set_base_port(s->local, text, s->session->n_parties, err);
}

/* Connect to the proxy that runs, or to one that is started. */
static int
find_proxy(struct together *t, int *fd, struct err *err)
{
	struct setup *s = t->setup;
	static char port[8];

	switch (client_connect(s->session, s->index, fd, err)) {
	case CLIENT_FOUND:
		return 0;
	case CLIENT_ABSENT:
		break;
	default:
		return -1;
	}
	if (choose_ports(t, port, err) != 0)
		return -1;
	if (own_proxy_start(&t->proxy, s) != 0)
		return err_set(err, "the proxy has not started");
	return client_connect(s->session, s->index, fd, err) == CLIENT_FOUND ? 0 : -1;
}

/* Before anybody waits: what cannot be had is said at once. */
static int
ask_for_run(struct together *t, int fd, struct err *err)
{
	struct setup *s = t->setup;

	if (run_client_ask(fd, &t->base_port, err) != 0)
		return -1;
	if (!t->options->isolate)
		return 0;
	if (isolate_start(&t->isolate, t->base_port, s->session->n_parties, s->index,
			  err) != 0)
		return -1;
	t->isolated = true;
	return run_client_gate(fd, t->isolate.gate, err);
}

static int
offer(struct together *t, struct err *err)
{
	struct run_offer *o = &t->offers[t->setup->index];
	struct run_line l = {.type = RUN_LINE_OFFER};

	command_offer(&t->command, t->options->show_args, o);
	if (probe(&t->command, o, err) != 0)
		return -1;
	if (RAND_bytes(o->nonce, sizeof o->nonce) != 1)
		return err_ssl(err, "no random numbers");
	l.offer_len = run_offer_encode(o, l.offer);
	run_client_say(t->client, &l);
	return 0;
}

static int
make_events(struct together *t, struct err *err)
{
	t->base = event_base_new();
	if (t->base == NULL)
		return err_set(err, "cannot make an event loop");
	t->signals =
	    event_new(t->base, t->signal_fd, EV_READ | EV_PERSIST, on_signals, t);
	t->tick = evtimer_new(t->base, on_tick, t);
	t->limit = evtimer_new(t->base, on_limit, t);
	t->kill = evtimer_new(t->base, on_kill, t);
	if (t->signals == NULL || t->tick == NULL || t->limit == NULL ||
	    t->kill == NULL || event_add(t->signals, NULL) != 0)
		return err_set(err, "out of memory");
	return 0;
}

static int
start(struct together *t, char **words, struct err *err)
{
	int fd, rc;

	rc = command_read(&t->command, words, err);
	if (rc == COMMAND_NOT_FOUND)
		t->rc = strchr(words[0], '/') != NULL && access(words[0], F_OK) == 0
			    ? EXIT_NOT_EXECUTABLE
			    : EXIT_NOT_FOUND;
	if (rc != 0)
		return -1;
	t->offers = calloc(t->session->n_parties, sizeof *t->offers);
	if (t->offers == NULL)
		return err_set(err, "out of memory");
	if ((t->signal_fd = program_block_signals()) < 0)
		return err_sys(err, "cannot watch signals");
	if (find_proxy(t, &fd, err) != 0)
		return -1;
	if (ask_for_run(t, fd, err) != 0) {
		close(fd);
		return -1;
	}
	/* After the proxy's process: an event loop is not to be forked. */
	if (make_events(t, err) != 0) {
		close(fd);
		return -1;
	}
	t->client = run_client_new(t->base, fd, &client_callbacks, t);
	if (t->client == NULL)
		return err_set(err, "out of memory");
	if (offer(t, err) != 0)
		return -1;
	t->progress = progress_new(t->session, t->setup->index);
	return 0;
}

static void
wait_at_most(struct together *t)
{
	timer_after(t->limit, t->options->timeout_ns);
}

static void
free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

static void
stop(struct together *t)
{
	progress_free(t->progress);
	run_client_free(t->client);
	free_event(t->signals);
	free_event(t->tick);
	free_event(t->limit);
	free_event(t->kill);
	if (t->base != NULL)
		event_base_free(t->base);
	own_proxy_stop(&t->proxy);
	if (t->isolated)
		isolate_stop(&t->isolate);
	ports_release(&t->ports);
	if (t->signal_fd >= 0)
		close(t->signal_fd);
	command_free(&t->command);
	free(t->offers);
}

int
together(struct setup *setup, const struct together_options *o, char **words)
{
	struct together t = {.setup = setup,
			     .options = o,
			     .session = setup->session,
			     .signal_fd = -1,
			     .rc = EXIT_FAILED};
	struct err err;

	if (start(&t, words, &err) == 0) {
		wait_at_most(&t);
		set_timer(t.tick, 1);
		event_base_dispatch(t.base);
	} else {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
	}
	stop(&t);
	return t.rc;
}
