#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pwd.h>

#include "base/log.h"
#include "session/local_keys.h"

#define N(array)  (sizeof(array) / sizeof *(array))
#define QUOTE_MAX 49 /* of the file's text in a message */

/* Longer than any line that inih takes. */
#define VALUE_MAX 1024

static int
find_party(const struct local_keys *p, const char *name, uint16_t *index, struct err *err)
{
	int found = session_look_up(p->s, name, err);

	if (found < 0)
		return -1;
	*index = (uint16_t)found;
	return 0;
}

static int
take_copy(char copy[VALUE_MAX], const char *value, struct err *err)
{
	if (strlen(value) >= VALUE_MAX)
		return err_set(err, "too long");
	strcpy(copy, value);
	return 0;
}

/* "WHAT for PARTY ...": cut off WHAT, leave the first name in ${*name} and the rest for
 * strtok_r(). -1 when it has another form. */
static int
split_for(char *text, char **what, char **name, char **save)
{
	char *word;

	*what = strtok_r(text, " \t", save);
	word = strtok_r(NULL, " \t", save);
	*name = strtok_r(NULL, " \t", save);
	return *what == NULL || word == NULL || strcmp(word, "for") != 0 || *name == NULL
		   ? -1
		   : 0;
}

/* --- expose --- */

/* Cut "/udp" or "/tcp" off ${text}. */
static bool
cut_udp(char *text)
{
	size_t len = strlen(text);
	bool udp = len > 4 && strcmp(text + len - 4, "/udp") == 0;

	if (udp || (len > 4 && strcmp(text + len - 4, "/tcp") == 0))
		text[len - 4] = '\0';
	return udp;
}

/* LOW-HIGH behind the last colon, if any: cut "-HIGH" off. */
static int
cut_range(char *text, uint16_t *last, struct err *err)
{
	char *colon = strrchr(text, ':');
	char *dash = strchr(colon != NULL ? colon : text, '-');

	*last = 0;
	if (dash == NULL || strncmp(text, TARGET_UNIX, strlen(TARGET_UNIX)) == 0)
		return 0;
	if (port_parse(last, dash + 1) != 0)
		return err_set(err, "a range of ports is LOW-HIGH, as in 8000-8010");
	*dash = '\0';
	return 0;
}

/* What is exposed, without for whom. */
static int
parse_exposed(struct expose *e, char *what, struct err *err)
{
	uint16_t last;

	e->udp = strncmp(what, TARGET_UNIX, strlen(TARGET_UNIX)) != 0 && cut_udp(what);
	if (cut_range(what, &last, err) != 0 || target_parse(&e->first, what, err) != 0)
		return -1;
	e->last = last != 0 ? last : e->first.port;
	if (e->last < e->first.port)
		return err_set(err, "the range %u-%u is empty", e->first.port, e->last);
	return 0;
}

static int
add_one_expose(struct local_keys *p, const struct expose *what, const char *name,
	       struct err *err)
{
	struct local *l = p->l;
	struct expose *e = &l->expose[l->n_expose];

	if (l->n_expose == LOCAL_EXPOSE_MAX)
		return err_set(err, "more than %d ports and parties are exposed",
			       LOCAL_EXPOSE_MAX);
	*e = *what;
	e->for_all = strcmp(name, "all") == 0;
	if (!e->for_all && find_party(p, name, &e->party, err) != 0)
		return -1;
	l->n_expose++;
	return 0;
}

