#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "path/candidate.h"

#define CREDENTIAL_MAX 256

static bool
is_ice_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* A token's character, RFC 8866, 9. */
static bool
is_token_char(char c)
{
	return c > 0x20 && c < 0x7f && strchr("\"(),/:;<=>?@[\\]", c) == NULL;
}

static bool
is_name_char(char c)
{
	return is_ice_char(c) ? c != '+' && c != '/' : c == '-' || c == '.' || c == '_';
}

static bool
is_visible(char c)
{
	return c > 0x20 && c < 0x7f;
}

static bool
all(const char *text, bool (*test)(char))
{
	while (*text != '\0')
		if (!test(*text++))
			return false;
	return true;
}

bool
candidate_ice_chars(const char *text, size_t min)
{
	size_t n = strnlen(text, CREDENTIAL_MAX + 1);

	return n >= min && n <= CREDENTIAL_MAX && all(text, is_ice_char);
}

/* The words of a line. Exactly one space stands between two of them. */
struct words {
	char *next; /* NULL after the last one */
};

/* The next word, or NULL when there is none left. */
static char *
next_word(struct words *w)
{
	char *word = w->next;
	char *space;

	if (word == NULL)
		return NULL;
	space = strchr(word, ' ');
	if (space != NULL)
		*space++ = '\0';
	w->next = space;
	return word;
}

/* The next word when it is one that ${test} allows throughout; else NULL. */
static const char *
next_of(struct words *w, bool (*test)(char))
{
	const char *word = next_word(w);

	return word != NULL && *word != '\0' && all(word, test) ? word : NULL;
}

static int
next_number(struct words *w, size_t digits, uint64_t min, uint64_t max, uint64_t *out)
{
	const char *word = next_word(w);

	if (word == NULL || strlen(word) > digits)
		return -1;
	return number_parse(out, word, min, max);
}

/* An address, or the name of a host: then ${a} says AF_UNSPEC. */
static int
next_address(struct words *w, union addr *a)
{
	const char *word = next_word(w);

	if (word == NULL || *word == '\0')
		return -1;
	if (addr_parse(a, word, 0) == 0)
		return 0;
	memset(a, 0, sizeof *a);
	/* What ends in a digit is an address or nothing: no top-level domain does. */
	if (!all(word, is_name_char) || strpbrk(word + strlen(word) - 1, "0123456789"))
		return -1;
	return 0;
}

bool
candidate_addr_usable(const union addr *a)
{
	uint32_t ip;

	switch (a->sa.sa_family) {
	case AF_INET:
		ip = ntohl(a->in.sin_addr.s_addr);
		/* "This network", multicast, reserved and broadcast. */
		return ip >> 24 != 0 && ip >> 28 < 14;
	case AF_INET6:
		/* Link-local ones would win on a LAN but carry no scope. */
		return !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) &&
		       !IN6_IS_ADDR_MULTICAST(&a->in6.sin6_addr) &&
		       !IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr) &&
		       !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
	default:
		return false;
	}
}

static const char *const type_names[] = {
    [PATH_HOST] = "host",
    [PATH_SERVER_REFLEXIVE] = "srflx",
    [PATH_PEER_REFLEXIVE] = "prflx",
    [PATH_RELAYED] = "relay",
};
#define N_TYPES (sizeof type_names / sizeof *type_names)

const char *
path_candidate_type_name(enum path_candidate_type type)
{
	return type_names[type];
}

/* rel-addr, rel-port and extensions, in this order, each of them optional. */
static int
parse_attributes(struct candidate *c, struct words *w)
{
	const char *name, *value;
	uint64_t port = 0;
	bool related = false, extension = false;

	while (w->next != NULL) {
		name = next_of(w, is_token_char);
		if (name == NULL)
			return -1;
		if (!related && !extension && strcasecmp(name, "raddr") == 0) {
			if (next_address(w, &c->related) != 0)
				return -1;
			related = true;
		} else if (!extension && strcasecmp(name, "rport") == 0) {
			if (next_number(w, 5, 0, 65535, &port) != 0)
				return -1;
			extension = true;
		} else {
			value = next_word(w);
			if (value == NULL || !all(value, is_visible))
				return -1;
			extension = true;
		}
	}
	addr_set_port(&c->related, (uint16_t)port);
	return 0;
}

