#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/addr.h"
#include "session/web_proxy.h"

/* http:// USER : PASSWORD @ HOST : PORT /, every character of the user and the password
 * as %XX. */
#define TEXT_MAX (7 + 3 * URL_USER_MAX * 2 + 2 + URL_HOST_MAX + 2 + 6 + 1)

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place. A byte that is no part of a user or password (RFC 7617, 2) is refused. */
static int
decode_percent(char *text)
{
	char *out = text;

	for (const char *p = text; *p != '\0'; p++) {
		int c = (unsigned char)*p;

		if (c == '%') {
			int high = hex_digit(p[1]);
			int low = high < 0 ? -1 : hex_digit(p[2]);

			if (low < 0)
				return -1;
			c = high * 16 + low;
			p += 2;
		}
		if (c < ' ' || c == 0x7f)
			return -1;
		*out++ = (char)c;
	}
	*out = '\0';
	return 0;
}

/* ${text} is USER:PASSWORD; overwritten. */
static int
set_credentials(struct web_proxy *p, char *text, struct err *err)
{
	char *colon = strchr(text, ':');
	char both[2 * URL_USER_MAX + 2];
	int n;

	if (colon == NULL || colon == text)
		return err_set(err, "before the `@`, expected USER:PASSWORD");
	*colon = '\0';
	if (decode_percent(text) != 0 || decode_percent(colon + 1) != 0 ||
	    strchr(text, ':') != NULL)
		return err_set(err,
			       "in user and password, `%%` begins a byte as two "
			       "hexadecimal digits, and there is no colon in a user");
	if (strlen(text) > URL_USER_MAX || strlen(colon + 1) > URL_USER_MAX)
		return err_set(err, "user and password may be %d characters each",
			       URL_USER_MAX);
	n = snprintf(both, sizeof both, "%s:%s", text, colon + 1);
	EVP_EncodeBlock((unsigned char *)p->credentials, (unsigned char *)both, n);
	OPENSSL_cleanse(both, sizeof both);
	return 0;
}

static int
parse(struct web_proxy *p, char *text, struct err *err)
{
	/* The last one, so that a password may contain another. */
	char *at = strrchr(text, '@');
	size_t len;

	if (at != NULL) {
		*at = '\0';
		if (set_credentials(p, text, err) != 0)
			return -1;
		text = at + 1;
	}
	len = strlen(text);
	if (len > 0 && text[len - 1] == '/')
		text[len - 1] = '\0';
	if (host_port_parse(p->host, &p->port, text, WEB_PROXY_PORT, err) != 0)
		return -1;
	p->http = (struct http_proxy){
	    .host = p->host,
	    .port = p->port,
	    .credentials = p->credentials[0] != '\0' ? p->credentials : NULL,
	};
	return 0;
}

/* ${scheme}: whether http:// must be there. */
static int
parse_copy(struct web_proxy *p, const char *text, bool scheme, struct err *err)
{
	char copy[TEXT_MAX + 1];
	bool http = strncasecmp(text, "http://", 7) == 0;
	int r;

	memset(p, 0, sizeof *p);
	if (!http && (scheme || strstr(text, "://") != NULL))
		return err_set(err,
			       "expected http://[USER:PASSWORD@]HOST:PORT: only HTTP "
			       "proxies that are spoken to without TLS can be used");
	if (strlen(text) > TEXT_MAX)
		return err_set(err, "longer than %d characters", (int)TEXT_MAX);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c <= ' ' || *c >= 0x7f)
			return err_set(err,
				       "a space, or a byte that is not ASCII, in it");
	}
	strcpy(copy, text + (http ? 7 : 0));
	r = parse(p, copy, err);
	OPENSSL_cleanse(copy, sizeof copy);
	return r;
}

int
web_proxy_parse(struct web_proxy *p, const char *text, struct err *err)
{
	return parse_copy(p, text, true, err);
}

static const char *
environment(const char *upper, const char *lower)
{
	const char *value = getenv(upper);

	if (value == NULL || value[0] == '\0')
		value = getenv(lower);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

int
web_proxy_from_environment(struct web_proxy *p, struct err *err)
{
	const char *text = environment("HTTPS_PROXY", "https_proxy");
	const char *no = environment("NO_PROXY", "no_proxy");
	struct err why;

	if (text == NULL)
		return 0;
	if (parse_copy(p, text, false, &why) != 0)
		return err_set(err, "HTTPS_PROXY in the environment: %s", why.text);
	p->from_environment = true;
	if (no != NULL && strlen(no) > WEB_PROXY_NO_MAX)
		return err_set(err, "NO_PROXY in the environment is longer than %d bytes",
			       WEB_PROXY_NO_MAX);
	if (no != NULL)
		strcpy(p->no_proxy, no);
	return 1;
}

/* Whether ${a} and ${b} have their first ${bits} bits in common. */
static bool
same_network(const union addr *a, const union addr *b, uint64_t bits)
{
	const uint8_t *x, *y;
	size_t whole = bits / 8, rest = bits % 8;

	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET) {
		x = (const uint8_t *)&a->in.sin_addr;
		y = (const uint8_t *)&b->in.sin_addr;
	} else {
		x = (const uint8_t *)&a->in6.sin6_addr;
		y = (const uint8_t *)&b->in6.sin6_addr;
	}
	return memcmp(x, y, whole) == 0 &&
	       (rest == 0 || (x[whole] ^ y[whole]) >> (8 - rest) == 0);
}

static bool
network_has(char *network, const union addr *a)
{
	char *slash = strchr(network, '/');
	union addr b;
	uint64_t bits;

	if (slash != NULL)
		*slash = '\0';
	if (addr_parse(&b, network, 0) != 0)
		return false;
	bits = b.sa.sa_family == AF_INET ? 32 : 128;
	if (slash != NULL && number_parse(&bits, slash + 1, 0, bits) != 0)
		return false;
	return same_network(a, &b, bits);
}

static bool
domain_has(const char *domain, const char *host)
{
	size_t n, len = strlen(host);

	if (domain[0] == '.')
		domain++;
	n = strlen(domain);
	if (n == 0 || n > len || strcasecmp(host + len - n, domain) != 0)
		return false;
	return n == len || host[len - n - 1] == '.';
}

static bool
is_excluded(const struct web_proxy *p, const char *host)
{
	char copy[WEB_PROXY_NO_MAX + 1];
	char *save, *word;
	union addr a;
	bool numeric = addr_parse(&a, host, 0) == 0;

	if ((numeric && addr_is_loopback(&a)) || strcasecmp(host, "localhost") == 0)
		return true;
	strcpy(copy, p->no_proxy);
	for (word = strtok_r(copy, ", ", &save); word != NULL;
	     word = strtok_r(NULL, ", ", &save)) {
		if (strcmp(word, "*") == 0 ||
		    (numeric ? network_has(word, &a) : domain_has(word, host)))
			return true;
	}
	return false;
}

const struct http_proxy *
web_proxy_for(const struct web_proxy *p, const char *host)
{
	if (p == NULL || (p->from_environment && is_excluded(p, host)))
		return NULL;
	return &p->http;
}

bool
web_proxy_equal(const struct web_proxy *a, const struct web_proxy *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a->host, b->host) == 0 && a->port == b->port &&
	       strcmp(a->credentials, b->credentials) == 0 &&
	       a->from_environment == b->from_environment &&
	       strcmp(a->no_proxy, b->no_proxy) == 0;
}
