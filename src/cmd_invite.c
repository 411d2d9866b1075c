#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "adhoc.h"
#include "base/clock.h"
#include "base/log.h"
#include "hosting.h"
#include "invite_place.h"
#include "join/host.h"
#include "join/words.h"
#include "qr.h"
#include "rendezvous/mailbox.h"
#include "serve.h"
#include "session/roster.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

/* For the parties to write the session's file to their disks. */
#define STORE_S 10

#define EXPIRES_DEFAULT_S (24 * 3600)
#define EXPIRES_MAX_S     (366 * 24 * 3600)

struct invite {
	struct adhoc_options o;
	const char *parties, *add, *expires;
	struct invite_place_options place;
	bool yes, qr;

	struct defaults defaults;
	struct local local; /* before there is a session: the HTTP proxy alone */
	struct identity *id;
	char *path;             /* of the session's file */
	struct setup setup;     /* with --add: the session as it is */
	bool adds;
	bool runs;              /* with --add: its proxy does */
	struct session *base_session; /* who is there, and the servers */
	size_t wanted;
	struct ticket ticket;
	char ticket_text[TICKET_TEXT_MAX + 1];
	struct store_state state;
	bool serves; /* the mailbox, from this process */

	struct event_base *base;
	struct mailbox *mailbox;
	struct hosting *hosting;
	struct adhoc_signals signals;
	struct event *terminal, *deadline, *expiry;
	bool asked; /* there is a question on the screen */
	bool frozen;
	bool given_up;
	int rc;
};

static int
fail(const struct err *err)
{
	fprintf(stderr, "mpcproxy: %s\n", err->text);
	return EXIT_FAILED;
}

/* --- what is asked for --- */

static int
take_expiry(struct invite *v, struct err *err)
{
	static const struct {
		char unit;
		unsigned s;
	} units[] = {{'m', 60}, {'h', 3600}, {'d', 24 * 3600}};
	size_t len = v->expires != NULL ? strlen(v->expires) : 0;
	uint64_t n, seconds = EXPIRES_DEFAULT_S;
	char text[16];

	if (v->expires != NULL) {
		seconds = 0;
		if (len >= 2 && len < sizeof text) {
			memcpy(text, v->expires, len - 1);
			text[len - 1] = '\0';
			for (size_t i = 0; i < sizeof units / sizeof *units; i++)
				if (v->expires[len - 1] == units[i].unit &&
				    number_parse(&n, text, 1, EXPIRES_MAX_S) == 0)
					seconds = n * units[i].s;
		}
		if (seconds == 0 || seconds > EXPIRES_MAX_S)
			return err_set(err, "--expires wants a time such as 30m, 2h or "
					    "3d, at most a year");
	}
	v->ticket.expires_s = (uint64_t)time(NULL) + seconds;
	return 0;
}

static int
take_numbers(struct invite *v, struct err *err)
{
	uint64_t n;

	if ((v->parties == NULL) == (v->add == NULL))
		return err_set(err, "say how many parties there are with --parties N "
				    "(you among them), or with --add N how many join a "
				    "session that exists");
	v->adds = v->add != NULL;
	if (number_parse(&n, v->adds ? v->add : v->parties, v->adds ? 1 : 2,
			 ROSTER_PARTIES_MAX) != 0)
		return err_set(err, "--%s wants a number from %d to %d",
			       v->adds ? "add" : "parties", v->adds ? 1 : 2,
			       ROSTER_PARTIES_MAX);
	v->wanted = (size_t)n - (v->adds ? 0 : 1);
	if (v->adds && (v->place.rendezvous != NULL || v->place.address != NULL ||
			v->place.listen != NULL || v->place.stun != NULL ||
			v->place.turn != NULL || v->o.as != NULL))
		return err_set(err, "with --add the session stays as it is: leave out "
				    "everything that would change it");
	return take_expiry(v, err);
}

