#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "base/addr.h"
#include "base/clock.h"
#include "options.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

/* How often to look for a proxy that has not started yet. */
#define LOOK_AGAIN_NS (100 * NS_PER_MS)

/* A year: more is a slip of the hand. */
#define TIMEOUT_MAX_S (366 * 86400)

/* There is no proxy to ask: every other party is missing. */
static int
time_is_up_without_proxy(const struct setup *setup, const struct err *err)
{
	const struct session *s = setup->session;

	fprintf(stderr, "mpcproxy: %s\n", err->text);
	for (size_t i = 0; i < s->n_parties; i++) {
		if (i != setup->index)
			fprintf(stderr, "not connected: %s\n", s->parties[i].name);
	}
	return EXIT_TIMEOUT;
}

/* The names of the missing, unless the last of them has come in this moment. */
static int
time_is_up(const struct setup *setup)
{
	static const struct request missing = {.verb = REQUEST_MISSING};

	return ask_proxy(setup, &missing) == EXIT_DONE ? EXIT_DONE : EXIT_TIMEOUT;
}

static int
wait_on(int fd, const struct setup *setup, uint64_t deadline_ns)
{
	static const struct request wait = {.verb = REQUEST_WAIT};
	struct err err;
	int code = client_ask(fd, &wait, deadline_ns, &err);

	close(fd);
	if (code == CLIENT_ASK_LATE)
		return time_is_up(setup);
	if (code == CLIENT_ASK_FAILED) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	return code;
}

static void
sleep_until(uint64_t when_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(when_ns / NS_PER_S),
			      .tv_nsec = (long)(when_ns % NS_PER_S)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* A session that is yet to be made, by `mpcproxy invite` or `join` in another terminal. */
static int
wait_for_session(const struct setup_options *o, uint64_t deadline_ns)
{
	bool said = false;

	while (setup_is_absent(o)) {
		uint64_t next_ns = clock_now_ns() + LOOK_AGAIN_NS;

		if (clock_now_ns() >= deadline_ns) {
			fprintf(stderr,
				"mpcproxy: there is no session %s yet: `mpcproxy invite %s` "
				"makes it, or `mpcproxy join` with a ticket for it; "
				"`mpcproxy sessions` lists those there are\n",
				o->session, o->session);
			return EXIT_TIMEOUT;
		}
		if (!said)
			fprintf(stderr, "mpcproxy: waiting for session %s to be made\n",
				o->session);
		said = true;
		sleep_until(clock_earlier(next_ns, deadline_ns));
	}
	return EXIT_DONE;
}

static int
wait_for_all(const struct setup *setup, uint64_t deadline_ns)
{
	bool said = false;

	for (;;) {
		uint64_t next_ns = clock_now_ns() + LOOK_AGAIN_NS;
		struct err err;
		int fd;

		switch (client_connect(setup->session, setup->index, &fd, &err)) {
		case CLIENT_FOUND:
			return wait_on(fd, setup, deadline_ns);
		case CLIENT_ABSENT:
			break;
		default:
			fprintf(stderr, "mpcproxy: %s\n", err.text);
			return EXIT_FAILED;
		}
		if (clock_now_ns() >= deadline_ns)
			return time_is_up_without_proxy(setup, &err);
		if (!said)
			fprintf(stderr,
				"mpcproxy: waiting for the proxy of session %s "
				"party %s to start\n",
				setup->session->name,
				setup->session->parties[setup->index].name);
		said = true;
		sleep_until(clock_earlier(next_ns, deadline_ns));
	}
}

int
cmd_wait(int argc, char **argv)
{
	struct setup_options o = {0};
	const char *timeout_text = NULL;
	const struct option_spec options[] = {
	    {'t', "timeout", "S", "give up after S seconds (else never)", &timeout_text,
	     NULL, false},
	};
	const struct verb_usage usage = {
	    .verb = "wait",
	    .operands = "",
	    .help =
		"Return when every party is connected, also if the proxy is yet to "
		"start, or a\nsession of that name to be made. When the time is up first, "
		"name the missing and\nexit with 3.",
	    .setup = &o,
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	uint64_t deadline_ns = CLOCK_NEVER, timeout_s;
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (timeout_text != NULL) {
		if (number_parse(&timeout_s, timeout_text, 0, TIMEOUT_MAX_S) != 0)
			return options_bad("wait", "--timeout wants whole seconds, at "
						   "most a year of them");
		deadline_ns = clock_now_ns() + timeout_s * NS_PER_S;
	}
	rc = wait_for_session(&o, deadline_ns);
	if (rc != EXIT_DONE)
		return rc;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	rc = wait_for_all(&setup, deadline_ns);
	setup_free(&setup);
	return rc;
}
