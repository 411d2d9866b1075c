#ifndef MPCPROXY_ADHOC_H
#define MPCPROXY_ADHOC_H

#include <event2/event.h>

#include "options.h"
#include "session/defaults.h"
#include "session/identity.h"
#include "session/session.h"
#include "session/store.h"

/* What the verbs of sessions made by invitation share. */

/* The options of invite and join, which go on as the running proxy. */
struct adhoc_options {
	const char *as;        /* --as */
	const char *identity;  /* -i */
	const char *local;     /* --local */
	const char *base_port; /* -b */
	bool verbose;          /* -v */
};

#define ADHOC_OPTIONS_N 5
#define ADHOC_OPTIONS(o)                                                                 \
	{0, "as", "NAME", "what the others are to call you", &(o)->as, NULL, false},     \
	    {'i', "identity", "FILE", "your private key; made on first use",             \
	     &(o)->identity, NULL, false},                                               \
	    {0, "local", "FILE", "local.ini, what concerns this machine", &(o)->local,   \
	     NULL, false},                                                               \
	    {'b', "base-port", "PORT", "local port of party 0 (else one that is free)",  \
	     &(o)->base_port, NULL, false},                                              \
	{                                                                                \
		'v', "verbose", NULL, "log more", NULL, &(o)->verbose, false             \
	}

/* One line for the person at the terminal, on stderr. */
void adhoc_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The identity that ${o}, ${state} (may be NULL) or ${d} name; made when there is none,
 * which is said. */
struct identity *adhoc_identity(const struct adhoc_options *o,
				const struct store_state *state,
				const struct defaults *d, struct err *err);

/* The party's name: ${as}, or the user's, made a name. */
int adhoc_name(char out[SESSION_NAME_MAX + 1], const char *as, struct err *err);

/* Local ports for ${n} parties of which we are number ${index}: as ${o} says, or free
 * ones, which begin at another place for each party, since several of them may be on this
 * machine and choose in the same moment. */
int adhoc_base_port(uint16_t *port, const struct adhoc_options *o,
		    const struct defaults *d, size_t n, size_t index, struct err *err);

/* They are held until here, or until adhoc_run(). */
void adhoc_release_ports(void);

/* "alice (you), bob, carol" for the person at the terminal. */
void adhoc_say_roster(const struct session *s, const struct identity *self);

/* Words in a frame, and what to do with them. */
void adhoc_say_words(const char *words);

/* Go on as `mpcproxy -c` does. */
int adhoc_run(const char *path, const struct adhoc_options *o);

/* The session ${name} of this user as ${setup}, or the exit code after a message. The
 * options with which it is loaded point into ${name}. */
struct setup;
int adhoc_load(struct setup *setup, const char *name, const struct adhoc_options *o);

/* Whether a proxy of ${setup} runs, and if so, let it read its files again; 1 when it
 * runs, 0 when none does, -1 when it did not want to (it has said why). */
int adhoc_reload(const struct setup *setup);

/* Signals that end it: ${on} gets ${arg}. Free with adhoc_signals_free(). */
#define ADHOC_SIGNALS_N 3
struct adhoc_signals {
	struct event *event[ADHOC_SIGNALS_N];
};
int adhoc_signals(struct adhoc_signals *s, struct event_base *base,
		  event_callback_fn on, void *arg);
void adhoc_signals_free(struct adhoc_signals *s);

#endif