/* A session that does not exist yet: its host alone. */
static int
make_session(struct invite *v, const char *name, struct err *err)
{
	struct session *s = calloc(1, sizeof *s);

	v->base_session = s;
	if (s == NULL || (s->parties = calloc(SESSION_PARTIES_MAX, sizeof *s->parties)) == NULL)
		return err_set(err, "out of memory");
	if (access(v->path, F_OK) == 0)
		return err_set(err,
			       "session %s exists already: `mpcproxy -c %s` runs it, "
			       "`mpcproxy invite %s --add 1` adds to it, `mpcproxy leave "
			       "%s` removes it",
			       name, name, name, name);
	if (adhoc_name(s->parties[0].name, v->o.as, err) != 0)
		return -1;
	if (defaults_load(&v->defaults, v->o.local, err) != 0)
		return -1;
	v->id = adhoc_identity(&v->o, NULL, &v->defaults, err);
	if (v->id == NULL)
		return -1;
	strcpy(s->name, name);
	s->version = 1;
	s->host = *identity_pubkey(v->id);
	s->parties[0].key = s->host;
	s->n_parties = 1;
	if (v->o.identity != NULL)
		v->state.identity = realpath(v->o.identity, NULL);
	if (invite_place(&v->place, &v->defaults, v->id, s, &v->state.listen, err) != 0)
		return -1;
	v->serves = v->state.listen.sa.sa_family != AF_UNSPEC;
	return adhoc_base_port(&v->state.base_port, &v->o, &v->defaults, v->wanted + 1,
			       0, err);
}

static int
check_host(const struct invite *v, struct err *err)
{
	const struct session *s = v->setup.session;

	if (s->version == 0)
		return err_set(err,
			       "session %s was written by hand: add a [party] section "
			       "to the file at every party, and let `mpcproxy reload` "
			       "apply it",
			       s->name);
	if (!pubkey_equal(&s->host, identity_pubkey(v->setup.identity)))
		return err_set(err,
			       "only the host of session %s can add a party: that is %s",
			       s->name, s->parties[session_find_key(s, &s->host)].name);
	if (s->n_parties + v->wanted > ROSTER_PARTIES_MAX)
		return err_set(err,
			       "session %s has %zu parties, and %d is the most that one "
			       "made by invitation can have",
			       s->name, s->n_parties, ROSTER_PARTIES_MAX);
	return 0;
}

/* The session that exists, with its next version. */
static int
take_session(struct invite *v, const char *name, struct err *err)
{
	const struct setup_options options = {
	    .session = name,
	    .local = v->o.local,
	    .identity = v->o.identity,
	    .base_port = v->o.base_port,
	    .verbose = v->o.verbose,
	};
	int fd;

	if (setup_load(&v->setup, &options, err) != 0 || check_host(v, err) != 0 ||
	    store_state_load(&v->state, v->setup.path, err) != 0)
		return -1;
	free(v->path);
	v->path = strdup(v->setup.path);
	v->base_session = v->setup.session;
	v->base_session->version++;
	v->id = v->setup.identity;
	switch (client_connect(v->setup.session, v->setup.index, &fd, err)) {
	case CLIENT_FOUND:
		v->runs = true;
		close(fd);
		break;
	case CLIENT_ABSENT:
		v->serves = v->setup.local->listen.sa.sa_family != AF_UNSPEC;
		break;
	default:
		return -1;
	}
	v->state.listen = v->setup.local->listen;
	return 0;
}

/* --- the question --- */

static void
stop_asking(struct invite *v)
{
	v->asked = false;
	event_del(v->terminal);
}

static void
give_up(struct invite *v, const char *why)
{
	static const struct timeval soon = {0, 500 * 1000};

	if (v->frozen || v->given_up)
		return;
	v->given_up = true;
	adhoc_say("%s", why);
	stop_asking(v);
	join_host_abort(hosting_host(v->hosting), clock_now_ns());
	hosting_touch(v->hosting);
	event_add(v->deadline, &soon);
}

