#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "session/ini.h"
#include "session/local.h"
#include "session/local_keys.h"

#define QUOTE_MAX 49 /* of the file's text in a message */

struct parse {
	struct local_keys keys;
	bool local_seen, forward_seen;
	bool in_forward;
};

static int
start_section(struct parse *p, const char *name, struct err *err)
{
	char quoted[QUOTE_MAX + 1];

	if (strcmp(name, "session") == 0 || strncmp(name, "party", 5) == 0)
		return err_set(err,
			       "[%s] is the same at every party: put it into session.ini",
			       log_clean(quoted, sizeof quoted, name, strlen(name)));
	p->in_forward = strcmp(name, "forward") == 0;
	if (p->in_forward) {
		if (p->forward_seen)
			return err_set(err, "[forward] for the second time: put all "
					    "into one");
		p->forward_seen = true;
		return 0;
	}
	if (strcmp(name, "local") != 0)
		return err_set(err,
			       "unknown section [%s]: there are [local] and [forward]",
			       log_clean(quoted, sizeof quoted, name, strlen(name)));
	if (p->local_seen)
		return err_set(err, "[local] for the second time: put all into one");
	p->local_seen = true;
	return 0;
}

static int
take_entry(void *arg, const struct ini_entry *e, struct err *err)
{
	struct parse *p = arg;

	if (e->key == NULL)
		return start_section(p, e->section, err);
	return p->in_forward ? local_take_forward(&p->keys, e, err)
			     : local_keys_take(&p->keys, e, err);
}

static int
check_pairs(const struct local *l, const char *file, struct err *err)
{
	if (l->turn_secret != NULL && (l->turn_user != NULL || l->turn_password != NULL))
		return err_set(err,
			       "%s: turn-secret makes its own user and password: leave "
			       "out turn-user and turn-password, or turn-secret",
			       file);
	if ((l->socks5_user == NULL) != (l->socks5_password == NULL))
		return err_set(err,
			       "%s: socks5-user and socks5-password belong together: add "
			       "%s",
			       file,
			       l->socks5_user == NULL ? "socks5-user"
						      : "socks5-password");
	if ((l->turn_user == NULL) != (l->turn_password == NULL))
		return err_set(err,
			       "%s: turn-user and turn-password belong together: add %s",
			       file,
			       l->turn_user == NULL ? "turn-user" : "turn-password");
	return 0;
}

static struct local *
local_new(const char *file, struct err *err)
{
	struct local *l = calloc(1, sizeof *l);

	if (l != NULL && file != NULL)
		l->file = strdup(file);
	if (l == NULL || (file != NULL && l->file == NULL)) {
		err_set(err, "out of memory");
		local_free(l);
		return NULL;
	}
	l->base_port = LOCAL_BASE_PORT;
	l->mpyc_guard = true;
	l->upnp = true;
	l->fast_path = true;
	l->outage_limit_s = LOCAL_OUTAGE_LIMIT_S;
	return l;
}

struct local *
local_parse(const char *file, const char *text, size_t len, bool secret,
	    const struct session *s, struct err *err)
{
	struct local *l = local_new(file, err);
	struct parse p = {.keys = {.l = l, .s = s, .secret = secret}};

	if (l == NULL)
		return NULL;
	if (ini_parse_text(file, text, len, take_entry, &p, err) != 0 ||
	    check_pairs(l, file, err) != 0) {
		local_free(l);
		return NULL;
	}
	return l;
}

static struct local *
load(const char *path, const struct session *s, struct err *err)
{
	struct ini_text text;
	struct local *l = NULL;

	if (ini_text_read(&text, path, LOCAL_FILE_MAX, err) != 0)
		return NULL;
	if (text.writable)
		err_set(err,
			"%s can be written by everybody, who could then expose this "
			"machine's ports: `chmod 600 %s`",
			path, path);
	else
		l = local_parse(path, text.data, text.len, text.secret, s, err);
	ini_text_free(&text);
	return l;
}

static void
use_environment(struct local *l)
{
	struct web_proxy *p;
	struct err err;
	int r;

	if (l->proxy != NULL || l->no_proxy)
		return;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return;
	r = web_proxy_from_environment(p, &err);
	if (r == 1) {
		l->proxy = p;
		return;
	}
	if (r < 0)
		log_warn("%s; it is not used", err.text);
	OPENSSL_cleanse(p, sizeof *p);
	free(p);
}

