#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/base64url.h"
#include "base/log.h"
#include "base/nearest.h"
#include "session/ini.h"
#include "session/local.h"
#include "session/roster.h"
#include "session/session.h"

#define N(array)     (sizeof(array) / sizeof *(array))
#define PARTIES_MIN  2
#define PARTY_PREFIX "party "

/* How much of something from the file an error message repeats. */
#define QUOTE_MAX 49

struct parse {
	struct session *s;
	bool in_party; /* the section at hand: the last party's, or [session] */
	bool session_seen;
	unsigned seen; /* its keys, one bit each */
	unsigned line;
	bool own_policy[SESSION_PARTIES_MAX]; /* a party has a path of its own */
};

/* A key of a section. ${set} gets what it is for: the session or the party. */
struct key {
	const char *name;
	int (*set)(struct parse *p, const char *value, struct err *err);
	bool repeats;
};

static char *
quote(char out[QUOTE_MAX + 1], const char *text)
{
	return log_clean(out, QUOTE_MAX + 1, text, strlen(text));
}

int
session_name_parse(char out[SESSION_NAME_MAX + 1], const char *text, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	char quoted[QUOTE_MAX + 1];
	size_t len = strlen(text);

	if (len == 0 || len > SESSION_NAME_MAX || strspn(text, allowed) != len)
		return err_set(err,
			       "the name `%s` must be 1 to %d of a-z, 0-9 and `-` (it "
			       "becomes part of file names)",
			       quote(quoted, text), SESSION_NAME_MAX);
	memcpy(out, text, len + 1);
	return 0;
}

static int
parse_policy(enum path_policy *policy, const char *text, struct err *err)
{
	static const char *const words[] =
	    {[PATH_ANY] = "any", [PATH_DIRECT] = "direct", [PATH_RELAY] = "relay"};

	for (size_t i = 0; i < N(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*policy = (enum path_policy)i;
			return 0;
		}
	}
	return err_set(err, "path is any, direct or relay");
}

static struct party *
last_party(struct parse *p)
{
	return &p->s->parties[p->s->n_parties - 1];
}

static int
set_name(struct parse *p, const char *value, struct err *err)
{
	return session_name_parse(p->s->name, value, err);
}

static int
set_policy(struct parse *p, const char *value, struct err *err)
{
	return parse_policy(&p->s->policy, value, err);
}

/* Append to one of the lists of servers. */
static int
add_server(const struct parse *p, struct url **list, size_t *n, enum url_kind kind,
	   const char *value, struct err *err)
{
	static const char *const what[] = {[URL_KIND_RENDEZVOUS] = "rendezvous",
					   [URL_KIND_STUN] = "stun",
					   [URL_KIND_TURN] = "turn"};
	struct err why;

	if (*n == SESSION_SERVERS_MAX)
		return err_set(err, "more than %d lines with %s", SESSION_SERVERS_MAX,
			       what[kind]);
	if (*list == NULL)
		*list = calloc(SESSION_SERVERS_MAX, sizeof **list);
	if (*list == NULL)
		return err_set(err, "out of memory");
	if (url_parse(&(*list)[*n], kind, value, &why) != 0)
		return err_set(err, "%s: %s", what[kind], why.text);
	(*list)[*n].line = p->line;
	++*n;
	return 0;
}

static int
add_rendezvous(struct parse *p, const char *value, struct err *err)
{
	return add_server(p, &p->s->rendezvous, &p->s->n_rendezvous, URL_KIND_RENDEZVOUS,
			  value, err);
}

static int
add_stun(struct parse *p, const char *value, struct err *err)
{
	return add_server(p, &p->s->stun, &p->s->n_stun, URL_KIND_STUN, value, err);
}

static int
add_turn(struct parse *p, const char *value, struct err *err)
{
	return add_server(p, &p->s->turn, &p->s->n_turn, URL_KIND_TURN, value, err);
}