/* Nobody has changed the session since we read it. */
static int
check_unchanged(const struct invite *v, struct err *err)
{
	struct session *now;
	int rc = 0;

	if (!v->adds)
		return 0;
	now = session_load(v->path, err);
	if (now == NULL)
		return -1;
	if (now->version + 1 != v->base_session->version)
		rc = err_set(err, "the session has changed meanwhile: invite again");
	session_free(now);
	return rc;
}

static void
confirm(struct invite *v)
{
	static const struct timeval tv = {STORE_S, 0};
	const struct session *s;
	struct err err;

	stop_asking(v);
	if (check_unchanged(v, &err) != 0) {
		give_up(v, err.text);
		return;
	}
	s = join_host_confirm(hosting_host(v->hosting), clock_now_ns(), &err);
	hosting_touch(v->hosting);
	free(v->state.ticket);
	v->state.ticket = strdup(v->ticket_text);
	if (s == NULL || store_save(s, v->path, &err) != 0 ||
	    store_state_save(&v->state, v->path, &err) != 0) {
		fail(&err);
		v->rc = EXIT_FAILED;
		event_base_loopbreak(v->base);
		return;
	}
	v->frozen = true;
	v->rc = EXIT_DONE;
	adhoc_say("Session %s is agreed upon: %s", s->name, v->path);
	event_add(v->deadline, &tv);
}

static void
on_terminal(evutil_socket_t fd, short what, void *arg)
{
	struct invite *v = arg;
	char line[256];
	ssize_t n = read(fd, line, sizeof line - 1);

	(void)what;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	if (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0)
		confirm(v);
	else
		give_up(v, "Not confirmed: nothing was agreed upon, and the ticket is void. "
			   "If the words differ, somebody\nis in between: send the next "
			   "ticket in another way.");
}

static void
ask(struct invite *v)
{
	/* What was typed before was no answer to these words. */
	tcflush(STDIN_FILENO, TCIFLUSH);
	fputs("Ask everybody for the four words, by voice. Are they the same everywhere? "
	      "[y/N] ",
	      stderr);
	v->asked = true;
	event_add(v->terminal, NULL);
}

/* --- what the host says --- */

static void
on_joined(void *arg, const char *name, size_t n)
{
	struct invite *v = arg;

	adhoc_say("%s has joined: %zu of %zu parties are there", name,
		  v->base_session->n_parties + n, v->base_session->n_parties + v->wanted);
}

static void
on_left(void *arg, const char *name, const char *why)
{
	struct invite *v = arg;

	adhoc_say("%s%s is not there any more: %s%s", v->asked ? "\n" : "", name, why,
		  v->asked ? ". Forget the words above" : "");
	stop_asking(v);
}

static void
on_words(void *arg, const char *words, const struct session *roster)
{
	struct invite *v = arg;

	adhoc_say_roster(roster, v->id);
	adhoc_say_words(words);
	if (v->yes)
		confirm(v);
	else
		ask(v);
}

static void
on_stored(void *arg, const char *name)
{
	struct invite *v = arg;

	(void)name;
	if (join_host_unstored(hosting_host(v->hosting)) == 0)
		event_base_loopbreak(v->base);
}

static void
on_refused(void *arg, const char *name, enum join_refusal refusal)
{
	static struct log_gate gate;

	(void)arg;
	if (log_gate_pass(&gate, (long long)clock_now_ns(), NULL))
		adhoc_say("Somebody who calls himself %s wanted to join and was told: %s",
			  name[0] != '\0' ? name : "nothing", join_refusal_text(refusal));
}

static const struct join_host_callbacks host_callbacks = {
    .joined = on_joined,
    .left = on_left,
    .words = on_words,
    .stored = on_stored,
    .refused = on_refused,
};

