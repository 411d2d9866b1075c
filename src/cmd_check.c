#include <stdio.h>

#include "options.h"
#include "rendezvous/rendezvous.h"
#include "setup.h"
#include "verbs.h"

/* Longer than every URL, with its scheme, port and transport. */
#define URL_TEXT_BYTES (URL_PATH_MAX + 64)

static void
print_servers(const char *what, const struct url *servers, size_t n)
{
	char text[URL_TEXT_BYTES];

	for (size_t i = 0; i < n; i++)
		printf("  %-11s %s\n", what,
		       url_format_public(&servers[i], text, sizeof text));
}

static void
print_expose(const struct expose *e, const struct session *s)
{
	char target[TARGET_TEXT_BYTES];

	printf("  %-11s %s%s", "expose", e->first.host[0] == '\0' ? "localhost:" : "",
	       target_format(&e->first, target));
	if (e->last != e->first.port)
		printf("-%u", e->last);
	printf("%s for %s%s\n", e->udp ? "/udp" : "",
	       e->for_all ? "all" : s->parties[e->party].name,
	       e->first.host[0] != '\0' && !target_is_unix(&e->first) ? ", unsafe" : "");
}

static void
print_summary(const struct setup *setup)
{
	const struct session *s = setup->session;
	const struct local *l = setup->local;
	char addr[ADDR_TEXT_BYTES], at[ENDPOINT_TEXT_BYTES], target[TARGET_TEXT_BYTES];

	printf("session %s: %zu parties, you are %s (index %zu)\n", s->name, s->n_parties,
	       s->parties[setup->index].name, setup->index);
	for (size_t i = 0; i < s->n_parties; i++)
		printf("  %-11s localhost:%zu%s\n", s->parties[i].name, l->base_port + i,
		       i == setup->index ? ", where your MPyC listens" : "");
	print_servers("rendezvous", s->rendezvous, s->n_rendezvous);
	if (s->n_rendezvous == 0)
		printf("  %-11s none: meet by hand, with mpcproxy offer and accept\n",
		       "rendezvous");
	print_servers("stun", s->stun, s->n_stun);
	print_servers("turn", s->turn, s->n_turn);
	if (s->n_turn > 0 && l->turn_user == NULL && l->turn_secret == NULL)
		printf("  %-11s not used here: local.ini has no turn-user or "
		       "turn-secret\n", "");
	if (l->listen.sa.sa_family != AF_UNSPEC)
		printf("  %-11s %s\n", "listen", addr_format(&l->listen, addr));
	if (endpoint_is_set(&l->socks5))
		printf("  %-11s %s%s\n", "socks5", endpoint_format(&l->socks5, at),
		       l->socks5.everyone ? ", for everyone" : "");
	for (size_t i = 0; i < l->n_expose; i++)
		print_expose(&l->expose[i], s);
	for (size_t i = 0; i < l->n_forward; i++)
		printf("  %-11s %s to %s:%s%s\n", "forward",
		       endpoint_format(&l->forward[i].at, at),
		       s->parties[l->forward[i].party].name,
		       target_format(&l->forward[i].target, target),
		       l->forward[i].at.everyone ? ", for everyone" : "");
}

/* What the files may say and this build cannot do. */
static int
check_build(const struct setup *setup, struct err *err)
{
	const struct session *s = setup->session;
	char text[URL_TEXT_BYTES];
	struct err why;

	for (size_t i = 0; i < s->n_rendezvous; i++)
		if (rendezvous_check(&s->rendezvous[i], &why) != 0)
			return err_set(err, "rendezvous %s: %s",
				       url_format_public(&s->rendezvous[i], text,
							 sizeof text),
				       why.text);
	return 0;
}

int
cmd_check(int argc, char **argv)
{
	struct setup_options o = {0};
	const struct verb_usage usage = {
	    .verb = "check",
	    .operands = "",
	    .help =
		"Read the configuration as a run would and say what is wrong with it.",
	    .setup = &o,
	};
	struct setup setup;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	if (setup_load(&setup, &o, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	print_summary(&setup);
	rc = EXIT_DONE;
	if (check_build(&setup, &err) != 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		rc = EXIT_FAILED;
	}
	setup_free(&setup);
	return rc;
}
