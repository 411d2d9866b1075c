#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/base64url.h"
#include "base/bytes.h"
#include "session/ticket.h"

#define VERSION        1
#define CHECKSUM_BYTES 4
#define BYTES_MAX      ((TICKET_TEXT_MAX - (sizeof TICKET_PREFIX - 1)) * 3 / 4)

/* Version, length, secret, host, expiry, kind. */
#define HEAD_BYTES (1 + 1 + TICKET_SECRET_BYTES + PUBKEY_BYTES + 4 + 1)
#define BYTES_MIN  (HEAD_BYTES + 1 + CHECKSUM_BYTES)

_Static_assert(BYTES_MAX <= UINT8_MAX, "the length has one byte");

/* How the rendezvous is written. */
enum kind {
	KIND_HOSTS = 0, /* a mailbox with the host's own key: port (2), host */
	KIND_TLS = 1,   /* a mailbox: key (33), port (2), host */
	KIND_URL = 2,   /* anything else: its URL */
};

static int
checksum(uint8_t out[CHECKSUM_BYTES], const uint8_t *data, size_t len)
{
	static const char label[] = "mpcproxy ticket";
	uint8_t in[sizeof label + BYTES_MAX], digest[EVP_MAX_MD_SIZE];
	struct writer w;
	int rc = -1;

	writer_init(&w, in, sizeof in);
	write_bytes(&w, label, sizeof label);
	write_bytes(&w, data, len);
	if (w.ok && EVP_Digest(in, w.len, digest, NULL, EVP_sha256(), NULL) == 1) {
		memcpy(out, digest, CHECKSUM_BYTES);
		rc = 0;
	}
	OPENSSL_cleanse(in, sizeof in);
	return rc;
}