int
local_add_expose(struct local_keys *p, const char *value, struct err *err)
{
	struct expose e = {.line = p->line};
	char copy[VALUE_MAX];
	char *save, *what, *name, *last;
	bool unsafe;

	if (take_copy(copy, value, err) != 0)
		return -1;
	last = strrchr(copy, ' ');
	unsafe = last != NULL && strcmp(last + 1, "unsafe") == 0;
	if (unsafe)
		*last = '\0';
	if (split_for(copy, &what, &name, &save) != 0)
		return err_set(err, "expected `PORT for PARTY` or `PORT for all`, as in "
				    "`8888 for carol`");
	if (parse_exposed(&e, what, err) != 0)
		return -1;
	if (e.first.host[0] != '\0' && !target_is_unix(&e.first) && !unsafe)
		return err_set(err,
			       "%s is another machine, whom the party would reach in your "
			       "name: if that is meant, write `unsafe` at the end",
			       e.first.host);
	for (; name != NULL; name = strtok_r(NULL, " \t", &save)) {
		if (add_one_expose(p, &e, name, err) != 0)
			return -1;
	}
	return 0;
}

bool
local_exposes(const struct local *l, const struct target *t, bool udp, size_t party)
{
	for (size_t i = 0; i < l->n_expose; i++) {
		const struct expose *e = &l->expose[i];
		struct target at = e->first;

		if (e->udp != udp || !(e->for_all || e->party == party))
			continue;
		if (t->port >= e->first.port && t->port <= e->last)
			at.port = t->port;
		if (target_equal(&at, t))
			return true;
	}
	return false;
}

/* --- forward --- */

int
forward_parse(struct forward *f, const struct session *s, const char *at, const char *to,
	      struct err *err)
{
	char name[SESSION_NAME_MAX + 1];
	struct local_keys p = {.s = s};

	if (endpoint_parse(&f->at, at, err) != 0 ||
	    target_parse_at(name, sizeof name, &f->target, to, err) != 0)
		return -1;
	return find_party(&p, name, &f->party, err);
}

static int
add_forward(struct local_keys *p, const char *at, const char *to, struct err *err)
{
	struct local *l = p->l;
	struct forward *f = &l->forward[l->n_forward];

	if (l->n_forward == LOCAL_FORWARD_MAX)
		return err_set(err, "more than %d ports are forwarded",
			       LOCAL_FORWARD_MAX);
	f->line = p->line;
	if (forward_parse(f, p->s, at, to, err) != 0)
		return -1;
	l->n_forward++;
	return 0;
}

int
local_add_forward(struct local_keys *p, const char *value, struct err *err)
{
	char copy[VALUE_MAX];
	char *to;

	if (take_copy(copy, value, err) != 0)
		return -1;
	to = strstr(copy, " to ");
	if (to == NULL)
		return err_set(err, "expected `PORT to PARTY:PORT`, as in `9000 to "
				    "carol:8888`");
	*to = '\0';
	to += strlen(" to ");
	return add_forward(p, copy, to + strspn(to, " \t"), err);
}

/* inih ends a key at the first `=` or `:`, so that of `unix:/path = bob:80` it makes the
 * key `unix`; what is left of the `=` is the listener all the same. */
int
local_take_forward(struct local_keys *p, const struct ini_entry *e, struct err *err)
{
	char copy[VALUE_MAX];
	char *to;

	if (strlen(e->key) + strlen(e->value) + 2 > sizeof copy)
		return err_set(err, "too long");
	p->line = e->line;
	to = strchr(e->value, '=');
	if (to == NULL)
		return add_forward(p, e->key, e->value, err);
	snprintf(copy, sizeof copy, "%s:%.*s", e->key, (int)(to - e->value), e->value);
	for (size_t n = strlen(copy); n > 0 && (copy[n - 1] == ' ' || copy[n - 1] == '\t');)
		copy[--n] = '\0';
	to++;
	return add_forward(p, copy, to + strspn(to, " \t"), err);
}

/* --- limits --- */

static int
add_limit(struct local_keys *p, enum limit_kind kind, uint64_t value, const char *name,
	  struct err *err)
{
	struct local *l = p->l;
	struct limit *one = &l->limit[l->n_limit];

	if (l->n_limit == LOCAL_LIMITS_MAX)
		return err_set(err, "more than %d limits", LOCAL_LIMITS_MAX);
	*one = (struct limit){.kind = kind, .value = value};
	one->for_all = strcmp(name, "all") == 0;
	if (!one->for_all && find_party(p, name, &one->party, err) != 0)
		return -1;
	l->n_limit++;
	return 0;
}

