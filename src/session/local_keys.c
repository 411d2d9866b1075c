#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/nearest.h"
#include "session/local_keys.h"

#define N(array)  (sizeof(array) / sizeof *(array))
#define QUOTE_MAX 49 /* of the file's text in a message */

/* Longer than any line that inih takes. */
#define VALUE_MAX 1024

static int
set_text(char **to, const char *value, struct err *err)
{
	*to = strdup(value);
	return *to != NULL ? 0 : err_set(err, "out of memory");
}

static int
set_secret(struct local_keys *p, char **to, const char *value, struct err *err)
{
	if (!p->secret)
		return err_set(err, "this file holds a secret that others can read: "
				    "`chmod 600` it");
	return set_text(to, value, err);
}

static int
set_bool(bool *to, const char *value, struct err *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return err_set(err, "expected yes or no");
	*to = strcmp(value, "yes") == 0;
	return 0;
}

static int
set_addr(union addr *to, const char *value, struct err *err)
{
	char host[URL_HOST_MAX + 1];
	uint16_t port;

	if (host_port_parse(host, &port, value, 0, err) != 0)
		return -1;
	if (addr_parse(to, host, port) != 0)
		return err_set(err,
			       "expected an address and a port, as in 127.0.0.1:1080");
	return 0;
}

/* The name of a file. */
static int
set_path(char **to, const char *value, struct err *err)
{
	const char *home = getenv("HOME");
	size_t size;

	if (value[0] != '~')
		return set_text(to, value, err);
	if (value[1] != '/' || home == NULL || home[0] == '\0')
		return err_set(err,
			       "`~` stands for $HOME only as `~/`, and HOME must be set");
	size = strlen(home) + strlen(value);
	*to = malloc(size);
	if (*to == NULL)
		return err_set(err, "out of memory");
	snprintf(*to, size, "%s%s", home, value + 1);
	return 0;
}

static int
set_identity(struct local_keys *p, const char *value, struct err *err)
{
	return set_path(&p->l->identity, value, err);
}

static int
set_base_port(struct local_keys *p, const char *value, struct err *err)
{
	return local_set_base_port(p->l, value, p->s->n_parties, err);
}

static int
set_listen(struct local_keys *p, const char *value, struct err *err)
{
	return set_addr(&p->l->listen, value, err);
}

static int
set_socks5(struct local_keys *p, const char *value, struct err *err)
{
	return endpoint_parse(&p->l->socks5, value, err);
}

static int
set_socks5_user(struct local_keys *p, const char *value, struct err *err)
{
	if (strlen(value) > LOCAL_SOCKS_AUTH_MAX)
		return err_set(err, "longer than %d bytes", LOCAL_SOCKS_AUTH_MAX);
	return set_text(&p->l->socks5_user, value, err);
}

static int
set_socks5_password(struct local_keys *p, const char *value, struct err *err)
{
	if (strlen(value) > LOCAL_SOCKS_AUTH_MAX)
		return err_set(err, "longer than %d bytes", LOCAL_SOCKS_AUTH_MAX);
	return set_secret(p, &p->l->socks5_password, value, err);
}

static int
set_mpyc_guard(struct local_keys *p, const char *value, struct err *err)
{
	return set_bool(&p->l->mpyc_guard, value, err);
}

static int
set_upnp(struct local_keys *p, const char *value, struct err *err)
{
	return set_bool(&p->l->upnp, value, err);
}

static int
set_fast_path(struct local_keys *p, const char *value, struct err *err)
{
	return set_bool(&p->l->fast_path, value, err);
}

/* A number and its unit: 90s, 30m, 2h. */
static int
set_outage_limit(struct local_keys *p, const char *value, struct err *err)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
	size_t digits = strspn(value, "0123456789");
	unsigned long long n = strtoull(value, NULL, 10);

	for (size_t i = 0; i < N(units) && digits > 0 && digits < 10; i++) {
		if (value[digits] != units[i].unit || value[digits + 1] != '\0')
			continue;
		n *= units[i].seconds;
		if (n < LOCAL_OUTAGE_LIMIT_MIN || n > LOCAL_OUTAGE_LIMIT_MAX)
			return err_set(err, "out of range: from %ds to %dh",
				       LOCAL_OUTAGE_LIMIT_MIN,
				       LOCAL_OUTAGE_LIMIT_MAX / 3600);
		p->l->outage_limit_s = (unsigned)n;
		return 0;
	}
	return err_set(err, "expected a time with its unit, as in 90s, 30m or 2h");
}

static int
set_turn_user(struct local_keys *p, const char *value, struct err *err)
{
	return set_text(&p->l->turn_user, value, err);
}

static int
set_turn_password(struct local_keys *p, const char *value, struct err *err)
{
	return set_secret(p, &p->l->turn_password, value, err);
}

static int
set_turn_secret(struct local_keys *p, const char *value, struct err *err)
{
	return set_secret(p, &p->l->turn_secret, value, err);
}

static int
set_readable(char **to, const char *value, struct err *err)
{
	if (set_path(to, value, err) != 0)
		return -1;
	return access(*to, R_OK) == 0 ? 0 : err_sys(err, "cannot read %s", *to);
}

static int
set_turn_ca(struct local_keys *p, const char *value, struct err *err)
{
	return set_readable(&p->l->turn_ca, value, err);
}

static int
set_mqtt_ca(struct local_keys *p, const char *value, struct err *err)
{
	return set_readable(&p->l->mqtt_ca, value, err);
}