/* The rest of a ticket as text. Where it goes is checked by url_parse(), as everywhere. */
static int
read_text(struct reader *r, char *out, size_t size)
{
	size_t len = r->left;
	const uint8_t *p = read_bytes(r, len);

	if (p == NULL || len == 0 || len >= size || memchr(p, '\0', len) != NULL)
		return -1;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

static int
read_rendezvous(struct ticket *t, struct reader *r)
{
	char host[BYTES_MAX + 1], text[URL_HOST_MAX + 128];
	struct url named = {.scheme = URL_TLS, .key = t->host};
	uint8_t kind = read_u8(r);
	struct err err;

	if (kind == KIND_URL) {
		if (read_text(r, text, sizeof text) != 0 ||
		    url_parse(&t->rendezvous, URL_KIND_RENDEZVOUS, text, &err) != 0 ||
		    t->rendezvous.scheme == URL_TLS)
			return -1;
	} else if (kind == KIND_HOSTS || kind == KIND_TLS) {
		if (kind == KIND_TLS)
			read_copy(r, named.key.point, PUBKEY_BYTES);
		named.port = read_u16(r);
		if (read_text(r, host, sizeof host) != 0 ||
		    (kind == KIND_TLS && pubkey_equal(&named.key, &t->host)))
			return -1;
		memcpy(named.host, host, strlen(host) + 1);
		url_format(&named, text, sizeof text);
		if (url_parse(&t->rendezvous, URL_KIND_RENDEZVOUS, text, &err) != 0 ||
		    strcmp(t->rendezvous.host, host) != 0)
			return -1;
	} else {
		return -1;
	}
	return 0;
}

static int
decode(struct ticket *t, const uint8_t *data, size_t len)
{
	struct reader r;

	memset(t, 0, sizeof *t);
	reader_init(&r, data, len);
	read_u8(&r); /* version */
	read_u8(&r); /* length */
	read_copy(&r, t->secret, sizeof t->secret);
	read_copy(&r, t->host.point, PUBKEY_BYTES);
	t->expires_s = read_u32(&r);
	if (!r.ok || pubkey_from_bytes(&t->host, t->host.point) != 0)
		return -1;
	return read_rendezvous(t, &r) == 0 && reader_done(&r) ? 0 : -1;
}

/* What can be said of a text that is no ticket. */
static int
explain(const uint8_t *data, ssize_t len, struct err *err)
{
	if (len >= 1 && data[0] != VERSION)
		return err_set(err, "this ticket is of another version of mpcproxy, or "
				    "mistyped: compare it with the one you were sent");
	if (len >= 2 && len < data[1])
		return err_set(err,
			       "this ticket was cut: about %zu characters are missing at "
			       "its end; copy the whole of it",
			       BASE64URL_CHARS((size_t)data[1] - (size_t)len));
	if (len >= 2 && len > data[1])
		return err_set(err, "something is appended to this ticket: copy it alone");
	return err_set(err, "this ticket is mistyped: copy it again from where you were "
			    "sent it");
}

int
ticket_parse(struct ticket *t, const char *text, struct err *err)
{
	const size_t prefix = strlen(TICKET_PREFIX);
	uint8_t data[BYTES_MAX + 1], sum[CHECKSUM_BYTES];
	size_t len = strlen(text), bad;
	ssize_t n;
	int rc = -1;

	if (strncmp(text, TICKET_PREFIX, prefix) != 0)
		return err_set(err, "a ticket begins with " TICKET_PREFIX
				    ", as `mpcproxy invite` prints it");
	if (len > TICKET_TEXT_MAX)
		return err_set(err,
			       "a ticket has at most %d characters and this has %zu: copy "
			       "it alone",
			       TICKET_TEXT_MAX, len);
	n = base64url_decode(data, sizeof data, text + prefix, len - prefix, &bad);
	if (n < 0 && bad < len - prefix)
		return err_set(err,
			       "character %zu of the ticket is none that a ticket has "
			       "(letters, digits, `-` and `_`): copy it again",
			       prefix + bad + 1);
	if (n < 0) {
		/* Cut inside of a byte: see how much of it there is. */
		n = base64url_decode(data, sizeof data, text + prefix, len - prefix - 1,
				     &bad);
		if (n < 0)
			n = base64url_decode(data, sizeof data, text + prefix,
					     (len - prefix) / 4 * 4, &bad);
		explain(data, n, err);
	} else if (n < 2 || data[0] != VERSION || data[1] != n || n < (ssize_t)BYTES_MIN) {
		explain(data, n, err);
	} else if (checksum(sum, data, (size_t)n - sizeof sum) != 0 ||
		   CRYPTO_memcmp(sum, data + n - sizeof sum, sizeof sum) != 0 ||
		   decode(t, data, (size_t)n - sizeof sum) != 0) {
		explain(data, n, err);
	} else {
		rc = 0;
	}
	OPENSSL_cleanse(data, sizeof data);
	return rc;
}

static int
write_rendezvous(struct writer *w, const struct ticket *t, struct err *err)
{
	const struct url *url = &t->rendezvous;
	char text[URL_PATH_MAX + 128];
	bool hosts = url->scheme == URL_TLS && pubkey_equal(&url->key, &t->host);

	if (url->scheme == URL_TLS) {
		write_u8(w, hosts ? KIND_HOSTS : KIND_TLS);
		if (!hosts)
			write_bytes(w, url->key.point, PUBKEY_BYTES);
		write_u16(w, url->port);
		write_bytes(w, url->host, strlen(url->host));
	} else {
		write_u8(w, KIND_URL);
		url_format(url, text, sizeof text);
		write_bytes(w, text, strlen(text));
	}
	if (!w->ok || w->left < CHECKSUM_BYTES)
		return err_set(err,
			       "the rendezvous %s is too long for a ticket: use a shorter "
			       "name",
			       url_format_public(url, text, sizeof text));
	return 0;
}

int
ticket_format(const struct ticket *t, char out[TICKET_TEXT_MAX + 1], struct err *err)
{
	uint8_t data[BYTES_MAX], sum[CHECKSUM_BYTES];
	struct writer w;
	int rc = -1;

	writer_init(&w, data, sizeof data);
	write_u8(&w, VERSION);
	write_u8(&w, 0);
	write_bytes(&w, t->secret, sizeof t->secret);
	write_bytes(&w, t->host.point, PUBKEY_BYTES);
	write_u32(&w, (uint32_t)t->expires_s);
	if (write_rendezvous(&w, t, err) != 0)
		goto out;
	data[1] = (uint8_t)(w.len + sizeof sum);
	if (checksum(sum, data, w.len) != 0) {
		err_ssl(err, "SHA-256 is not to be had");
		goto out;
	}
	write_bytes(&w, sum, sizeof sum);
	strcpy(out, TICKET_PREFIX);
	base64url_encode(out + strlen(TICKET_PREFIX), data, w.len);
	rc = 0;
out:
	OPENSSL_cleanse(data, sizeof data);
	return rc;
}

int
ticket_psk(const struct ticket *t, uint8_t psk[TICKET_PSK_BYTES])
{
	static const char label[] = "mpcproxy/1 ticket psk";
	uint8_t in[sizeof label + TICKET_SECRET_BYTES];
	int ok;

	memcpy(in, label, sizeof label);
	memcpy(in + sizeof label, t->secret, TICKET_SECRET_BYTES);
	ok = EVP_Digest(in, sizeof in, psk, NULL, EVP_sha256(), NULL);
	OPENSSL_cleanse(in, sizeof in);
	return ok == 1 ? 0 : -1;
}