static int
set_party_key(struct parse *p, const char *value, struct err *err)
{
	struct pubkey key;
	struct err why;
	int other;

	if (pubkey_parse(&key, value, &why) != 0)
		return err_set(err, "the key of %s: %s", last_party(p)->name, why.text);
	other = session_find_key(p->s, &key);
	if (other >= 0)
		return err_set(err,
			       "%s has the same key as %s (line %u): every party makes "
			       "its own with `mpcproxy keygen`",
			       last_party(p)->name, p->s->parties[other].name,
			       p->s->parties[other].line);
	last_party(p)->key = key;
	return 0;
}

static int
set_party_policy(struct parse *p, const char *value, struct err *err)
{
	p->own_policy[p->s->n_parties - 1] = true;
	return parse_policy(&last_party(p)->policy, value, err);
}

static int
set_version(struct parse *p, const char *value, struct err *err)
{
	if (number_parse(&p->s->version, value, 1, UINT64_MAX) != 0)
		return err_set(err, "version is a number from 1");
	return 0;
}

static int
set_host(struct parse *p, const char *value, struct err *err)
{
	struct err why;

	if (pubkey_parse(&p->s->host, value, &why) != 0)
		return err_set(err, "the host's key: %s", why.text);
	return 0;
}

static int
set_signature(struct parse *p, const char *value, struct err *err)
{
	struct session *s = p->s;
	size_t bad;
	ssize_t n = base64url_decode(s->signature, sizeof s->signature, value,
				     strlen(value), &bad);

	if (n <= 0)
		return err_set(err, "the signature is damaged");
	s->signature_len = (size_t)n;
	return 0;
}

static const struct key session_keys[] = {
    {"name", set_name, false},       {"rendezvous", add_rendezvous, true},
    {"stun", add_stun, true},        {"turn", add_turn, true},
    {"path", set_policy, false},     {"version", set_version, false},
    {"host", set_host, false},       {"signature", set_signature, false},
};

static const struct key party_keys[] = {
    {"key", set_party_key, false},
    {"path", set_party_policy, false},
};

static int
unknown_key(const char *name, const struct key *keys, size_t n, struct err *err)
{
	const char *words[N(session_keys)];
	char quoted[QUOTE_MAX + 1];
	const char *near;

	if (local_is_key(name))
		return err_set(err,
			       "`%s` concerns one machine alone, and whoever writes this "
			       "shared file must not decide it: put it into [local] of "
			       "that machine's local.ini",
			       name);
	for (size_t i = 0; i < n; i++)
		words[i] = keys[i].name;
	near = nearest(name, words, n);
	quote(quoted, name);
	if (near != NULL)
		return err_set(err, "unknown key `%s`: did you mean `%s`?", quoted, near);
	if (keys == party_keys)
		return err_set(err, "unknown key `%s`: a party has key and path", quoted);
	return err_set(err,
		       "unknown key `%s`: [session] has name, rendezvous, stun, turn and "
		       "path",
		       quoted);
}

static int
take_key(struct parse *p, const struct ini_entry *e, struct err *err)
{
	const struct key *keys = p->in_party ? party_keys : session_keys;
	size_t n = p->in_party ? N(party_keys) : N(session_keys);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(e->key, keys[i].name) != 0)
			continue;
		if (!keys[i].repeats && (p->seen & 1U << i) != 0)
			return err_set(err,
				       "`%s` for the second time in [%s]: leave one out",
				       e->key, e->section);
		p->seen |= 1U << i;
		return keys[i].set(p, e->value, err);
	}
	return unknown_key(e->key, keys, n, err);
}

static int
start_party(struct parse *p, const char *name, unsigned line, struct err *err)
{
	struct session *s = p->s;
	struct party *party;
	int other;

	if (s->n_parties == SESSION_PARTIES_MAX)
		return err_set(err, "more than %d parties", SESSION_PARTIES_MAX);
	party = &s->parties[s->n_parties];
	if (session_name_parse(party->name, name, err) != 0)
		return -1;
	if (strcmp(name, "all") == 0)
		return err_set(err, "no party can be called `all`: in local.ini that "
				    "means every party");
	other = session_find_name(s, name);
	if (other >= 0)
		return err_set(err, "party %s is listed already (line %u): leave one out",
			       name, s->parties[other].line);
	party->line = line;
	s->n_parties++;
	p->in_party = true;
	return 0;
}

