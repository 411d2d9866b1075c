#include "session/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "session/identity.h"
#include "session/ini.h"
#include "session/local.h"

struct parse {
	struct defaults *d;
	bool no_proxy;
};

static int
take_text(char **text, const char *value, struct err *err)
{
	free(*text);
	*text = strdup(value);
	return *text != NULL ? 0 : err_set(err, "out of memory");
}

/* "~/" is $HOME, as in local.h. */
static int
take_path(char **path, const char *value, struct err *err)
{
	const char *home = getenv("HOME");
	char text[4096];

	if (strncmp(value, "~/", 2) != 0 || home == NULL)
		return take_text(path, value, err);
	snprintf(text, sizeof text, "%s%s", home, value + 1);
	return take_text(path, text, err);
}

static int
take_proxy(struct parse *p, const char *value, struct err *err)
{
	struct defaults *d = p->d;

	if (strcmp(value, "none") == 0) {
		p->no_proxy = true;
		return 0;
	}
	if (d->proxy == NULL)
		d->proxy = calloc(1, sizeof *d->proxy);
	if (d->proxy == NULL)
		return err_set(err, "out of memory");
	return web_proxy_parse(d->proxy, value, err);
}

static int
take_entry(void *arg, const struct ini_entry *e, struct err *err)
{
	struct parse *p = arg;

	if (e->key == NULL)
		return 0;
	if (strcmp(e->key, "identity") == 0)
		return take_path(&p->d->identity, e->value, err);
	if (strcmp(e->key, "base-port") == 0)
		return port_parse(&p->d->base_port, e->value) == 0
			   ? 0
			   : err_set(err, "base-port wants a port from 1 to 65535");
	if (strcmp(e->key, "proxy") == 0)
		return take_proxy(p, e->value, err);
	if (strcmp(e->key, "invite-rendezvous") == 0)
		return take_text(&p->d->rendezvous, e->value, err);
	if (strcmp(e->key, "invite-stun") == 0)
		return take_text(&p->d->stun, e->value, err);
	if (strcmp(e->key, "invite-turn") == 0)
		return take_text(&p->d->turn, e->value, err);
	return 0;
}

static int
read_file(struct parse *p, const char *path, struct err *err)
{
	struct ini_text text;
	int rc;

	if (ini_text_read(&text, path, LOCAL_FILE_MAX, err) != 0)
		return -1;
	rc = ini_parse_text(path, text.data, text.len, take_entry, p, err);
	ini_text_free(&text);
	return rc;
}

int
defaults_load(struct defaults *d, const char *path, struct err *err)
{
	struct parse p = {.d = d};
	char *found = path != NULL ? strdup(path) : identity_default_path("local.ini");
	int rc = 0;

	memset(d, 0, sizeof *d);
	if (found != NULL && (path != NULL || access(found, F_OK) == 0))
		rc = read_file(&p, found, err);
	free(found);
	if (rc == 0 && d->proxy == NULL && !p.no_proxy) {
		d->proxy = calloc(1, sizeof *d->proxy);
		if (d->proxy != NULL && web_proxy_from_environment(d->proxy, NULL) != 1) {
			free(d->proxy);
			d->proxy = NULL;
		}
	}
	if (rc != 0)
		defaults_free(d);
	return rc;
}

void
defaults_free(struct defaults *d)
{
	free(d->identity);
	free(d->rendezvous);
	free(d->stun);
	free(d->turn);
	free(d->proxy);
	memset(d, 0, sizeof *d);
}
