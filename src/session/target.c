#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "session/target.h"
#include "session/url.h"

/* What a party's name may have behind it. */
#define SUFFIX ".mpc"

bool
target_is_path(const char *path)
{
	if (path[0] != '/' || strlen(path) > TARGET_PATH_MAX)
		return false;
	for (; *path != '\0'; path++)
		if (*path <= ' ' || *path > '~')
			return false;
	return true;
}

/* One spelling for every address, none for loopback. */
static void
set_host(struct target *t, const char *host)
{
	union addr a;

	if (strcasecmp(host, "localhost") == 0) {
		t->host[0] = '\0';
	} else if (addr_parse(&a, host, t->port) == 0) {
		if (addr_is_loopback(&a))
			t->host[0] = '\0';
		else if (a.sa.sa_family == AF_INET)
			inet_ntop(AF_INET, &a.in.sin_addr, t->host, sizeof t->host);
		else
			inet_ntop(AF_INET6, &a.in6.sin6_addr, t->host, sizeof t->host);
	} else {
		snprintf(t->host, sizeof t->host, "%s", host);
	}
}

int
target_parse(struct target *t, const char *text, struct err *err)
{
	char host[URL_HOST_MAX + 1];
	struct err why;

	memset(t, 0, sizeof *t);
	if (port_parse(&t->port, text) == 0)
		return 0;
	if (strncmp(text, TARGET_UNIX, strlen(TARGET_UNIX)) == 0) {
		if (!target_is_path(text + strlen(TARGET_UNIX)))
			return err_set(err,
				       "after unix: there must be an absolute path of "
				       "at most %d bytes, without spaces",
				       TARGET_PATH_MAX);
		snprintf(t->host, sizeof t->host, "%s", text);
		return 0;
	}
	if (host_port_parse(host, &t->port, text, 0, &why) != 0)
		return err_set(err, "expected PORT, HOST:PORT or unix:/PATH");
	set_host(t, host);
	return 0;
}

int
target_take_name(char *party, unsigned long size, struct target *t, const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	char whole[TARGET_HOST_MAX + 1], *last = whole;
	size_t len = strlen(name);

	if (len >= sizeof whole)
		return -1;
	for (size_t i = 0; i <= len; i++)
		whole[i] = (char)tolower((unsigned char)name[i]);
	if (len > 0 && whole[len - 1] == '.')
		whole[--len] = '\0';
	if (len > strlen(SUFFIX) && strcmp(whole + len - strlen(SUFFIX), SUFFIX) == 0) {
		whole[len - strlen(SUFFIX)] = '\0';
		last = strrchr(whole, '.');
		if (last != NULL) {
			*last++ = '\0';
			set_host(t, whole);
		} else {
			last = whole;
		}
	}
	len = strlen(last);
	if (len == 0 || len >= size || strspn(last, allowed) != len)
		return -1;
	memcpy(party, last, len + 1);
	return 0;
}

int
target_parse_at(char *party, unsigned long size, struct target *t, const char *text,
		struct err *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	char name[TARGET_HOST_MAX + 1];
	struct target host = {.host = ""};

	if (len >= sizeof name)
		len = 0;
	memcpy(name, text, len);
	name[len] = '\0';
	if (target_take_name(party, size, &host, name) != 0)
		return err_set(err, "expected PARTY:PORT, PARTY:HOST:PORT or "
				    "PARTY:unix:/PATH, as in bob:8888");
	if (target_parse(t, colon + 1, err) != 0)
		return -1;
	if (host.host[0] == '\0')
		return 0;
	if (t->host[0] != '\0')
		return err_set(err, "behind %s there must be a port", name);
	memcpy(t->host, host.host, sizeof t->host);
	return 0;
}

char *
target_format(const struct target *t, char out[TARGET_TEXT_BYTES])
{
	if (t->host[0] == '\0')
		snprintf(out, TARGET_TEXT_BYTES, "%u", t->port);
	else if (target_is_unix(t))
		snprintf(out, TARGET_TEXT_BYTES, "%s", t->host);
	else if (strchr(t->host, ':') != NULL)
		snprintf(out, TARGET_TEXT_BYTES, "[%s]:%u", t->host, t->port);
	else
		snprintf(out, TARGET_TEXT_BYTES, "%s:%u", t->host, t->port);
	return out;
}

bool
target_is_unix(const struct target *t)
{
	return strncmp(t->host, TARGET_UNIX, strlen(TARGET_UNIX)) == 0;
}

bool
target_equal(const struct target *a, const struct target *b)
{
	return a->port == b->port && (target_is_unix(a) || target_is_unix(b)
					  ? strcmp(a->host, b->host)
					  : strcasecmp(a->host, b->host)) == 0;
}