static int
unknown_section(const char *name, struct err *err)
{
	static const char *const words[] = {"session", "party"};
	size_t len = strcspn(name, " ");
	char quoted[QUOTE_MAX + 1];
	const char *near;

	/* [Party bob] is near [party NAME]. */
	log_clean(quoted, sizeof quoted, name, len);
	near = nearest(quoted, words, N(words));
	quote(quoted, name);
	if (near == NULL)
		return err_set(err,
			       "unknown section [%s]: there are [session] and [party "
			       "NAME]",
			       quoted);
	return err_set(err, "unknown section [%s]: did you mean [%s%s]?", quoted, near,
		       strcmp(near, "party") == 0 ? " NAME" : "");
}

static int
start_section(struct parse *p, const struct ini_entry *e, struct err *err)
{
	const char *name = e->section;

	p->seen = 0;
	if (strncmp(name, PARTY_PREFIX, strlen(PARTY_PREFIX)) == 0)
		return start_party(p, name + strlen(PARTY_PREFIX), e->line, err);
	if (strcmp(name, "local") == 0 || strcmp(name, "forward") == 0)
		return err_set(err, "[%s] concerns one machine alone, and whoever "
				    "writes this shared file must not decide it: put it "
				    "into that machine's local.ini (--local FILE)", name);
	if (strcmp(name, "session") != 0)
		return unknown_section(name, err);
	if (p->session_seen)
		return err_set(err, "[session] for the second time: put all into one");
	p->session_seen = true;
	p->in_party = false;
	return 0;
}

static int
take_entry(void *arg, const struct ini_entry *e, struct err *err)
{
	struct parse *p = arg;

	p->line = e->line;
	return e->key == NULL ? start_section(p, e, err) : take_key(p, e, err);
}

/* What only the end of the file tells. */
static int
check_complete(const struct parse *p, const char *file, struct err *err)
{
	const struct session *s = p->s;

	if (!p->session_seen)
		return err_set(err, "%s: there is no [session] section", file);
	if (s->name[0] == '\0')
		return err_set(err, "%s: [session] has no name: add `name = ...`", file);
	for (size_t i = 0; i < s->n_parties; i++) {
		if (s->parties[i].key.point[0] == 0)
			return err_set(err,
				       "%s:%u: party %s has no key: add `key = ...`, as "
				       "`mpcproxy id` prints it there",
				       file, s->parties[i].line, s->parties[i].name);
	}
	if (s->n_parties < PARTIES_MIN)
		return err_set(err,
			       "%s: %s: a session has at least %d [party NAME] sections",
			       file, s->n_parties == 0 ? "no party" : "one party only",
			       PARTIES_MIN);
	return 0;
}

/* A session that was made by invitation is as its host has signed it, or nothing. */
static int
check_signed(const struct session *s, const char *file, bool draft, struct err *err)
{
	bool host = s->host.point[0] != 0, version = s->version != 0;
	bool signature = s->signature_len > 0;
	struct err why;

	if (!host && !version && !signature)
		return 0;
	if (!host || !version || signature == draft)
		return err_set(err,
			       "%s: host, version and signature belong together: a "
			       "session made by invitation has all three, one written by "
			       "hand has none",
			       file);
	if (session_find_key(s, &s->host) < 0)
		return err_set(err, "%s: the session's host is none of its parties",
			       file);
	if (!draft && roster_verify(s, &why) != 0)
		return err_set(err,
			       "%s: %s: it was changed by hand, or damaged. Get the file "
			       "from another party; or leave out host, version and "
			       "signature, which makes it a session of its own",
			       file, why.text);
	return 0;
}

static int
digest_signed(struct session *s)
{
	uint8_t roster[ROSTER_MAX];
	int len = roster_encode(s, roster, NULL);

	return len >= 0 && EVP_Digest(roster, (size_t)len, s->roster_digest, NULL,
				      EVP_sha256(), NULL) == 1
		   ? 0
		   : -1;
}

