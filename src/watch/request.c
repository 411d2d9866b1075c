#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/base64url.h"
#include "watch/request.h"

static const struct {
	const char *text;
	enum request_verb verb;
} simple[] = {
    {"status text", REQUEST_STATUS_TEXT},
    {"status json", REQUEST_STATUS_JSON},
    {"flags", REQUEST_FLAGS},
    {"wait", REQUEST_WAIT},
    {"missing", REQUEST_MISSING},
    {"reload", REQUEST_RELOAD},
    {"run", REQUEST_RUN},
    {"offer", REQUEST_OFFER},
};

#define N_SIMPLE (sizeof simple / sizeof simple[0])

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

static int
parse_accept(struct request *r, const char *text)
{
	size_t bad;
	ssize_t len = base64url_decode(r->sealed, sizeof r->sealed, text, strlen(text),
				       &bad);

	if (len <= 0)
		return -1;
	r->verb = REQUEST_ACCEPT;
	r->sealed_len = (size_t)len;
	return 0;
}

int
request_parse(struct request *r, const char *line, size_t len)
{
	static const char ping[] = "ping ", accept[] = "accept ";
	char text[REQUEST_LINE_MAX];
	const char *name;
	uint64_t count;
	size_t n;

	memset(r, 0, sizeof *r);
	if (len >= sizeof text || memchr(line, '\0', len) != NULL)
		return -1;
	memcpy(text, line, len);
	text[len] = '\0';

	for (size_t i = 0; i < N_SIMPLE; i++) {
		if (strcmp(text, simple[i].text) == 0) {
			r->verb = simple[i].verb;
			return 0;
		}
	}
	if (strncmp(text, accept, sizeof accept - 1) == 0)
		return parse_accept(r, text + sizeof accept - 1);
	if (strncmp(text, ping, sizeof ping - 1) != 0)
		return -1;
	name = text + sizeof ping - 1;
	n = strspn(name, name_chars);
	if (n == 0 || n > SESSION_NAME_MAX || name[n] != ' ')
		return -1;
	if (number_parse(&count, name + n + 1, 1, REQUEST_PING_MAX) != 0)
		return -1;
	r->verb = REQUEST_PING;
	memcpy(r->party, name, n);
	r->count = (unsigned)count;
	return 0;
}

char *
request_format(const struct request *r, char out[REQUEST_LINE_MAX])
{
	out[0] = '\0';
	if (r->verb == REQUEST_PING)
		snprintf(out, REQUEST_LINE_MAX, "ping %s %u", r->party, r->count);
	if (r->verb == REQUEST_ACCEPT)
		base64url_encode(stpcpy(out, "accept "), r->sealed, r->sealed_len);
	for (size_t i = 0; i < N_SIMPLE; i++) {
		if (r->verb == simple[i].verb)
			snprintf(out, REQUEST_LINE_MAX, "%s", simple[i].text);
	}
	return out;
}
