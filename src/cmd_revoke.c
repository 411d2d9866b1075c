#include <stdio.h>
#include <string.h>

#include "adhoc.h"
#include "session/roster.h"
#include "setup.h"
#include "verbs.h"

static int
fail(const struct err *err)
{
	fprintf(stderr, "mpcproxy: %s\n", err->text);
	return EXIT_FAILED;
}

/* Take party ${name} out, as the next version, signed. */
static int
remove_party(const struct setup *setup, const char *name, struct err *err)
{
	struct session *s = setup->session;
	int index = session_find_name(s, name);

	if (s->version == 0)
		return err_set(err,
			       "session %s was written by hand: take [party %s] out of "
			       "the file at every party, and let `mpcproxy reload` apply "
			       "it",
			       s->name, name);
	if (!pubkey_equal(&s->host, identity_pubkey(setup->identity)))
		return err_set(err,
			       "only the host of session %s can revoke a party: that is "
			       "%s",
			       s->name, s->parties[session_find_key(s, &s->host)].name);
	if (index < 0)
		return session_look_up(s, name, err);
	if ((size_t)index == setup->index)
		return err_set(err, "%s is you, the host: `mpcproxy leave %s` removes "
				    "the session here",
			       name, s->name);
	if (s->n_parties == 2)
		return err_set(err,
			       "nobody would be left but you: `mpcproxy leave %s` "
			       "removes the session here",
			       s->name);
	s->n_parties--;
	memmove(&s->parties[index], &s->parties[index + 1],
		(s->n_parties - (size_t)index) * sizeof *s->parties);
	s->version++;
	return roster_sign(s, setup->identity, err);
}

int
cmd_revoke(int argc, char **argv)
{
	struct adhoc_options o = {0};
	const struct option_spec options[] = {
	    {'i', "identity", "FILE", "your private key", &o.identity, NULL, false},
	    {0, "local", "FILE", "local.ini, what concerns this machine", &o.local, NULL,
	     false},
	};
	const struct verb_usage usage = {
	    .verb = "revoke",
	    .operands = "SESSION PARTY",
	    .min_operands = 2,
	    .max_operands = 2,
	    .help = "Take a party out of a session that you host. Every other party's "
		    "proxy closes\nits connections to it as soon as it hears of it.",
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	struct setup setup;
	struct err err;
	size_t index;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	rc = adhoc_load(&setup, argv[1], &o);
	if (rc != EXIT_DONE)
		return rc;
	if (remove_party(&setup, argv[2], &err) != 0 ||
	    store_save(setup.session, setup.path, &err) != 0) {
		rc = fail(&err);
		goto out;
	}
	printf("%s is no party of session %s any more (version %llu).\n", argv[2],
	       setup.session->name, (unsigned long long)setup.session->version);
	index = (size_t)session_find_key(setup.session, identity_pubkey(setup.identity));
	setup.index = index;
	switch (adhoc_reload(&setup)) {
	case 1:
		break;
	case 0:
		adhoc_say("No proxy of it runs here: the others hear of it when it does, "
			  "`mpcproxy -c %s`.",
			  setup.session->name);
		break;
	default:
		rc = EXIT_FAILED;
		break;
	}
out:
	setup_free(&setup);
	return rc;
}
