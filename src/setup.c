#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "setup.h"

char *
setup_identity_path(const char *given, struct err *err)
{
	char *path;

	path = given != NULL ? strdup(given) : identity_default_path("identity.pem");
	if (path == NULL)
		err_set(err, "neither HOME nor XDG_CONFIG_HOME is set: name the "
			     "identity's file");
	return path;
}

static struct identity *
load_identity(const char *given, struct err *err)
{
	char *path = setup_identity_path(given, err);
	struct identity *id = path != NULL ? identity_load(path, err) : NULL;

	free(path);
	return id;
}

int
setup_load(struct setup *setup, const struct setup_options *o, struct err *err)
{
	struct err why;
	int index;

	if (o->verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	memset(setup, 0, sizeof *setup);
	setup->options = *o;
	setup->session = session_load(o->session, err);
	if (setup->session == NULL)
		goto fail;
	setup->local = local_load(o->local, setup->session, err);
	if (setup->local == NULL)
		goto fail;
	if (o->base_port != NULL &&
	    local_set_base_port(setup->local, o->base_port, setup->session->n_parties,
				&why) != 0) {
		err_set(err, "-b: %s", why.text);
		goto fail;
	}
	setup->identity =
	    load_identity(o->identity != NULL ? o->identity : setup->local->identity,
			  err);
	if (setup->identity == NULL)
		goto fail;
	index = session_own_index(setup->session, setup->identity, err);
	if (index < 0)
		goto fail;
	setup->index = (size_t)index;
	if (o->no_fast_path)
		setup->local->fast_path = false;
	if (local_check_ports(setup->local, setup->session, setup->index, err) != 0)
		goto fail;
	return 0;

fail:
	setup_free(setup);
	return -1;
}

void
setup_free(struct setup *setup)
{
	session_free(setup->session);
	local_free(setup->local);
	identity_free(setup->identity);
	memset(setup, 0, sizeof *setup);
}
