#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/addr.h"
#include "session/url.h"

#define MQTT_PORT  1883
#define MQTTS_PORT 8883
#define STUN_PORT  3478 /* RFC 8489, 14.  TURN's too */
#define TURNS_PORT 5349 /* RFC 8656 */

#define PIN_PREFIX "sha256/"
#define PIN_CHARS  44 /* base64 of 32 bytes */

/* Longest text taken at all: a dir: with the longest path. */
#define TEXT_MAX (URL_PATH_MAX + 8)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
	       c == '-' || c == '_';
}

/* A name as resolvers take it: labels between single dots, the last one not a
 * number, or it would be a mistyped IPv4 address. */
static bool
is_name(const char *host)
{
	const char *label = host;
	bool number = true;

	for (const char *p = host;; p++) {
		if (*p == '.' || *p == '\0') {
			if (p == label || p - label > 63)
				return false;
			if (*p == '\0')
				return !number;
			label = p + 1;
			number = true;
		} else if (!is_label_char(*p) || (p == label && *p == '-')) {
			return false;
		} else if (!is_digit(*p)) {
			number = false;
		}
	}
}

int
host_port_parse(char host[URL_HOST_MAX + 1], uint16_t *port, const char *text,
		uint16_t default_port, struct err *err)
{
	bool bracketed = text[0] == '[';
	const char *start = text + bracketed;
	size_t len = strcspn(start, bracketed ? "]" : ":");
	const char *rest = start + len;
	union addr addr;
	bool ok;

	if (!bracketed && *rest == '\0' && len > 0 && len <= 5 &&
	    strspn(text, "0123456789") == len)
		return err_set(err, "the host is missing before the port: expected "
				    "HOST:PORT (0.0.0.0 is all addresses of this machine)");
	if (len == 0 || len > URL_HOST_MAX)
		return err_set(err, "a host is missing or too long: expected HOST:PORT, "
				    "or [IPV6]:PORT");
	memcpy(host, start, len);
	host[len] = '\0';
	if (bracketed) {
		ok = *rest == ']' && addr_parse(&addr, host, 0) == 0 &&
		     addr.sa.sa_family == AF_INET6;
		rest += *rest == ']';
	} else {
		ok = addr_parse(&addr, host, 0) == 0 || is_name(host);
	}
	if (!ok)
		return err_set(err, "the host is neither a name nor an address (IPv6 "
				    "addresses stand in brackets: [2001:db8::1]:7470)");
	if (*rest == '\0' && default_port != 0) {
		*port = default_port;
		return 0;
	}
	if (*rest == '\0')
		return err_set(err, "the port is missing: expected HOST:PORT");
	if (*rest != ':' || port_parse(port, rest + 1) != 0)
		return err_set(err, "after the host, expected a colon and a port from 1 "
				    "to 65535");
	return 0;
}

static bool
skip(const char **text, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*text, prefix, n) != 0)
		return false;
	*text += n;
	return true;
}

static int
parse_tls(struct url *url, char *text, struct err *err)
{
	char *hash = strchr(text, '#');
	struct err why;

	url->scheme = URL_TLS;
	if (hash == NULL)
		return err_set(err,
			       "a mailbox is tls://HOST:PORT#KEY, and the KEY is "
			       "missing: `mpcproxy rendezvous` prints the whole line");
	*hash = '\0';
	if (host_port_parse(url->host, &url->port, text, 0, err) != 0)
		return -1;
	if (pubkey_parse(&url->key, hash + 1, &why) != 0)
		return err_set(err, "the mailbox's key after `#`: %s", why.text);
	return 0;
}

static int
parse_dir(struct url *url, const char *text, struct err *err)
{
	url->scheme = URL_DIR;
	if (*text == '\0')
		return err_set(err,
			       "a shared folder is dir:PATH, and the PATH is missing");
	if (strlen(text) > URL_PATH_MAX)
		return err_set(err, "the PATH is longer than %d bytes", URL_PATH_MAX);
	strcpy(url->path, text);
	return 0;
}

