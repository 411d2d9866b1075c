#include <stdio.h>
#include <string.h>

#include "session/endpoint.h"
#include "session/url.h"

#define EVERYONE " for everyone"

static int
parse_addr(struct endpoint *e, const char *text, struct err *err)
{
	char host[URL_HOST_MAX + 1];
	struct err why;
	uint16_t port;

	if (port_parse(&port, text) == 0)
		return addr_parse(&e->addr, "127.0.0.1", port);
	if (host_port_parse(host, &port, text, 0, &why) != 0)
		return err_set(err, "expected PORT, ADDRESS:PORT or unix:/PATH, as in "
				    "8080 or 127.0.0.1:8080");
	if (strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	if (addr_parse(&e->addr, host, port) != 0)
		return err_set(err, "expected an address and a port, as in "
				    "127.0.0.1:1080");
	if (!addr_is_loopback(&e->addr) && !e->everyone)
		return err_set(err,
			       "%s is not loopback: everybody who reaches it acts as this "
			       "party; if that is meant, write `%s%s`",
			       host, text, EVERYONE);
	return 0;
}

int
endpoint_parse(struct endpoint *e, const char *text, struct err *err)
{
	char copy[TARGET_TEXT_BYTES + sizeof EVERYONE];
	size_t len = strlen(text);

	memset(e, 0, sizeof *e);
	if (len >= sizeof copy)
		return err_set(err, "too long");
	memcpy(copy, text, len + 1);
	if (len > strlen(EVERYONE) &&
	    strcmp(copy + len - strlen(EVERYONE), EVERYONE) == 0) {
		e->everyone = true;
		copy[len - strlen(EVERYONE)] = '\0';
	}
	if (strncmp(copy, TARGET_UNIX, strlen(TARGET_UNIX)) != 0)
		return parse_addr(e, copy, err);
	if (e->everyone)
		return err_set(err, "a UNIX socket is for this user and local-users");
	if (!target_is_path(copy + strlen(TARGET_UNIX)))
		return err_set(err,
			       "after unix: there must be an absolute path of at most %d "
			       "bytes, without spaces",
			       TARGET_PATH_MAX);
	strcpy(e->path, copy + strlen(TARGET_UNIX));
	return 0;
}

char *
endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	char text[ADDR_TEXT_BYTES];

	if (e->path[0] != '\0')
		snprintf(out, ENDPOINT_TEXT_BYTES, "%s%s", TARGET_UNIX, e->path);
	else
		snprintf(out, ENDPOINT_TEXT_BYTES, "%s", addr_format(&e->addr, text));
	return out;
}

bool
endpoint_is_set(const struct endpoint *e)
{
	return e->path[0] != '\0' || e->addr.sa.sa_family != AF_UNSPEC;
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return strcmp(a->path, b->path) == 0 && addr_equal(&a->addr, &b->addr);
}
