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
    {"forwards", REQUEST_FORWARDS},
};

#define N_SIMPLE (sizeof simple / sizeof simple[0])

static const char name_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

/* What follows ${word} and a space; NULL when ${text} begins otherwise. */
static char *
after(char *text, const char *word)
{
	size_t n = strlen(word);

	return strncmp(text, word, n) == 0 && text[n] == ' ' ? text + n + 1 : NULL;
}

/* Take a party's name and the space behind it off ${text}; NULL when there is none. */
static char *
take_party(struct request *r, char *text)
{
	size_t n = strspn(text, name_chars);

	if (n == 0 || n > SESSION_NAME_MAX || text[n] != ' ')
		return NULL;
	memcpy(r->party, text, n);
	return text + n + 1;
}

static int
parse_ping(struct request *r, char *text)
{
	uint64_t count;

	text = take_party(r, text);
	if (text == NULL || number_parse(&count, text, 1, REQUEST_PING_MAX) != 0)
		return -1;
	r->verb = REQUEST_PING;
	r->count = (unsigned)count;
	return 0;
}

static int
parse_connect(struct request *r, char *text)
{
	struct err err;

	r->verb = REQUEST_CONNECT;
	text = take_party(r, text);
	return text == NULL ? -1 : target_parse(&r->target, text, &err);
}

static int
parse_forward(struct request *r, char *text)
{
	struct err err;
	char *space;

	r->verb = REQUEST_FORWARD;
	text = take_party(r, text);
	space = text != NULL ? strchr(text, ' ') : NULL;
	if (space == NULL)
		return -1;
	*space = '\0';
	return target_parse(&r->target, text, &err) != 0
		   ? -1
		   : endpoint_parse(&r->at, space + 1, &err);
}

static int
parse_unforward(struct request *r, char *text)
{
	struct err err;

	r->verb = REQUEST_UNFORWARD;
	return endpoint_parse(&r->at, text, &err);
}

static int
parse_accept(struct request *r, char *text)
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
	static const struct {
		const char *word;
		int (*parse)(struct request *r, char *text);
	} verbs[] = {
	    {"ping", parse_ping},
	    {"accept", parse_accept},
	    {"connect", parse_connect},
	    {"forward", parse_forward},
	    {"unforward", parse_unforward},
	};
	char text[REQUEST_LINE_MAX];

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
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		char *rest = after(text, verbs[i].word);

		if (rest != NULL)
			return verbs[i].parse(r, rest);
	}
	return -1;
}

char *
request_format(const struct request *r, char out[REQUEST_LINE_MAX])
{
	char target[TARGET_TEXT_BYTES], at[ENDPOINT_TEXT_BYTES];
	const char *everyone = r->at.everyone ? " for everyone" : "";

	out[0] = '\0';
	switch (r->verb) {
	case REQUEST_PING:
		snprintf(out, REQUEST_LINE_MAX, "ping %s %u", r->party, r->count);
		break;
	case REQUEST_ACCEPT:
		base64url_encode(stpcpy(out, "accept "), r->sealed, r->sealed_len);
		break;
	case REQUEST_CONNECT:
		snprintf(out, REQUEST_LINE_MAX, "connect %s %s", r->party,
			 target_format(&r->target, target));
		break;
	case REQUEST_FORWARD:
		snprintf(out, REQUEST_LINE_MAX, "forward %s %s %s%s", r->party,
			 target_format(&r->target, target), endpoint_format(&r->at, at),
			 everyone);
		break;
	case REQUEST_UNFORWARD:
		snprintf(out, REQUEST_LINE_MAX, "unforward %s%s",
			 endpoint_format(&r->at, at), everyone);
		break;
	default:
		for (size_t i = 0; i < N_SIMPLE; i++)
			if (r->verb == simple[i].verb)
				snprintf(out, REQUEST_LINE_MAX, "%s", simple[i].text);
		break;
	}
	return out;
}