/* Lengths in front, so that no two rosters have the same bytes. */
int
session_update_digest(struct session *s)
{
	EVP_MD_CTX *ctx = s->version == 0 ? EVP_MD_CTX_new() : NULL;
	uint8_t len = (uint8_t)strlen(s->name);
	int ok;

	if (s->version != 0)
		return digest_signed(s);
	ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
		 EVP_DigestUpdate(ctx, &len, 1) && EVP_DigestUpdate(ctx, s->name, len);

	for (size_t i = 0; ok && i < s->n_parties; i++) {
		const struct party *party = &s->parties[i];

		len = (uint8_t)strlen(party->name);
		ok = EVP_DigestUpdate(ctx, &len, 1) &&
		     EVP_DigestUpdate(ctx, party->name, len) &&
		     EVP_DigestUpdate(ctx, party->key.point, PUBKEY_BYTES);
	}
	ok = ok && EVP_DigestFinal_ex(ctx, s->roster_digest, NULL);
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : -1;
}

static struct session *
parse(const char *file, const char *text, size_t len, bool draft, struct err *err)
{
	struct session *s = calloc(1, sizeof *s);
	struct parse p = {.s = s};

	if (s != NULL)
		s->parties = calloc(SESSION_PARTIES_MAX, sizeof *s->parties);
	if (s == NULL || s->parties == NULL) {
		err_set(err, "out of memory");
		goto fail;
	}
	if (ini_parse_text(file, text, len, take_entry, &p, err) != 0 ||
	    check_complete(&p, file, err) != 0)
		goto fail;
	for (size_t i = 0; i < s->n_parties; i++) {
		if (!p.own_policy[i])
			s->parties[i].policy = s->policy;
	}
	if (check_signed(s, file, draft, err) != 0)
		goto fail;
	if (session_update_digest(s) != 0) {
		err_ssl(err, "SHA-256 is not to be had");
		goto fail;
	}
	return s;

fail:
	session_free(s);
	return NULL;
}

struct session *
session_parse(const char *file, const char *text, size_t len, struct err *err)
{
	return parse(file, text, len, false, err);
}

struct session *
session_parse_draft(const char *file, const char *text, size_t len, struct err *err)
{
	return parse(file, text, len, true, err);
}

struct session *
session_load(const char *path, struct err *err)
{
	struct ini_text text;
	struct session *s;

	if (ini_text_read(&text, path, SESSION_FILE_MAX, err) != 0)
		return NULL;
	s = session_parse(path, text.data, text.len, err);
	ini_text_free(&text);
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	free(s->rendezvous);
	free(s->stun);
	free(s->turn);
	free(s->parties);
	free(s);
}

int
session_find_key(const struct session *s, const struct pubkey *key)
{
	for (size_t i = 0; i < s->n_parties; i++) {
		if (pubkey_equal(&s->parties[i].key, key))
			return (int)i;
	}
	return -1;
}

int
session_find_name(const struct session *s, const char *name)
{
	for (size_t i = 0; i < s->n_parties; i++) {
		if (strcmp(s->parties[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

int
session_look_up(const struct session *s, const char *name, struct err *err)
{
	int index = session_find_name(s, name);
	const char *words[SESSION_PARTIES_MAX];
	char quoted[QUOTE_MAX + 1];
	const char *near;

	if (index >= 0)
		return index;
	for (size_t i = 0; i < s->n_parties; i++)
		words[i] = s->parties[i].name;
	quote(quoted, name);
	near = nearest(name, words, s->n_parties);
	if (near != NULL)
		return err_set(err, "session %s has no party `%s`: did you mean `%s`?",
			       s->name, quoted, near);
	return err_set(err, "session %s has no party `%s`", s->name, quoted);
}

int
session_own_index(const struct session *s, const struct identity *id, struct err *err)
{
	char key[PUBKEY_TEXT_BYTES];
	int index = session_find_key(s, identity_pubkey(id));

	if (index < 0)
		return err_set(err,
			       "no party of session %s has this identity's key %s: list "
			       "it in session.ini, or name another identity with -i",
			       s->name, pubkey_format(identity_pubkey(id), key));
	return index;
}
