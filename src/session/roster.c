#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/base64url.h"
#include "base/bytes.h"
#include "session/roster.h"

#define FORMAT_VERSION 1

/* What a signature begins with: nothing that TLS signs does (RFC 8446, 4.4.3). */
static const char sign_label[] = "mpcproxy/1 roster";

#define SIGNED_MAX (sizeof sign_label + ROSTER_MAX)

static const char *const policy_text[] =
    {[PATH_ANY] = "any", [PATH_DIRECT] = "direct", [PATH_RELAY] = "relay"};

/* --- encoding --- */

static void
write_text(struct writer *w, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT8_MAX)
		w->ok = false;
	write_u8(w, (uint8_t)len);
	write_bytes(w, text, len);
}

static void
write_urls(struct writer *w, const struct url *urls, size_t n)
{
	char text[URL_PATH_MAX + 128];

	write_u8(w, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		url_format(&urls[i], text, sizeof text);
		if (strlen(text) > ROSTER_URL_MAX)
			w->ok = false;
		write_text(w, text);
	}
}

int
roster_encode(const struct session *s, uint8_t out[ROSTER_MAX], struct err *err)
{
	struct writer w;

	if (s->n_parties > ROSTER_PARTIES_MAX)
		return err_set(err,
			       "a session made by invitation has at most %d parties: for "
			       "more, write session.ini by hand",
			       ROSTER_PARTIES_MAX);
	writer_init(&w, out, ROSTER_MAX);
	write_u8(&w, FORMAT_VERSION);
	write_u64(&w, s->version);
	write_bytes(&w, s->host.point, PUBKEY_BYTES);
	write_text(&w, s->name);
	write_u8(&w, (uint8_t)s->policy);
	write_urls(&w, s->rendezvous, s->n_rendezvous);
	write_urls(&w, s->stun, s->n_stun);
	write_urls(&w, s->turn, s->n_turn);
	write_u8(&w, (uint8_t)s->n_parties);
	for (size_t i = 0; i < s->n_parties; i++) {
		write_text(&w, s->parties[i].name);
		write_bytes(&w, s->parties[i].key.point, PUBKEY_BYTES);
		write_u8(&w, (uint8_t)s->parties[i].policy);
	}
	if (!w.ok)
		return err_set(err, "the addresses of the session's servers are too "
				    "long");
	return (int)w.len;
}

/* --- as text --- */

static void
print_urls(FILE *out, const char *key, const struct url *urls, size_t n)
{
	char text[URL_PATH_MAX + 128];

	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s = %s\n", key, url_format(&urls[i], text, sizeof text));
}

void
roster_write_ini(FILE *out, const struct session *s)
{
	char text[BASE64URL_CHARS(SESSION_SIGNATURE_MAX) + 1], key[PUBKEY_TEXT_BYTES];

	fprintf(out,
		"# Made by invitation, and signed by the one who invited: changes by hand "
		"are refused.\n# There, `mpcproxy invite %s --add 1` and `mpcproxy revoke "
		"%s NAME` change it.\n",
		s->name, s->name);
	fprintf(out, "[session]\nname = %s\nversion = %llu\nhost = %s\n", s->name,
		(unsigned long long)s->version, pubkey_format(&s->host, key));
	if (s->signature_len > 0)
		fprintf(out, "signature = %s\n",
			base64url_encode(text, s->signature, s->signature_len));
	print_urls(out, "rendezvous", s->rendezvous, s->n_rendezvous);
	print_urls(out, "stun", s->stun, s->n_stun);
	print_urls(out, "turn", s->turn, s->n_turn);
	if (s->policy != PATH_ANY)
		fprintf(out, "path = %s\n", policy_text[s->policy]);
	for (size_t i = 0; i < s->n_parties; i++) {
		const struct party *p = &s->parties[i];

		fprintf(out, "\n[party %s]\nkey = %s\n", p->name,
			pubkey_format(&p->key, key));
		if (p->policy != s->policy)
			fprintf(out, "path = %s\n", policy_text[p->policy]);
	}
}

/* --- decoding: to text, which the parser of session.ini then judges --- */

/* A string of printable characters: nothing that could begin a line of its own. */
static int
read_text(struct reader *r, char out[UINT8_MAX + 1], size_t max)
{
	size_t len = read_u8(r);
	const uint8_t *p = read_bytes(r, len);

	if (p == NULL || len == 0 || len > max)
		return -1;
	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return -1;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

static int
copy_urls(FILE *out, struct reader *r, const char *key)
{
	size_t n = read_u8(r);
	char text[UINT8_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		if (read_text(r, text, ROSTER_URL_MAX) != 0)
			return -1;
		fprintf(out, "%s = %s\n", key, text);
	}
	return r->ok ? 0 : -1;
}

static const char *
read_policy(struct reader *r)
{
	uint8_t policy = read_u8(r);

	return policy < sizeof policy_text / sizeof *policy_text ? policy_text[policy]
								  : NULL;
}

static int
copy_parties(FILE *out, struct reader *r)
{
	size_t n = read_u8(r);
	char name[UINT8_MAX + 1], text[PUBKEY_TEXT_BYTES];
	const char *policy;
	struct pubkey key;

	if (n > ROSTER_PARTIES_MAX)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (read_text(r, name, SESSION_NAME_MAX) != 0)
			return -1;
		read_copy(r, key.point, PUBKEY_BYTES);
		policy = read_policy(r);
		if (!r->ok || policy == NULL)
			return -1;
		fprintf(out, "[party %s]\nkey = %s\npath = %s\n", name,
			pubkey_format(&key, text), policy);
	}
	return 0;
}