static void
on_state(void *arg, bool online, const char *why)
{
	struct invite *v = arg;
	char text[URL_PATH_MAX + 64];

	if (!online && !v->frozen)
		adhoc_say("The rendezvous %s cannot be reached: %s. Trying again; Ctrl-C "
			  "ends it.",
			  url_format_public(&v->ticket.rendezvous, text, sizeof text),
			  why);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct invite *v = arg;

	(void)sig;
	(void)what;
	if (v->frozen || v->given_up)
		event_base_loopbreak(v->base);
	else
		give_up(v, "\nEnded: nothing was agreed upon, and the ticket is void.");
}

/* Some have not stored it in time: they can join again and get it. Or all is told. */
static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct invite *v = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(v->base);
}

static void
on_expiry(evutil_socket_t fd, short what, void *arg)
{
	struct invite *v = arg;

	(void)fd;
	(void)what;
	if (join_host_expired(hosting_host(v->hosting), clock_now_ns()))
		give_up(v, "The ticket has expired before all had joined: invite again.");
}

/* --- from the ticket to the roster --- */

static int
make_ticket(struct invite *v, struct err *err)
{
	v->ticket.host = *identity_pubkey(v->id);
	v->ticket.rendezvous = v->base_session->rendezvous[0];
	if (RAND_bytes(v->ticket.secret, sizeof v->ticket.secret) != 1)
		return err_ssl(err, "no random numbers");
	return ticket_format(&v->ticket, v->ticket_text, err);
}

static int
print_ticket(const struct invite *v, struct err *err)
{
	time_t at = (time_t)v->ticket.expires_s;
	char text[64];

	strftime(text, sizeof text, "%a %d %b, %H:%M", localtime(&at));
	adhoc_say("Pass this line on to those you invite, by chat or mail. It is good "
		  "until %s.\n",
		  text);
	fflush(stderr);
	printf("mpcproxy join %s\n", v->ticket_text);
	fflush(stdout);
	if (v->qr && qr_draw(stderr, v->ticket_text, err) != 0)
		return -1;
	adhoc_say("\nWhoever reads it can ask to join in their place: the four words that "
		  "everybody sees when all are\nthere tell you whether that has happened. "
		  "Waiting for %zu part%s; Ctrl-C ends it.",
		  v->wanted, v->wanted == 1 ? "y" : "ies");
	return 0;
}

static int
open_all(struct invite *v, struct err *err)
{
	const uint64_t left_s = v->ticket.expires_s - (uint64_t)time(NULL);
	const struct timeval expiry = {(time_t)left_s + 1, 0};
	const struct hosting_config cfg = {
	    .host =
		{
		    .self = v->id,
		    .base = v->base_session,
		    .wanted = v->wanted,
		    .expires_ns = clock_now_ns() + left_s * NS_PER_S,
		},
	    .ticket = &v->ticket,
	    .local = v->adds ? v->setup.local : &v->local,
	    .listen = &v->state.listen,
	};
	const struct hosting_callbacks cb = {.host = &host_callbacks, .state = on_state};

	v->local.proxy = v->defaults.proxy;
	v->base = event_base_new();
	if (v->base == NULL)
		return err_set(err, "out of memory");
	if (v->serves) {
		v->mailbox = mailbox_new(v->base, &v->state.listen, v->id, NULL, err);
		if (v->mailbox == NULL)
			return -1;
	}
	v->terminal =
	    event_new(v->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_terminal, v);
	v->deadline = evtimer_new(v->base, on_deadline, v);
	v->expiry = evtimer_new(v->base, on_expiry, v);
	if (v->terminal == NULL || v->deadline == NULL || v->expiry == NULL ||
	    event_add(v->expiry, &expiry) != 0 ||
	    adhoc_signals(&v->signals, v->base, on_signal, v) != 0)
		return err_set(err, "out of memory");
	v->hosting = hosting_new(v->base, &cfg, &cb, v, err);
	return v->hosting != NULL ? 0 : -1;
}

static void
close_all(struct invite *v)
{
	hosting_free(v->hosting);
	mailbox_free(v->mailbox);
	adhoc_signals_free(&v->signals);
	if (v->terminal != NULL)
		event_free(v->terminal);
	if (v->deadline != NULL)
		event_free(v->deadline);
	if (v->expiry != NULL)
		event_free(v->expiry);
	if (v->base != NULL)
		event_base_free(v->base);
}