static bool
copy_word(char out[URL_USER_MAX + 1], const char *text, size_t len)
{
	if (len == 0 || len > URL_USER_MAX)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

/* URL USER PASSWORD; the password is all that follows. */
static int
add_login(struct local_keys *p, const char *value, struct err *err)
{
	static const char blank[] = " \t";
	size_t url_len = strcspn(value, blank);
	const char *user = value + url_len + strspn(value + url_len, blank);
	size_t user_len = strcspn(user, blank);
	const char *password = user + user_len + strspn(user + user_len, blank);
	struct mqtt_login *login = &p->l->login[p->l->n_login];
	char text[VALUE_MAX];
	struct err why;
	struct url url;

	if (!p->secret)
		return err_set(err, "this file holds a secret that others can read: "
				    "`chmod 600` it");
	if (p->l->n_login == LOCAL_LOGIN_MAX)
		return err_set(err, "more than %d brokers", LOCAL_LOGIN_MAX);
	if (url_len >= sizeof text || !copy_word(login->user, user, user_len) ||
	    !copy_word(login->password, password, strlen(password)))
		return err_set(err,
			       "expected `URL USER PASSWORD`, as in "
			       "`mqtts://broker.example.org alice correct-horse` (up to "
			       "%d characters each)",
			       URL_USER_MAX);
	memcpy(text, value, url_len);
	text[url_len] = '\0';
	if (url_parse(&url, URL_KIND_RENDEZVOUS, text, &why) != 0)
		return err_set(err, "the broker: %s", why.text);
	if ((url.scheme != URL_MQTT && url.scheme != URL_MQTTS) || url.path[0] != '\0' ||
	    url.pinned)
		return err_set(err,
			       "the broker is mqtts://HOST[:PORT] or mqtt://HOST[:PORT] "
			       "here, without topic and pin");
	login->scheme = url.scheme;
	login->port = url.port;
	strcpy(login->host, url.host);
	p->l->n_login++;
	return 0;
}

/* A password in it makes the file a secret one. */
static int
set_proxy(struct local_keys *p, const char *value, struct err *err)
{
	struct local *l = p->l;

	if (strcmp(value, "none") == 0) {
		l->no_proxy = true;
		return 0;
	}
	l->proxy = calloc(1, sizeof *l->proxy);
	if (l->proxy == NULL)
		return err_set(err, "out of memory");
	if (web_proxy_parse(l->proxy, value, err) != 0)
		return -1;
	if (l->proxy->credentials[0] != '\0' && !p->secret)
		return err_set(err, "this file holds a secret that others can read: "
				    "`chmod 600` it");
	return 0;
}

static int
add_max_streams(struct local_keys *p, const char *value, struct err *err)
{
	return local_add_limit(p, LIMIT_STREAMS, value, err);
}

static int
add_max_rate(struct local_keys *p, const char *value, struct err *err)
{
	return local_add_limit(p, LIMIT_RATE, value, err);
}

static int
add_max_idle(struct local_keys *p, const char *value, struct err *err)
{
	return local_add_limit(p, LIMIT_IDLE, value, err);
}

/* Of use before there is a session: see defaults.h. */
static int
set_invite(struct local_keys *p, const char *value, struct err *err)
{
	(void)p;
	(void)value;
	(void)err;
	return 0;
}

static const struct key {
	const char *name;
	int (*set)(struct local_keys *p, const char *value, struct err *err);
	bool repeats;
} keys[] = {
    {"identity", set_identity, false},
    {"base-port", set_base_port, false},
    {"listen", set_listen, false},
    {"socks5", set_socks5, false},
    {"socks5-user", set_socks5_user, false},
    {"socks5-password", set_socks5_password, false},
    {"local-users", local_set_users, false},
    {"max-streams", add_max_streams, true},
    {"max-rate", add_max_rate, true},
    {"max-idle", add_max_idle, true},
    {"mpyc-guard", set_mpyc_guard, false},
    {"upnp", set_upnp, false},
    {"fast-path", set_fast_path, false},
    {"outage-limit", set_outage_limit, false},
    {"turn-user", set_turn_user, false},
    {"turn-password", set_turn_password, false},
    {"turn-secret", set_turn_secret, false},
    {"expose", local_add_expose, true},
    {"forward", local_add_forward, true},
    {"turn-ca", set_turn_ca, false},
    {"mqtt-login", add_login, true},
    {"mqtt-ca", set_mqtt_ca, false},
    {"proxy", set_proxy, false},
    {"invite-rendezvous", set_invite, false},
    {"invite-stun", set_invite, false},
    {"invite-turn", set_invite, false},
};

bool
local_is_key(const char *key)
{
	for (size_t i = 0; i < N(keys); i++) {
		if (strcmp(key, keys[i].name) == 0)
			return true;
	}
	return false;
}

static int
unknown_key(const char *name, struct err *err)
{
	const char *words[N(keys)];
	char quoted[QUOTE_MAX + 1];
	const char *near;

	for (size_t i = 0; i < N(keys); i++)
		words[i] = keys[i].name;
	near = nearest(name, words, N(keys));
	log_clean(quoted, sizeof quoted, name, strlen(name));
	if (near != NULL)
		return err_set(err, "unknown key `%s`: did you mean `%s`?", quoted, near);
	return err_set(err,
		       "unknown key `%s` in [local]: conf/local.ini shows all there are",
		       quoted);
}

int
local_keys_take(struct local_keys *p, const struct ini_entry *e, struct err *err)
{
	struct err why;

	p->line = e->line;
	for (size_t i = 0; i < N(keys); i++) {
		if (strcmp(e->key, keys[i].name) != 0)
			continue;
		if (!keys[i].repeats && (p->seen & 1U << i) != 0)
			return err_set(err, "`%s` for the second time: leave one out",
				       e->key);
		p->seen |= 1U << i;
		if (keys[i].set(p, e->value, &why) != 0)
			return err_set(err, "%s: %s", e->key, why.text);
		return 0;
	}
	return unknown_key(e->key, err);
}