static int
copy_all(FILE *out, struct reader *r)
{
	char name[UINT8_MAX + 1], text[PUBKEY_TEXT_BYTES];
	const char *policy;
	struct pubkey host;
	uint64_t version;

	if (read_u8(r) != FORMAT_VERSION)
		return -1;
	version = read_u64(r);
	read_copy(r, host.point, PUBKEY_BYTES);
	if (read_text(r, name, SESSION_NAME_MAX) != 0)
		return -1;
	policy = read_policy(r);
	if (!r->ok || policy == NULL)
		return -1;
	fprintf(out, "[session]\nname = %s\nversion = %llu\nhost = %s\npath = %s\n", name,
		(unsigned long long)version, pubkey_format(&host, text), policy);
	if (copy_urls(out, r, "rendezvous") != 0 || copy_urls(out, r, "stun") != 0 ||
	    copy_urls(out, r, "turn") != 0 || copy_parties(out, r) != 0)
		return -1;
	return reader_done(r) ? 0 : -1;
}

struct session *
roster_decode(const uint8_t *data, size_t len, struct err *err)
{
	static const char malformed[] = "a roster in a form that is not ours";
	uint8_t again[ROSTER_MAX];
	struct session *s = NULL;
	char *text = NULL;
	size_t text_len = 0;
	struct reader r;
	FILE *out;
	int rc;

	if (len > ROSTER_MAX || (out = open_memstream(&text, &text_len)) == NULL) {
		err_set(err, "%s", malformed);
		return NULL;
	}
	reader_init(&r, data, len);
	rc = copy_all(out, &r);
	if (fclose(out) == 0 && rc == 0)
		s = session_parse_draft("roster", text, text_len, err);
	else
		err_set(err, "%s", malformed);
	free(text);
	/* Nothing in it that the text would not say. */
	if (s != NULL && (roster_encode(s, again, err) != (int)len ||
			  memcmp(again, data, len) != 0)) {
		err_set(err, "%s", malformed);
		session_free(s);
		s = NULL;
	}
	return s;
}

/* --- signatures --- */

static size_t
signed_bytes(uint8_t out[SIGNED_MAX], const uint8_t *roster, size_t len)
{
	memcpy(out, sign_label, sizeof sign_label);
	memcpy(out + sizeof sign_label, roster, len);
	return sizeof sign_label + len;
}

static int
verify(const struct pubkey *host, const uint8_t *signature, size_t signature_len,
       const uint8_t *roster, size_t len)
{
	uint8_t message[SIGNED_MAX];
	size_t message_len = signed_bytes(message, roster, len);
	EVP_PKEY *key = pubkey_to_evp(host);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	if (key != NULL && ctx != NULL && signature_len > 0 &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, signature, signature_len, message, message_len) == 1)
		rc = 0;
	else
		ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

int
roster_verify(const struct session *s, struct err *err)
{
	uint8_t roster[ROSTER_MAX];
	int len = roster_encode(s, roster, err);

	if (len < 0)
		return -1;
	if (verify(&s->host, s->signature, s->signature_len, roster, (size_t)len) != 0)
		return err_set(err, "the signature is not of the session's host");
	return 0;
}

int
roster_set_signature(struct session *s, const uint8_t *signature, size_t len,
		     struct err *err)
{
	if (len > sizeof s->signature)
		return err_set(err, "the signature is too long");
	memcpy(s->signature, signature, len);
	s->signature_len = len;
	return roster_verify(s, err);
}

int
roster_sign(struct session *s, const struct identity *host, struct err *err)
{
	uint8_t roster[ROSTER_MAX], message[SIGNED_MAX];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t message_len;
	int len, rc = -1;

	s->host = *identity_pubkey(host);
	s->signature_len = sizeof s->signature;
	len = roster_encode(s, roster, err);
	if (len < 0)
		goto out;
	message_len = signed_bytes(message, roster, (size_t)len);
	if (ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, identity_evp(host)) == 1 &&
	    EVP_DigestSign(ctx, s->signature, &s->signature_len, message, message_len) ==
		1)
		rc = session_update_digest(s);
	if (rc != 0)
		err_ssl(err, "the roster cannot be signed");
out:
	EVP_MD_CTX_free(ctx);
	if (rc != 0)
		s->signature_len = 0;
	return rc;
}

int
roster_pack(const struct session *s, uint8_t out[ROSTER_SIGNED_MAX], struct err *err)
{
	uint8_t roster[ROSTER_MAX];
	int len = roster_encode(s, roster, err);
	struct writer w;

	if (len < 0)
		return -1;
	writer_init(&w, out, ROSTER_SIGNED_MAX);
	write_u8(&w, (uint8_t)s->signature_len);
	write_bytes(&w, s->signature, s->signature_len);
	write_bytes(&w, roster, (size_t)len);
	return (int)w.len;
}

struct session *
roster_unpack(const uint8_t *data, size_t len, const struct pubkey *host, struct err *err)
{
	struct session *s;
	const uint8_t *signature;
	size_t signature_len;
	struct reader r;

	reader_init(&r, data, len);
	signature_len = read_u8(&r);
	signature = read_bytes(&r, signature_len);
	if (signature == NULL || signature_len > SESSION_SIGNATURE_MAX ||
	    r.left > ROSTER_MAX ||
	    verify(host, signature, signature_len, r.p, r.left) != 0) {
		err_set(err, "a roster without the signature of the session's host");
		return NULL;
	}
	s = roster_decode(r.p, r.left, err);
	if (s == NULL)
		return NULL;
	if (!pubkey_equal(&s->host, host) ||
	    roster_set_signature(s, signature, signature_len, err) != 0) {
		err_set(err, "a roster that names another host than the one who signed "
			     "it");
		session_free(s);
		return NULL;
	}
	return s;
}