static int
gather(struct invite *v, const char *name, struct err *err)
{
	v->path = store_path(name, ".ini");
	if (v->path == NULL)
		return err_set(err, "neither HOME nor XDG_CONFIG_HOME is set");
	if ((v->adds ? take_session(v, name, err) : make_session(v, name, err)) != 0 ||
	    make_ticket(v, err) != 0 || open_all(v, err) != 0 ||
	    print_ticket(v, err) != 0)
		return -1;
	event_base_dispatch(v->base);
	return 0;
}

/* Go on as the running proxy, or let the one that runs go on. */
static int
go_on(struct invite *v)
{
	int rc = EXIT_DONE;

	if (v->runs)
		rc = adhoc_reload(&v->setup) == 1 ? EXIT_DONE : EXIT_FAILED;
	return rc;
}

static int
check_terminal(const struct invite *v, struct err *err)
{
	if (v->yes || isatty(STDIN_FILENO))
		return 0;
	return err_set(err, "somebody has to confirm that all parties see the same words, "
			    "and there is no terminal to ask: run it in one, or confirm "
			    "beforehand with --yes, which leaves the comparing out");
}

int
cmd_invite(int argc, char **argv)
{
	struct invite v = {.rc = EXIT_FAILED};
	const struct option_spec options[] = {
	    {'n', "parties", "N", "how many there are, you among them", &v.parties, NULL,
	     false},
	    {0, "add", "N", "how many join a session that you host", &v.add, NULL, false},
	    {0, "rendezvous", "URL", "where all meet (else this machine serves it)",
	     &v.place.rendezvous, NULL, false},
	    {0, "address", "HOST", "how others reach this machine: HOST[:PORT]",
	     &v.place.address, NULL, false},
	    {'l', "listen", "ADDR:PORT", "where this machine serves it",
	     &v.place.listen, NULL, false},
	    {0, "stun", "HOST", "a STUN server for parties behind NATs", &v.place.stun,
	     NULL, false},
	    {0, "turn", "URL", "a relay, where no path is found", &v.place.turn, NULL,
	     false},
	    {0, "expires", "TIME", "how long the ticket is good: 30m, 2h, 3d (else 1d)",
	     &v.expires, NULL, false},
	    {0, "qr", NULL, "show the ticket as a QR code, too", NULL, &v.qr, false},
	    {'y', "yes", NULL, "do not ask whether the words are the same", NULL, &v.yes,
	     false},
	    ADHOC_OPTIONS(&v.o),
	};
	const struct verb_usage usage = {
	    .verb = "invite",
	    .operands = "SESSION",
	    .min_operands = 1,
	    .max_operands = 1,
	    .help = "Make a session, print the line that others join it with, and when "
		    "all are there\nand have compared four words, run its proxy until "
		    "SIGINT or SIGTERM.",
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	char name[SESSION_NAME_MAX + 1];
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (session_name_parse(name, argv[1], &err) != 0 || take_numbers(&v, &err) != 0)
		return options_bad("invite", "%s", err.text);
	if (v.o.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	serve_set_limits();
	if (check_terminal(&v, &err) != 0 || (v.qr && qr_check(&err) != 0) || gather(&v, name, &err) != 0)
		v.rc = fail(&err);
	close_all(&v);
	rc = v.frozen ? go_on(&v) : v.rc;
	if (v.frozen && !v.runs)
		rc = adhoc_run(v.path, &v.o);
	if (v.adds)
		setup_free(&v.setup);
	else
		session_free(v.base_session);
	if (!v.adds)
		identity_free(v.id);
	store_state_free(&v.state);
	defaults_free(&v.defaults);
	OPENSSL_cleanse(&v.ticket, sizeof v.ticket);
	OPENSSL_cleanse(v.ticket_text, sizeof v.ticket_text);
	free(v.path);
	return rc;
}
