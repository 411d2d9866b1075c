#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <openssl/crypto.h>

#include "adhoc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "join/joiner.h"
#include "join/words.h"
#include "rendezvous/rendezvous.h"
#include "serve.h"
#include "session/roster.h"
#include "verbs.h"

/* To reach the host once more with what it has not acknowledged. */
#define LINGER_NS (3 * NS_PER_S)
/* Without an answer for so long, the user is told what may be wrong. */
#define PATIENCE_NS (10 * NS_PER_S)

struct join {
	const struct adhoc_options *o;
	struct ticket ticket;
	struct defaults defaults;
	struct local local; /* before there is a session: the HTTP proxy alone */
	struct identity *id;
	char name[SESSION_NAME_MAX + 1];
	struct event_base *base;
	struct rendezvous *rendezvous;
	struct joiner *joiner;
	struct event *timer, *patience;
	struct adhoc_signals signals;
	char *path; /* of the session's file, once its name is known */
	size_t said; /* parties that were there when it was last said */
	bool stored;
	bool ending;
	uint64_t until_ns; /* when ${ending}: no longer than this */
	int rc;
};

static void
end(struct join *j, int rc)
{
	if (j->ending)
		return;
	j->ending = true;
	j->rc = rc;
	j->until_ns = clock_now_ns() + LINGER_NS;
}

static void
touch(struct join *j)
{
	uint64_t when_ns = joiner_expiry(j->joiner), now_ns = clock_now_ns();

	if (j->ending && (when_ns == CLOCK_NEVER || now_ns >= j->until_ns ||
			  !rendezvous_online(j->rendezvous))) {
		event_base_loopbreak(j->base);
		return;
	}
	if (j->ending && j->until_ns < when_ns)
		when_ns = j->until_ns;
	timer_at(j->timer, when_ns);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct join *j = arg;

	(void)fd;
	(void)what;
	joiner_tick(j->joiner, clock_now_ns());
	touch(j);
}

/* --- what the joiner says --- */

static void
on_send(void *arg, const uint8_t *msg, size_t len)
{
	struct join *j = arg;

	rendezvous_send(j->rendezvous, &j->ticket.host, msg, len);
}

/* The session's name is known now: there must not be another one of that name. -1 when
 * there is. */
static int
check_name(struct join *j, const char *name)
{
	struct session *old;
	struct err err;
	int rc = 0;

	if (j->path != NULL)
		return 0;
	j->path = store_path(name, ".ini");
	if (j->path == NULL)
		return -1;
	old = session_load(j->path, &err);
	if (old != NULL && !(old->version != 0 && pubkey_equal(&old->host, &j->ticket.host))) {
		adhoc_say("mpcproxy: you have another session %s already: `mpcproxy leave "
			  "%s` removes it, then join again",
			  name, name);
		rc = -1;
	}
	session_free(old);
	return rc;
}

static void
on_waiting(void *arg, const struct join_waiting *w)
{
	struct join *j = arg;

	if (check_name(j, w->session) != 0) {
		joiner_leave(j->joiner, clock_now_ns());
		end(j, EXIT_FAILED);
		return;
	}
	fprintf(stderr, "session %s, %zu of %u parties are there:", w->session, w->n,
		w->wanted);
	for (size_t i = 0; i < w->n; i++)
		fprintf(stderr, " %s%s", w->names[i],
			strcmp(w->names[i], j->name) == 0 ? " (you)" : "");
	fputs("\n", stderr);
	j->said = w->n;
}

static void
on_words(void *arg, const char *words, const struct session *roster)
{
	struct join *j = arg;

	adhoc_say_roster(roster, j->id);
	adhoc_say_words(words);
	adhoc_say("Compare these four words with everybody, by voice. If one differs "
		  "anywhere, press Ctrl-C\nand tell the others: somebody is in between. "
		  "Waiting for the host to confirm.");
}

static void
on_words_void(void *arg)
{
	(void)arg;
	adhoc_say("Somebody has left: forget these words, there will be others.");
}

