#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What is remembered of a session that was made by invitation. What the command line says
 * goes first, and a mailbox of local.ini's. */
static int
apply_state(struct setup *setup, const struct setup_options *o, struct err *err)
{
	const struct store_state *state = &setup->state;

	if (o->base_port == NULL && state->base_port != 0)
		setup->local->base_port = state->base_port;
	if (setup->local->listen.sa.sa_family == AF_UNSPEC)
		setup->local->listen = state->listen;
	if (setup->local->base_port + setup->session->n_parties - 1 > UINT16_MAX)
		return err_set(err, "base-port %u is too high for %zu parties: give "
				    "another with -b",
			       setup->local->base_port, setup->session->n_parties);
	return 0;
}

static const char *
identity_given(const struct setup *setup, const struct setup_options *o)
{
	if (o->identity != NULL)
		return o->identity;
	return setup->state.identity != NULL ? setup->state.identity
					     : setup->local->identity;
}

bool
setup_is_absent(const struct setup_options *o)
{
	char *path = store_is_name(o->session) ? store_resolve(o->session) : NULL;
	bool absent = path != NULL && access(path, F_OK) != 0 && errno == ENOENT;

	free(path);
	return absent;
}

/* ${path} is what was made of what the user gave. */
static struct session *
load_session(const char *path, const struct setup_options *o, struct err *err)
{
	if (setup_is_absent(o)) {
		err_set(err,
			"there is no session %s, and no file of that name here: "
			"`mpcproxy sessions` lists those that were made by invitation",
			o->session);
		return NULL;
	}
	return session_load(path, err);
}

int
setup_load(struct setup *setup, const struct setup_options *o, struct err *err)
{
	return setup_load_with(setup, o, NULL, err);
}

int
setup_load_with(struct setup *setup, const struct setup_options *o, struct session *s,
		struct err *err)
{
	struct err why;
	int index;

	if (o->verbose)
		log_set_level(LOG_LEVEL_DEBUG);
	memset(setup, 0, sizeof *setup);
	setup->options = *o;
	setup->session = s;
	setup->path = store_resolve(o->session);
	if (setup->path == NULL) {
		err_set(err, "out of memory");
		goto fail;
	}
	if (setup->session == NULL)
		setup->session = load_session(setup->path, o, err);
	if (setup->session == NULL)
		goto fail;
	if (setup->session->version != 0 &&
	    store_state_load(&setup->state, setup->path, err) != 0)
		goto fail;
	setup->local = local_load(o->local, setup->session, err);
	if (setup->local == NULL)
		goto fail;
	if (apply_state(setup, o, err) != 0)
		goto fail;
	if (o->base_port != NULL &&
	    local_set_base_port(setup->local, o->base_port, setup->session->n_parties,
				&why) != 0) {
		err_set(err, "-b: %s", why.text);
		goto fail;
	}
	setup->identity =
	    load_identity(identity_given(setup, o), err);
	if (setup->identity == NULL)
		goto fail;
	index = session_own_index(setup->session, setup->identity, err);
	if (index < 0)
		goto fail;
	setup->index = (size_t)index;
	if (o->socks5 != NULL && endpoint_parse(&setup->local->socks5, o->socks5, &why) != 0) {
		err_set(err, "--socks5: %s", why.text);
		goto fail;
	}
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
	store_state_free(&setup->state);
	free(setup->path);
	memset(setup, 0, sizeof *setup);
}
