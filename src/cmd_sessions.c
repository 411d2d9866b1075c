#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adhoc.h"
#include "join/words.h"
#include "session/roster.h"
#include "setup.h"
#include "verbs.h"
#include "watch/client.h"

static const char *
state_of(const struct setup *setup)
{
	struct err err;
	int fd;

	if (client_connect(setup->session, setup->index, &fd, &err) != CLIENT_FOUND)
		return "not running";
	close(fd);
	return "running";
}

static void
print_session(const struct setup *setup)
{
	const struct session *s = setup->session;
	char words[WORDS_TEXT_MAX];
	uint8_t data[ROSTER_MAX], hash[JOIN_HASH_BYTES];
	int host = session_find_key(s, &s->host);
	int len;

	printf("%s: version %llu, %zu parties, %s\n", s->name,
	       (unsigned long long)s->version, s->n_parties, state_of(setup));
	for (size_t i = 0; i < s->n_parties; i++)
		printf("  %zu %s%s%s\n", i, s->parties[i].name,
		       (int)i == host ? " (host)" : "",
		       i == setup->index ? " (you)" : "");
	len = roster_encode(s, data, NULL);
	if (len > 0 && words_roster(hash, data, (size_t)len) == 0 &&
	    words_of_roster(words, hash) == 0)
		printf("  the same at every party: %s\n", words);
	printf("  %s\n", setup->path);
}

int
cmd_sessions(int argc, char **argv)
{
	static const struct verb_usage usage = {
	    .verb = "sessions",
	    .operands = "",
	    .help = "List the sessions that were made by invitation, their parties, and "
		    "eight words\nthat stand for each: they are the same wherever the "
		    "session is.",
	};
	int rc = options_parse(&usage, argc, argv);
	char **names;
	size_t n;

	if (rc != OPTIONS_GO_ON)
		return rc;
	names = store_list(&n);
	rc = EXIT_DONE;
	if (n == 0)
		fprintf(stderr, "mpcproxy: there are none: `mpcproxy invite` makes one, "
				"`mpcproxy join` joins one\n");
	for (size_t i = 0; i < n; i++) {
		const struct setup_options o = {.session = names[i]};
		struct setup setup;
		struct err err;

		if (setup_load(&setup, &o, &err) == 0) {
			print_session(&setup);
			setup_free(&setup);
		} else {
			fprintf(stderr, "mpcproxy: %s: %s\n", names[i], err.text);
			rc = EXIT_FAILED;
		}
		free(names[i]);
	}
	free(names);
	return rc;
}