/* What this party has to remember. */
static int
remember(struct join *j, const struct session *s, struct err *err)
{
	struct store_state state;

	if (store_state_load(&state, j->path, err) != 0)
		return -1;
	if (j->o->identity != NULL) {
		free(state.identity);
		state.identity = realpath(j->o->identity, NULL);
	}
	if ((state.base_port == 0 || j->o->base_port != NULL) &&
	    adhoc_base_port(&state.base_port, j->o, &j->defaults, s->n_parties,
			    (size_t)session_find_key(s, identity_pubkey(j->id)),
			    err) != 0) {
		store_state_free(&state);
		return -1;
	}
	if (store_state_save(&state, j->path, err) != 0) {
		store_state_free(&state);
		return -1;
	}
	store_state_free(&state);
	return 0;
}

/* Nobody has compared anything in this attempt: eight words, which need no nonces. */
static void
say_not_compared(struct join *j, const struct session *s)
{
	uint8_t data[ROSTER_MAX], hash[JOIN_HASH_BYTES];
	char words[WORDS_TEXT_MAX];
	int len = roster_encode(s, data, NULL);

	adhoc_say_roster(s, j->id);
	if (len <= 0 || words_roster(hash, data, (size_t)len) != 0 ||
	    words_of_roster(words, hash) != 0)
		return;
	adhoc_say_words(words);
	adhoc_say("You are a party of it already. If you have not compared words with the "
		  "others yet, compare\nthese: `mpcproxy sessions` shows them there.");
}

static void
on_frozen(void *arg, const struct session *s, bool compared)
{
	struct join *j = arg;
	struct err err = {""};

	if (check_name(j, s->name) != 0 || store_save(s, j->path, &err) != 0 ||
	    remember(j, s, &err) != 0) {
		if (err.text[0] != '\0')
			adhoc_say("mpcproxy: %s", err.text);
		end(j, EXIT_FAILED);
		return;
	}
	if (!compared)
		say_not_compared(j, s);
	adhoc_say("Session %s is agreed upon: %s", s->name, j->path);
	joiner_stored(j->joiner, clock_now_ns());
	j->stored = true;
	end(j, EXIT_DONE);
}

static void
on_ended(void *arg, const char *why)
{
	struct join *j = arg;

	adhoc_say("mpcproxy: %s", why);
	end(j, EXIT_FAILED);
}

static const struct joiner_callbacks joiner_callbacks = {
    .send = on_send,
    .waiting = on_waiting,
    .words = on_words,
    .words_void = on_words_void,
    .frozen = on_frozen,
    .ended = on_ended,
};

/* --- the rendezvous, and the user --- */

static void
on_state(void *arg, bool online, const char *why)
{
	struct join *j = arg;
	char text[URL_PATH_MAX + 64];

	if (!online && !j->ending)
		adhoc_say("The rendezvous %s cannot be reached: %s. Trying again; Ctrl-C "
			  "ends it.",
			  url_format_public(&j->ticket.rendezvous, text, sizeof text), why);
	joiner_online(j->joiner, online, clock_now_ns());
	touch(j);
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct join *j = arg;

	joiner_receive(j->joiner, msg, len, clock_now_ns());
	touch(j);
}

static const struct rendezvous_callbacks rendezvous_callbacks = {
    .state = on_state,
    .message = on_message,
};

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct join *j = arg;

	(void)sig;
	(void)what;
	if (j->ending)
		event_base_loopbreak(j->base);
	adhoc_say("\nYou have left: nothing is kept of it.");
	joiner_leave(j->joiner, clock_now_ns());
	end(j, EXIT_FAILED);
	touch(j);
}

static uint64_t
wall_clock_s(void)
{
	return (uint64_t)time(NULL);
}

/* Say it when nothing is heard, and end when there is nothing more to hope for. */
static void
on_patience(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = {PATIENCE_NS / NS_PER_S, 0};
	struct join *j = arg;
	uint64_t heard_ns = joiner_heard_ns(j->joiner);

	(void)fd;
	(void)what;
	event_add(j->patience, &again);
	if (j->ending || !rendezvous_online(j->rendezvous) ||
	    (heard_ns != 0 && clock_now_ns() - heard_ns < 2 * PATIENCE_NS))
		return;
	if (wall_clock_s() >= j->ticket.expires_s) {
		adhoc_say("mpcproxy: the ticket has expired meanwhile: ask for a new one");
		end(j, EXIT_FAILED);
		touch(j);
		return;
	}
	adhoc_say("The host does not answer: does `mpcproxy invite` still run there? Is "
		  "it the newest ticket? Waiting; Ctrl-C ends it.");
}