/* The pin of a key: sha256/ and base64. */
static int
parse_pin(struct url *url, const char *text, struct err *err)
{
	unsigned char bytes[PIN_CHARS / 4 * 3], again[PIN_CHARS + 1];

	if (strncmp(text, PIN_PREFIX, strlen(PIN_PREFIX)) != 0 ||
	    strlen(text) != strlen(PIN_PREFIX) + PIN_CHARS)
		goto malformed;
	text += strlen(PIN_PREFIX);
	if (EVP_DecodeBlock(bytes, (const unsigned char *)text, PIN_CHARS) < 0)
		goto malformed;
	/* One way of writing it only. */
	EVP_EncodeBlock(again, bytes, URL_PIN_BYTES);
	if (strcmp((const char *)again, text) != 0)
		goto malformed;
	memcpy(url->pin, bytes, URL_PIN_BYTES);
	url->pinned = true;
	return 0;

malformed:
	return err_set(err, "after `#`, expected sha256/ and the digest of the server's "
			    "public key in base64 (44 characters)");
}

/* What topics begin with: no wildcards, and nothing that a broker keeps for itself. */
static int
parse_topic(struct url *url, const char *text, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
	size_t len = strlen(text);

	if (len == 0 || len > URL_TOPIC_MAX || strspn(text, allowed) != len ||
	    text[0] == '/' || text[len - 1] == '/')
		return err_set(err,
			       "after the broker's `/`, expected what its topics are to "
			       "begin with: up to %d letters, digits, `-`, `_`, `.`, and "
			       "`/` between them",
			       URL_TOPIC_MAX);
	memcpy(url->path, text, len + 1);
	return 0;
}

static int
parse_mqtt(struct url *url, char *text, bool tls, struct err *err)
{
	char *hash = strchr(text, '#');
	char *slash;

	url->scheme = tls ? URL_MQTTS : URL_MQTT;
	if (strchr(text, '@') != NULL)
		return err_set(err, "a broker's user and password are secrets, and this "
				    "is seen by others: put them into local.ini, with "
				    "mqtt-login");
	if (hash != NULL) {
		*hash = '\0';
		if (!tls)
			return err_set(err, "only an mqtts: broker has a key to pin with "
					    "`#`");
		if (parse_pin(url, hash + 1, err) != 0)
			return -1;
	}
	slash = strchr(text, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (parse_topic(url, slash + 1, err) != 0)
			return -1;
	}
	return host_port_parse(url->host, &url->port, text, tls ? MQTTS_PORT : MQTT_PORT,
			       err);
}

static int
parse_turn(struct url *url, char *text, bool tls, struct err *err)
{
	char *hash = strchr(text, '#');
	char *query;

	url->scheme = tls ? URL_TURNS : URL_TURN;
	url->tcp = tls;
	if (hash != NULL) {
		*hash = '\0';
		if (!tls)
			return err_set(err, "only a turns: server has a key to pin with "
					    "`#`");
		if (parse_pin(url, hash + 1, err) != 0)
			return -1;
	}
	query = strchr(text, '?');
	if (query != NULL) {
		*query++ = '\0';
		if (strcmp(query, "transport=tcp") == 0)
			url->tcp = true;
		else if (tls || strcmp(query, "transport=udp") != 0)
			return err_set(err, "after `?`, expected transport=tcp%s",
				       tls ? "" : " or transport=udp");
	}
	return host_port_parse(url->host, &url->port, text, tls ? TURNS_PORT : STUN_PORT,
			       err);
}

static int
parse_rendezvous(struct url *url, char *text, struct err *err)
{
	const char *rest = text;

	if (skip(&rest, "tls://"))
		return parse_tls(url, text + (rest - text), err);
	if (skip(&rest, "dir:"))
		return parse_dir(url, rest, err);
	if (skip(&rest, "mqtt://"))
		return parse_mqtt(url, text + (rest - text), false, err);
	if (skip(&rest, "mqtts://"))
		return parse_mqtt(url, text + (rest - text), true, err);
	return err_set(err, "expected tls://HOST:PORT#KEY (as `mpcproxy rendezvous` "
			    "prints it), mqtts://HOST, mqtt://HOST or dir:PATH");
}

/* A folder may be called anything but control characters. */
static bool
is_allowed(unsigned char c, bool in_path)
{
	return in_path ? c >= ' ' && c != 0x7f : c > ' ' && c < 0x7f;
}

