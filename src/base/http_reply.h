#ifndef MPCPROXY_BASE_HTTP_REPLY_H
#define MPCPROXY_BASE_HTTP_REPLY_H

#include <stddef.h>
#include <stdint.h>

/*
 * The head of an HTTP/1 response (RFC 9112), byte by byte as it arrives: status line
 * and fields up to the empty line. Fields are looked at only as far as their form goes.
 * Informational responses (1xx) are passed over.
 */
#define HTTP_REPLY_MAX    16384 /* bytes of all heads together */
#define HTTP_REPLY_REASON 64    /* of the reason phrase, with its NUL */

enum http_reply_state {
	HTTP_REPLY_MORE, /* the head is not complete */
	HTTP_REPLY_DONE, /* ${status} and ${reason} are valid */
	HTTP_REPLY_BAD,  /* this is no HTTP/1 response, or too long */
};

struct http_reply {
	enum http_reply_state state;
	unsigned status;                /* 200..599 */
	char reason[HTTP_REPLY_REASON]; /* printable; cut to fit */
	/* The parser's own. */
	size_t seen;
	unsigned where;
	size_t pos;
};

void http_reply_init(struct http_reply *r);

/* Take what ${data} has of the head. Returns the bytes taken: all of them while there
 * is MORE to come, none beyond the head's end. */
size_t http_reply_take(struct http_reply *r, const uint8_t *data, size_t len);

#endif
