#include <stdbool.h>
#include <string.h>

#include "base/http_reply.h"

/* Where in the head the next byte stands. */
enum where {
	IN_VERSION,   /* "HTTP/1.x " */
	IN_STATUS,    /* three digits */
	AFTER_STATUS, /* the space before the reason, or the end of the line */
	IN_REASON,
	LINE_START, /* of a field, or the empty line */
	IN_NAME,
	IN_VALUE,
	EXPECT_LF,     /* after the CR of a line */
	EXPECT_LAST_LF /* after the CR of the empty line */
};

void
http_reply_init(struct http_reply *r)
{
	memset(r, 0, sizeof *r);
	r->state = HTTP_REPLY_MORE;
	r->where = IN_VERSION;
}

/* RFC 9110, 5.6.2: tchar. */
static bool
is_token_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 9112, 4 and 5: what a reason phrase or a field's value is made of. */
static bool
is_text_char(uint8_t c)
{
	return c == '\t' || (c >= ' ' && c != 0x7f);
}

static void
go_to(struct http_reply *r, enum where where)
{
	r->where = where;
	r->pos = 0;
}

static int
take_version(struct http_reply *r, uint8_t c)
{
	static const char version[] = "HTTP/1.";

	if (r->pos < sizeof version - 1) {
		if (c != (uint8_t)version[r->pos++])
			return -1;
		return 0;
	}
	if (r->pos == sizeof version - 1) {
		r->pos++;
		return c == '0' || c == '1' ? 0 : -1;
	}
	go_to(r, IN_STATUS);
	return c == ' ' ? 0 : -1;
}

static int
take_status(struct http_reply *r, uint8_t c)
{
	if (c < '0' || c > '9')
		return -1;
	r->status = r->status * 10 + (unsigned)(c - '0');
	if (++r->pos == 3) {
		go_to(r, AFTER_STATUS);
		return r->status >= 100 && r->status <= 599 ? 0 : -1;
	}
	return 0;
}

static int
take_reason(struct http_reply *r, uint8_t c)
{
	if (!is_text_char(c))
		return -1;
	if (r->pos < sizeof r->reason - 1) {
		r->reason[r->pos++] = c > ' ' && c < 0x7f ? (char)c : ' ';
		r->reason[r->pos] = '\0';
	}
	return 0;
}

static int
end_head(struct http_reply *r)
{
	if (r->status >= 200) {
		r->state = HTTP_REPLY_DONE;
		return 0;
	}
	r->status = 0;
	r->reason[0] = '\0';
	go_to(r, IN_VERSION);
	return 0;
}

/* The ends of lines are CR LF; a bare LF is let pass (RFC 9112, 2.2). */
static int
take_line_end(struct http_reply *r, uint8_t c)
{
	if (c == '\r')
		go_to(r, r->where == LINE_START ? EXPECT_LAST_LF : EXPECT_LF);
	else if (r->where == LINE_START)
		return end_head(r);
	else
		go_to(r, LINE_START);
	return 0;
}

static int
take_byte(struct http_reply *r, uint8_t c)
{
	bool line_end = c == '\r' || c == '\n';

	switch ((enum where)r->where) {
	case IN_VERSION:
		return take_version(r, c);
	case IN_STATUS:
		return take_status(r, c);
	case AFTER_STATUS:
		if (line_end)
			return take_line_end(r, c);
		go_to(r, IN_REASON);
		return c == ' ' ? 0 : -1;
	case IN_REASON:
		return line_end ? take_line_end(r, c) : take_reason(r, c);
	case LINE_START:
		if (line_end)
			return take_line_end(r, c);
		go_to(r, IN_NAME);
		return is_token_char(c) ? 0 : -1;
	case IN_NAME:
		if (c == ':')
			go_to(r, IN_VALUE);
		return c == ':' || is_token_char(c) ? 0 : -1;
	case IN_VALUE:
		if (line_end)
			return take_line_end(r, c);
		return is_text_char(c) ? 0 : -1;
	case EXPECT_LF:
		go_to(r, LINE_START);
		return c == '\n' ? 0 : -1;
	case EXPECT_LAST_LF:
		return c == '\n' ? end_head(r) : -1;
	}
	return -1;
}

size_t
http_reply_take(struct http_reply *r, const uint8_t *data, size_t len)
{
	size_t n = 0;

	while (n < len && r->state == HTTP_REPLY_MORE) {
		if (++r->seen > HTTP_REPLY_MAX || take_byte(r, data[n]) != 0)
			r->state = HTTP_REPLY_BAD;
		n++;
	}
	return n;
}
