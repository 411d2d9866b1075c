#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "setup.h"
#include "session/identity.h"
#include "verbs.h"

int
cmd_id(int argc, char **argv)
{
	bool did = false;
	const struct option_spec options[] = {
	    {0, "did", NULL, "as a did:key", NULL, &did, false},
	};
	const struct verb_usage usage = {
	    .verb = "id",
	    .operands = "[FILE]",
	    .max_operands = 1,
	    .help = "Print the public key of the identity in FILE, "
		    "~/.config/mpcproxy/identity.pem if\nnot given.",
	    .options = options,
	    .n_options = sizeof options / sizeof *options,
	};
	char key[PUBKEY_TEXT_BYTES], did_key[PUBKEY_DID_BYTES];
	struct identity *id = NULL;
	char *path;
	struct err err;
	int rc = options_parse(&usage, argc, argv);

	if (rc != OPTIONS_GO_ON)
		return rc;
	path = setup_identity_path(argv[1], &err);
	if (path != NULL)
		id = identity_load(path, &err);
	rc = id != NULL ? EXIT_DONE : EXIT_FAILED;
	if (id != NULL)
		puts(did ? pubkey_format_did(identity_pubkey(id), did_key)
			 : pubkey_format(identity_pubkey(id), key));
	else
		fprintf(stderr, "mpcproxy: %s\n", err.text);
	identity_free(id);
	free(path);
	return rc;
}