/* A number and one of the letters in ${units}; ${factors} says how many each is. */
static int
parse_amount(uint64_t *out, const char *text, const char *units, const uint64_t *factors,
	     uint64_t max)
{
	char digits[24];
	size_t n = strspn(text, "0123456789");
	const char *unit = text[n] != '\0' ? strchr(units, text[n]) : NULL;

	if (n == 0 || n >= sizeof digits ||
	    (text[n] != '\0' && (unit == NULL || text[n + 1] != '\0')))
		return -1;
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (number_parse(out, digits, 1, max) != 0)
		return -1;
	if (unit == NULL)
		return 0;
	if (*out > max / factors[unit - units])
		return -1;
	*out *= factors[unit - units];
	return 0;
}

int
local_add_limit(struct local_keys *p, enum limit_kind kind, const char *value,
		struct err *err)
{
	static const uint64_t one[] = {1}, bytes[] = {1000, 1000 * 1000, 1000 * 1000 * 1000},
			      seconds[] = {1, 60, 3600};
	static const struct {
		const char *units;
		const uint64_t *factors;
		uint64_t max;
		const char *form;
	} kinds[] = {
	    [LIMIT_STREAMS] = {"", one, LOCAL_STREAMS_MAX, "NUMBER for PARTY, as in "
							   "`100 for bob`"},
	    [LIMIT_RATE] = {"kMG", bytes, LOCAL_RATE_MAX,
			    "BYTES for PARTY, each second, as in `500k for bob` or "
			    "`10M for all`"},
	    [LIMIT_IDLE] = {"smh", seconds, LOCAL_IDLE_MAX,
			    "TIME for PARTY, as in `30m for all`"},
	};
	char copy[VALUE_MAX];
	char *save, *what, *name;
	uint64_t amount;

	if (take_copy(copy, value, err) != 0)
		return -1;
	if (split_for(copy, &what, &name, &save) != 0 ||
	    parse_amount(&amount, what, kinds[kind].units, kinds[kind].factors,
			 kinds[kind].max) != 0)
		return err_set(err, "expected %s", kinds[kind].form);
	for (; name != NULL; name = strtok_r(NULL, " \t", &save)) {
		if (add_limit(p, kind, amount, name, err) != 0)
			return -1;
	}
	return 0;
}

uint64_t
local_limit(const struct local *l, enum limit_kind kind, size_t party)
{
	uint64_t all = 0;

	for (size_t i = 0; i < l->n_limit; i++) {
		const struct limit *one = &l->limit[i];

		if (one->kind != kind)
			continue;
		if (!one->for_all && one->party == party)
			return one->value;
		if (one->for_all)
			all = one->value;
	}
	return all;
}

/* --- users --- */

int
local_set_users(struct local_keys *p, const char *value, struct err *err)
{
	struct owner_users *users = &p->l->users;
	char quoted[QUOTE_MAX + 1];
	char copy[VALUE_MAX];
	char *save, *name;

	if (take_copy(copy, value, err) != 0)
		return -1;
	for (name = strtok_r(copy, " \t", &save); name != NULL;
	     name = strtok_r(NULL, " \t", &save)) {
		const struct passwd *pw = getpwnam(name);
		uint64_t uid;

		if (users->n == OWNER_USERS_MAX)
			return err_set(err, "more than %d users", OWNER_USERS_MAX);
		if (pw != NULL)
			users->uid[users->n++] = pw->pw_uid;
		else if (number_parse(&uid, name, 0, UINT32_MAX - 1) == 0)
			users->uid[users->n++] = (uid_t)uid;
		else
			return err_set(err, "this machine has no user `%s`",
				       log_clean(quoted, sizeof quoted, name,
						 strlen(name)));
	}
	return 0;
}