struct local *
local_load(const char *path, const struct session *s, struct err *err)
{
	struct local *l;
	char *found;

	found = path != NULL ? strdup(path) : identity_default_path("local.ini");
	if (path == NULL &&
	    (found == NULL || (access(found, F_OK) != 0 && errno == ENOENT)))
		l = local_new(NULL, err);
	else if (found == NULL)
		l = (err_set(err, "out of memory"), NULL);
	else
		l = load(found, s, err);
	free(found);
	if (l != NULL)
		use_environment(l);
	return l;
}

static void
free_secret(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

void
local_free(struct local *l)
{
	if (l == NULL)
		return;
	free(l->file);
	free(l->identity);
	free(l->turn_user);
	free_secret(l->turn_password);
	free_secret(l->turn_secret);
	free(l->socks5_user);
	free_secret(l->socks5_password);
	free(l->turn_ca);
	free(l->mqtt_ca);
	OPENSSL_cleanse(l->login, sizeof l->login);
	if (l->proxy != NULL)
		OPENSSL_cleanse(l->proxy, sizeof *l->proxy);
	free(l->proxy);
	free(l);
}

const struct mqtt_login *
local_login(const struct local *l, const struct url *broker)
{
	for (size_t i = 0; i < l->n_login; i++) {
		const struct mqtt_login *login = &l->login[i];

		if (login->scheme == broker->scheme && login->port == broker->port &&
		    strcasecmp(login->host, broker->host) == 0)
			return login;
	}
	return NULL;
}

int
local_set_base_port(struct local *l, const char *text, size_t n_parties, struct err *err)
{
	uint16_t port;

	if (port_parse(&port, text) != 0)
		return err_set(err, "expected a port from 1 to 65535");
	if (port + n_parties - 1 > 65535)
		return err_set(err,
			       "%u is too high: %zu parties need the ports up to %zu, "
			       "and 65535 is the last",
			       port, n_parties, port + n_parties - 1);
	l->base_port = port;
	l->has_base_port = true;
	return 0;
}

/* Where something listens, in words. */
struct use {
	struct endpoint at;
	char what[32];
};

static size_t
list_uses(const struct local *l, struct use *uses)
{
	size_t n = 0;

	if (l->listen.sa.sa_family != AF_UNSPEC)
		uses[n++] = (struct use){{.addr = l->listen}, "listen"};
	if (endpoint_is_set(&l->socks5))
		uses[n++] = (struct use){l->socks5, "socks5"};
	for (size_t i = 0; i < l->n_forward; i++) {
		uses[n].at = l->forward[i].at;
		snprintf(uses[n].what, sizeof uses[n].what, "forward (line %u)",
			 l->forward[i].line);
		n++;
	}
	return n;
}

/* Whether two endpoints get in each other's way: addresses may overlap, so of two of one
 * family the ports decide. */
static bool
collide(const struct endpoint *a, const struct endpoint *b)
{
	if (a->path[0] != '\0' || b->path[0] != '\0')
		return strcmp(a->path, b->path) == 0;
	return addr_port(&a->addr) == addr_port(&b->addr);
}

int
local_check_ports(const struct local *l, const struct session *s, size_t own,
		  struct err *err)
{
	const char *file = l->file != NULL ? l->file : "local.ini";
	struct use uses[LOCAL_FORWARD_MAX + 2];
	size_t n = list_uses(l, uses);
	char text[ENDPOINT_TEXT_BYTES];

	for (size_t i = 0; i < n; i++) {
		uint16_t port = uses[i].at.path[0] == '\0' ? addr_port(&uses[i].at.addr) : 0;
		size_t party = (size_t)port - l->base_port;

		if (port >= l->base_port && party < s->n_parties)
			return err_set(err,
				       "%s: %s has port %u, which is base-port's (%u) "
				       "for party %s: choose another",
				       file, uses[i].what, port, l->base_port,
				       s->parties[party].name);
		for (size_t j = 0; j < i; j++) {
			if (!collide(&uses[i].at, &uses[j].at))
				continue;
			if (port != 0)
				return err_set(err,
					       "%s: %s and %s have the same port %u: "
					       "choose another for one of them",
					       file, uses[j].what, uses[i].what, port);
			return err_set(err,
				       "%s: %s and %s are both %s: choose another for "
				       "one of them",
				       file, uses[j].what, uses[i].what,
				       endpoint_format(&uses[i].at, text));
		}
	}
	for (size_t i = 0; i < l->n_forward; i++) {
		if (l->forward[i].party == own)
			return err_set(err,
				       "%s:%u: forward to %s, which is this party itself",
				       file, l->forward[i].line, s->parties[own].name);
	}
	return 0;
}
