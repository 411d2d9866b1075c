#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/descriptors.h"
#include "base/log.h"
#include "options.h"
#include "rendezvous/mailbox.h"
#include "session/url.h"
#include "verbs.h"

static int
fail(const struct err *err)
{
	fprintf(stderr, "mpcproxy: %s\n", err->text);
	return EXIT_FAILED;
}

/* "HOST:PORT" as in a URL, and port 0 besides: any that is free. */
static int
parse_listen(char host[URL_HOST_MAX + 1], uint16_t *port, const char *text,
	     struct err *err)
{
	size_t len = strlen(text);
	char *without;
	int ret;

	if (len < 2 || strcmp(text + len - 2, ":0") != 0)
		return host_port_parse(host, port, text, 0, err);
	without = strndup(text, len - 2);
	if (without == NULL)
		return err_sys(err, "cannot read the address");
	ret = host_port_parse(host, port, without, 1, err);
	free(without);
	*port = 0;
	return ret;
}

/* Before anything runs there is no loop to block: names are looked up at once. */
static int
find_addr(union addr *addr, const char *host, uint16_t port, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int e;

	if (addr_parse(addr, host, port) == 0)
		return 0;
	e = getaddrinfo(host, NULL, &hints, &list);
	if (e != 0)
		return err_set(err, "cannot find an address of %s: %s", host,
			       gai_strerror(e));
	e = addr_from_sockaddr(addr, list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (e != 0)
		return err_set(err, "%s has no IPv4 or IPv6 address", host);
	addr_set_port(addr, port);
	return 0;
}

/* The key in ${path} or the default file, made when there is none. */
static struct identity *
get_identity(const char *path, struct err *err)
{
	char *def = path == NULL ? identity_default_path("rendezvous.pem") : NULL;
	const char *file = path != NULL ? path : def;
	struct identity *id = NULL;

	if (file == NULL)
		err_set(err,
			"neither XDG_CONFIG_HOME nor HOME says where the mailbox's key "
			"belongs: give a file with -i");
	else if (access(file, F_OK) == 0 || identity_generate(file, err) == 0)
		id = identity_load(file, err);
	free(def);
	return id;
}

static bool
is_wildcard(const union addr *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == htonl(INADDR_ANY)
					  : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* The line for session.ini, alone on stdout. */
static void
print_url(const struct mailbox *m, const struct identity *id, const char *host)
{
	struct url url = {
	    .scheme = URL_TLS,
	    .port = addr_port(mailbox_addr(m)),
	    .key = *identity_pubkey(id),
	};
	char text[URL_HOST_MAX + 128];
	bool guess = is_wildcard(mailbox_addr(m));

	if (!guess || gethostname(url.host, sizeof url.host) != 0)
		snprintf(url.host, sizeof url.host, "%s", host);
	url.host[URL_HOST_MAX] = '\0';
	printf("%s\n", url_format(&url, text, sizeof text));
	fflush(stdout);
	if (guess)
		fprintf(stderr,
			"mpcproxy: %s is this machine's own name for itself: in "
			"session.ini put the name or address by which the parties reach "
			"it\n",
			url.host);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	event_base_loopbreak(arg);
}

static int
serve(const union addr *addr, const char *host, const struct identity *id)
{
	struct event_base *base = event_base_new();
	struct event *term, *intr;
	struct mailbox *m = NULL;
	int ret = EXIT_FAILED;
	struct err err;

	if (base == NULL) {
		err_set(&err, "out of memory");
		return fail(&err);
	}
	term = evsignal_new(base, SIGTERM, on_signal, base);
	intr = evsignal_new(base, SIGINT, on_signal, base);
	if (term == NULL || intr == NULL || event_add(term, NULL) != 0 ||
	    event_add(intr, NULL) != 0) {
		err_set(&err, "cannot handle signals");
		fail(&err);
		goto out;
	}
	m = mailbox_new(base, addr, id, NULL, &err);
	if (m == NULL) {
		fail(&err);
		goto out;
	}
	print_url(m, id, host);
	event_base_dispatch(base);
	ret = EXIT_DONE;

out:
	mailbox_free(m);
	if (intr != NULL)
		event_free(intr);
	if (term != NULL)
		event_free(term);
	event_base_free(base);
	return ret;
}

int
cmd_rendezvous(int argc, char **argv)
{
	const char *listen = NULL, *file = NULL;
	bool verbose = false;
	const struct option_spec options[] = {
	    {'l', "listen", "HOST:PORT", "where to listen; port 0: any", &listen, NULL,
	     true},
	    {'i', "identity", "FILE", "the mailbox's key; made on first use", &file, NULL,
	     false},
	    {'v', "verbose", NULL, "log details", NULL, &verbose, false},
	};
	const struct verb_usage usage = {
	    .verb = "rendezvous",
	    .operands = "",
	    .help = "Serve a mailbox in which parties leave each other sealed messages.",
	    .options = options,
	    .n_options = sizeof options / sizeof options[0],
	};
	char host[URL_HOST_MAX + 1];
	struct identity *id;
	union addr addr;
	uint16_t port;
	struct err err;
	int ret;

	ret = options_parse(&usage, argc, argv);
	if (ret != OPTIONS_GO_ON)
		return ret;
	if (parse_listen(host, &port, listen, &err) != 0)
		return options_bad("rendezvous", "-l %s: %s", listen, err.text);
	if (verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	descriptors_raise(); /* one connection is one descriptor */
	if (find_addr(&addr, host, port, &err) != 0)
		return fail(&err);
	id = get_identity(file, &err);
	if (id == NULL)
		return fail(&err);
	ret = serve(&addr, host, id);
	identity_free(id);
	return ret;
}