/* The whole of the grammar. ${useful} says whether this program can use it. */
static int
parse(struct candidate *c, struct words *w, bool *useful)
{
	const char *word;
	uint64_t component, priority, port;
	size_t type;

	word = next_of(w, is_ice_char);
	if (word == NULL || strlen(word) > CANDIDATE_FOUNDATION_MAX)
		return -1;
	strcpy(c->foundation, word);
	if (next_number(w, 3, 1, 256, &component) != 0)
		return -1;
	word = next_of(w, is_token_char);
	if (word == NULL)
		return -1;
	*useful = component == 1 && strcasecmp(word, "UDP") == 0;
	/* Priority 0 makes libnice assert. */
	if (next_number(w, 10, 1, CANDIDATE_PRIORITY_MAX, &priority) != 0)
		return -1;
	c->priority = (uint32_t)priority;
	if (next_address(w, &c->addr) != 0 || next_number(w, 5, 1, 65535, &port) != 0)
		return -1;
	addr_set_port(&c->addr, (uint16_t)port);
	word = next_word(w);
	if (word == NULL || strcasecmp(word, "typ") != 0)
		return -1;
	word = next_of(w, is_token_char);
	if (word == NULL)
		return -1;
	for (type = 0; type < N_TYPES; type++)
		if (strcasecmp(word, type_names[type]) == 0)
			break;
	/* A peer-reflexive candidate is learnt from checks, never signalled. */
	if (type == N_TYPES || type == PATH_PEER_REFLEXIVE)
		*useful = false;
	else
		c->type = (enum path_candidate_type)type;
	return parse_attributes(c, w);
}

int
candidate_parse(struct candidate *c, const char *line, struct err *err)
{
	char copy[PATH_CANDIDATE_MAX];
	char shown[64];
	struct words words = {copy};
	bool useful = false;
	size_t n = strnlen(line, sizeof copy);

	memset(c, 0, sizeof *c);
	if (n == sizeof copy)
		return err_set(err, "a candidate line of more than %d bytes",
			       PATH_CANDIDATE_MAX - 1);
	memcpy(copy, line, n + 1);
	if (parse(c, &words, &useful) != 0)
		return err_set(err, "malformed candidate \"%s\"",
			       log_clean(shown, sizeof shown, line, n));
	return useful && candidate_addr_usable(&c->addr);
}

static void
host_text(const union addr *a, char out[INET6_ADDRSTRLEN])
{
	if (a->sa.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &a->in6.sin6_addr, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET, &a->in.sin_addr, out, INET6_ADDRSTRLEN);
}

char *
candidate_format(const struct candidate *c, char out[PATH_CANDIDATE_MAX])
{
	char host[INET6_ADDRSTRLEN];
	int n;

	host_text(&c->addr, host);
	n = snprintf(out, PATH_CANDIDATE_MAX, "%s 1 UDP %u %s %u typ %s", c->foundation,
		     c->priority, host, addr_port(&c->addr), type_names[c->type]);
	if (c->related.sa.sa_family != AF_UNSPEC) {
		host_text(&c->related, host);
		snprintf(out + n, PATH_CANDIDATE_MAX - (size_t)n, " raddr %s rport %u",
			 host, addr_port(&c->related));
	}
	return out;
}

bool
candidate_equal(const struct candidate *a, const struct candidate *b)
{
	return strcmp(a->foundation, b->foundation) == 0 && a->priority == b->priority &&
	       a->type == b->type && addr_equal(&a->addr, &b->addr) &&
	       addr_equal(&a->related, &b->related);
}