static int
meet(struct join *j, struct err *err)
{
	static const struct timeval patience = {PATIENCE_NS / NS_PER_S, 0};
	uint8_t psk[TICKET_PSK_BYTES];
	const struct joiner_config cfg = {
	    .self = j->id,
	    .psk = psk,
	    .host = j->ticket.host,
	    .name = j->name,
	};

	j->local.proxy = j->defaults.proxy;
	j->base = event_base_new();
	if (j->base == NULL || ticket_psk(&j->ticket, psk) != 0)
		return err_set(err, "out of memory");
	j->joiner = joiner_new(&cfg, &joiner_callbacks, j, err);
	OPENSSL_cleanse(psk, sizeof psk);
	if (j->joiner == NULL)
		return -1;
	j->timer = evtimer_new(j->base, on_timer, j);
	j->patience = evtimer_new(j->base, on_patience, j);
	if (j->timer == NULL || j->patience == NULL ||
	    event_add(j->patience, &patience) != 0 ||
	    adhoc_signals(&j->signals, j->base, on_signal, j) != 0)
		return err_set(err, "out of memory");
	j->rendezvous = rendezvous_open(
	    j->base, &j->ticket.rendezvous, &j->local, JOIN_SESSION_NAME, j->id, &rendezvous_callbacks, j, err);
	if (j->rendezvous == NULL)
		return -1;
	event_base_dispatch(j->base);
	return 0;
}

static void
part(struct join *j)
{
	if (j->rendezvous != NULL)
		rendezvous_close(j->rendezvous);
	adhoc_signals_free(&j->signals);
	joiner_free(j->joiner);
	if (j->timer != NULL)
		event_free(j->timer);
	if (j->patience != NULL)
		event_free(j->patience);
	if (j->base != NULL)
		event_base_free(j->base);
}

static int
check_ticket(const struct ticket *t, struct err *err)
{
	uint64_t now_s = wall_clock_s();
	time_t at = (time_t)t->expires_s;
	char text[64];


	if (now_s < t->expires_s)
		return 0;
	strftime(text, sizeof text, "%a %d %b %Y, %H:%M", localtime(&at));
	return err_set(err,
		       "the ticket expired on %s by this machine's clock: ask for a new "
		       "one, or correct the clock",
		       text);
}

static int
prepare(struct join *j, struct err *err)
{
	if (check_ticket(&j->ticket, err) != 0 ||
	    adhoc_name(j->name, j->o->as, err) != 0 ||
	    defaults_load(&j->defaults, j->o->local, err) != 0)
		return -1;
	j->id = adhoc_identity(j->o, NULL, &j->defaults, err);
	if (j->id == NULL)
		return -1;
	if (pubkey_equal(identity_pubkey(j->id), &j->ticket.host))
		return err_set(err, "this is your own invitation. To join it from the "
				    "same account, name another identity: -i FILE");
	return 0;
}

int
cmd_join(int argc, char **argv)
{
	struct adhoc_options o = {0};
	const struct option_spec options[ADHOC_OPTIONS_N] = {ADHOC_OPTIONS(&o)};
	const struct verb_usage usage = {
	    .verb = "join",
	    .operands = "TICKET",
	    .min_operands = 1,
	    .max_operands = 1,
	    .help = "Join the session that the ticket is for, and run its proxy until "
		    "SIGINT or\nSIGTERM. Later on, `mpcproxy -c SESSION` runs it again.",
	    .options = options,
	    .n_options = ADHOC_OPTIONS_N,
	};
	struct join j = {.o = &o, .rc = EXIT_FAILED};
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (o.verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	serve_set_limits();
	if (ticket_parse(&j.ticket, argv[1], &err) != 0 || prepare(&j, &err) != 0 ||
	    meet(&j, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		j.rc = EXIT_FAILED;
	}
	part(&j);
	identity_free(j.id);
	defaults_free(&j.defaults);
	OPENSSL_cleanse(&j.ticket, sizeof j.ticket);
	if (j.stored)
		j.rc = adhoc_run(j.path, &o);
	free(j.path);
	return j.rc;
}