int
url_parse(struct url *url, enum url_kind kind, const char *text, struct err *err)
{
	char copy[TEXT_MAX + 1];
	const char *rest = copy;

	memset(url, 0, sizeof *url);
	if (strlen(text) > TEXT_MAX)
		return err_set(err, "longer than %d characters", TEXT_MAX);
	strcpy(copy, text);
	for (const char *p = text; *p != '\0'; p++) {
		if (!is_allowed((unsigned char)*p, strncmp(text, "dir:", 4) == 0))
			return err_set(err,
				       "a space, or a byte that is not ASCII, in it%s",
				       strstr(p, " #") == p
					   ? ": a comment behind a value begins with ` ;`"
					   : "");
	}
	switch (kind) {
	case URL_KIND_RENDEZVOUS:
		return parse_rendezvous(url, copy, err);
	case URL_KIND_STUN:
		url->scheme = URL_STUN;
		skip(&rest, "stun:");
		return host_port_parse(url->host, &url->port, rest, STUN_PORT, err);
	case URL_KIND_TURN:
		if (skip(&rest, "turn:"))
			return parse_turn(url, copy + (rest - copy), false, err);
		if (skip(&rest, "turns:"))
			return parse_turn(url, copy + (rest - copy), true, err);
		return err_set(err, "expected turn:HOST[:PORT][?transport=udp|tcp] or "
				    "turns:HOST[:PORT][#sha256/PIN]");
	}
	return err_set(err, "unknown kind of URL");
}

static const char *const scheme_text[] = {
    [URL_TLS] = "tls://",     [URL_DIR] = "dir:",   [URL_MQTT] = "mqtt://",
    [URL_MQTTS] = "mqtts://", [URL_STUN] = "stun:", [URL_TURN] = "turn:",
    [URL_TURNS] = "turns:",
};

static void
format_pin(const struct url *url, char *out, unsigned long size)
{
	unsigned char text[PIN_CHARS + 1];

	EVP_EncodeBlock(text, url->pin, URL_PIN_BYTES);
	snprintf(out, size, "#" PIN_PREFIX "%s", (const char *)text);
}

static char *
format(const struct url *url, bool keys, char *out, unsigned long size)
{
	const char *scheme = scheme_text[url->scheme];
	bool v6 = strchr(url->host, ':') != NULL;
	char key[PUBKEY_TEXT_BYTES];
	int n;

	if (url->scheme == URL_DIR) {
		snprintf(out, size, "%s%s", scheme, url->path);
		return out;
	}
	n = snprintf(out, size, "%s%s%s%s:%u%s%s", scheme, v6 ? "[" : "", url->host,
		     v6 ? "]" : "", url->port, url->path[0] != '\0' ? "/" : "",
		     url->path);
	if (n < 0 || (unsigned long)n >= size)
		return out;
	if (url->scheme == URL_TLS && keys)
		snprintf(out + n, size - (unsigned long)n, "#%s",
			 pubkey_format(&url->key, key));
	else if (url->pinned && keys)
		format_pin(url, out + n, size - (unsigned long)n);
	else if (url->scheme == URL_TURN)
		snprintf(out + n, size - (unsigned long)n, "?transport=%s",
			 url->tcp ? "tcp" : "udp");
	return out;
}

bool
url_equal(const struct url *a, const struct url *b)
{
	struct url x = *a, y = *b;

	x.line = y.line = 0;
	/* url_parse() leaves no byte undefined. */
	return memcmp(&x, &y, sizeof x) == 0;
}

bool
urls_equal(const struct url *a, size_t n_a, const struct url *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!url_equal(&a[i], &b[i]))
			return false;
	return true;
}

char *
url_format(const struct url *url, char *out, unsigned long size)
{
	return format(url, true, out, size);
}

char *
url_format_public(const struct url *url, char *out, unsigned long size)
{
	return format(url, false, out, size);
}

void
url_of_own_mailbox(struct url *url, const struct pubkey *self, const union addr *listen)
{
	char text[ADDR_TEXT_BYTES];
	union addr at = *listen;
	size_t len;

	if (url->scheme != URL_TLS || listen->sa.sa_family == AF_UNSPEC ||
	    !pubkey_equal(&url->key, self))
		return;
	if (at.sa.sa_family == AF_INET && at.in.sin_addr.s_addr == htonl(INADDR_ANY))
		at.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (at.sa.sa_family == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&at.in6.sin6_addr))
		at.in6.sin6_addr = in6addr_loopback;
	addr_format(&at, text);
	*strrchr(text, ':') = '\0';
	len = strlen(text);
	if (text[0] == '[')
		snprintf(url->host, sizeof url->host, "%.*s", (int)len - 2, text + 1);
	else
		snprintf(url->host, sizeof url->host, "%s", text);
	url->port = addr_port(listen);
}
