#include <string.h>

#include "path/remote.h"

/* RFC 8839, 5.4 */
#define UFRAG_MIN 4
#define PWD_MIN   22

static int
check_credentials(const struct remote *r, const char *ufrag, const char *pwd,
		  struct err *err)
{
	if (!candidate_ice_chars(ufrag, UFRAG_MIN) || !candidate_ice_chars(pwd, PWD_MIN))
		return err_set(err, "malformed ICE credentials");
	if (r->ufrag[0] != '\0' &&
	    (strcmp(r->ufrag, ufrag) != 0 || strcmp(r->pwd, pwd) != 0))
		return err_set(err, "ICE credentials that differ from the first ones");
	return 0;
}

static bool
is_seen(const struct remote *r, const char *line)
{
	size_t i;

	for (i = 0; i < r->n_seen; i++)
		if (strcmp(r->seen[i], line) == 0)
			return true;
	return false;
}

static int
take_line(struct remote *r, const char *line, bool no_relay, struct remote_news *news,
	  struct err *err)
{
	struct candidate c;
	int usable = candidate_parse(&c, line, err);

	if (usable < 0)
		return -1;
	if (is_seen(r, line))
		return 0;
	if (r->n_seen == PATH_CANDIDATES_MAX)
		return err_set(err, "more than %d candidates", PATH_CANDIDATES_MAX);
	strcpy(r->seen[r->n_seen++], line);
	news->any = true;
	if (!usable || (no_relay && c.type == PATH_RELAYED))
		return 0;
	r->n_usable++;
	r->relayed |= c.type == PATH_RELAYED;
	news->candidate[news->n++] = c;
	r->ipv4 |= c.addr.sa.sa_family == AF_INET;
	r->ipv6 |= c.addr.sa.sa_family == AF_INET6;
	if (c.type == PATH_SERVER_REFLEXIVE) {
		addr_set_port(&c.addr, 0);
		r->outside[r->n_outside++] = c.addr;
	}
	return 0;
}

int
remote_take(struct remote *r, const char *ufrag, const char *pwd,
	    const char *const *candidate, size_t n, bool last, bool no_relay,
	    struct remote_news *news, struct err *err)
{
	struct remote next = *r;
	size_t i;

	memset(news, 0, sizeof *news);
	if (check_credentials(r, ufrag, pwd, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (take_line(&next, candidate[i], no_relay, news, err) != 0)
			return -1;
	news->credentials = next.ufrag[0] == '\0';
	news->last = last && !next.last;
	news->any |= news->credentials || news->last;
	strcpy(next.ufrag, ufrag);
	strcpy(next.pwd, pwd);
	next.last |= last;
	*r = next;
	return 0;
}
