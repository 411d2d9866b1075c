#include "adhoc.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "base/log.h"
#include "serve.h"
#include "session/roster.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

/* Below the ports that the kernel gives out by itself. */
#define PORT_LIMIT 32000
/* Free beyond the parties of today: some may be added. */
#define PORTS_SPARE 4

void
adhoc_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

struct identity *
adhoc_identity(const struct adhoc_options *o, const struct store_state *state,
	       const struct defaults *d, struct err *err)
{
	const char *given = o->identity;
	struct identity *id = NULL;
	char *path;

	if (given == NULL && state != NULL)
		given = state->identity;
	if (given == NULL)
		given = d->identity;
	path = setup_identity_path(given, err);
	if (path == NULL)
		return NULL;
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		if (identity_generate(path, err) != 0)
			goto out;
		adhoc_say("Your identity is new: %s.", path);
	}
	id = identity_load(path, err);
out:
	free(path);
	return id;
}

int
adhoc_name(char out[SESSION_NAME_MAX + 1], const char *as, struct err *err)
{
	const struct passwd *pw;
	char name[SESSION_NAME_MAX + 1];
	const char *user;
	size_t n = 0;

	if (as != NULL) {
		if (session_name_parse(out, as, err) != 0)
			return -1;
		return strcmp(as, "all") != 0
			   ? 0
			   : err_set(err, "no party can be called `all`: it means every "
					  "party");
	}
	user = getenv("USER");
	if (user == NULL || user[0] == '\0') {
		pw = getpwuid(getuid());
		user = pw != NULL ? pw->pw_name : "";
	}
	for (const char *p = user; *p != '\0' && n < SESSION_NAME_MAX; p++) {
		unsigned char c = (unsigned char)tolower((unsigned char)*p);

		if (c < 0x80 && (isalnum(c) || c == '-'))
			name[n++] = (char)c;
	}
	name[n] = '\0';
	if (n == 0 || strcmp(name, "all") == 0)
		return err_set(err, "say with --as NAME what the others are to call you");
	return session_name_parse(out, name, err);
}

/* Listening sockets on the ports that were chosen, so that another party of this machine,
 * which chooses in the same moment, chooses others. */
static struct {
	int fd[ROSTER_PARTIES_MAX + PORTS_SPARE];
	size_t n;
} held;

void
adhoc_release_ports(void)
{
	while (held.n > 0)
		close(held.fd[--held.n]);
}

static int
hold(uint16_t port)
{
	const struct sockaddr_in at = {
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0) {
		close(fd);
		return -1;
	}
	held.fd[held.n++] = fd;
	return 0;
}

int
adhoc_base_port(uint16_t *port, const struct adhoc_options *o, const struct defaults *d,
		size_t n, size_t index, struct err *err)
{
	size_t want = n + PORTS_SPARE;
	size_t at = (d->base_port != 0 ? d->base_port : LOCAL_BASE_PORT) + index * want;

	if (o->base_port != NULL) {
		if (port_parse(port, o->base_port) != 0 || *port + n - 1 > UINT16_MAX)
			return err_set(err, "-b wants a port with %zu more above it",
				       n - 1);
		return 0;
	}
	for (; at < PORT_LIMIT; at++) {
		if (hold((uint16_t)at) != 0)
			adhoc_release_ports();
		else if (held.n == want) {
			*port = (uint16_t)(at - want + 1);
			return 0;
		}
	}
	adhoc_release_ports();
	return err_set(err, "no %zu free ports in a row: name them with -b", want);
}

void
adhoc_say_roster(const struct session *s, const struct identity *self)
{
	fprintf(stderr, "\n  session %s:", s->name);
	for (size_t i = 0; i < s->n_parties; i++)
		fprintf(stderr, "%s %s%s", i > 0 ? "," : "", s->parties[i].name,
			pubkey_equal(&s->parties[i].key, identity_pubkey(self))
			    ? " (you)"
			    : "");
	fputs("\n", stderr);
}

void
adhoc_say_words(const char *words)
{
	fprintf(stderr, "\n      %s\n\n", words);
}

int
adhoc_run(const char *path, const struct adhoc_options *o)
{
	const struct setup_options options = {
	    .session = path,
	    .local = o->local,
	    .identity = o->identity,
	    .base_port = o->base_port,
	    .verbose = o->verbose,
	};
	struct setup setup;
	struct err err;
	int rc;

	if (setup_load(&setup, &options, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	adhoc_release_ports();
	rc = serve(&setup, NULL, NULL);
	setup_free(&setup);
	return rc;
}

int
adhoc_load(struct setup *setup, const char *name, const struct adhoc_options *o)
{
	const struct setup_options options = {
	    .session = name,
	    .local = o->local,
	    .identity = o->identity,
	    .base_port = o->base_port,
	    .verbose = o->verbose,
	};
	struct err err;

	if (setup_load(setup, &options, &err) == 0)
		return EXIT_DONE;
	fprintf(stderr, "mpcproxy: %s\n", err.text);
	return EXIT_FAILED;
}

int
adhoc_reload(const struct setup *setup)
{
	const struct request reload = {.verb = REQUEST_RELOAD};
	struct err err;
	int fd;

	switch (client_connect(setup->session, setup->index, &fd, &err)) {
	case CLIENT_FOUND:
		return ask_connected(fd, &reload) == EXIT_DONE ? 1 : -1;
	case CLIENT_ABSENT:
		return 0;
	default:
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return -1;
	}
}

int
adhoc_signals(struct adhoc_signals *s, struct event_base *base, event_callback_fn on,
	      void *arg)
{
	static const int numbers[ADHOC_SIGNALS_N] = {SIGINT, SIGTERM, SIGHUP};

	memset(s, 0, sizeof *s);
	for (size_t i = 0; i < ADHOC_SIGNALS_N; i++) {
		s->event[i] = evsignal_new(base, numbers[i], on, arg);
		if (s->event[i] == NULL || event_add(s->event[i], NULL) != 0)
			return -1;
	}
	return 0;
}

void
adhoc_signals_free(struct adhoc_signals *s)
{
	for (size_t i = 0; i < ADHOC_SIGNALS_N; i++)
		if (s->event[i] != NULL)
			event_free(s->event[i]);
	memset(s, 0, sizeof *s);
}
