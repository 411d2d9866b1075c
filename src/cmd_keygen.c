#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "setup.h"
#include "session/identity.h"
#include "verbs.h"

int
cmd_keygen(int argc, char **argv)
{
	static const struct verb_usage usage = {
	    .verb = "keygen",
	    .operands = "[FILE]",
	    .max_operands = 1,
	    .help = "Make this party's identity, a P-256 key pair, and print the public "
		    "key for\nsession.ini. FILE is ~/.config/mpcproxy/identity.pem if "
		    "not given; an existing\none is never overwritten.",
	};
	char key[PUBKEY_TEXT_BYTES];
	struct identity *id = NULL;
	char *path;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	path = setup_identity_path(argv[1], &err);
	if (path != NULL && identity_generate(path, &err) == 0)
		id = identity_load(path, &err);
	rc = id != NULL ? EXIT_DONE : EXIT_FAILED;
	if (id != NULL)
		puts(pubkey_format(identity_pubkey(id), key));
	else
		fprintf(stderr, "mpcproxy: %s\n", err.text);
	identity_free(id);
	free(path);
	return rc;
}
