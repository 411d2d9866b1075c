#include <string.h>

#include <openssl/crypto.h>

#include "base/bytes.h"
#include "tunnel/dialogue.h"

enum {
	SOCKS_VERSION = 5,
	METHOD_NONE = 0,
	METHOD_PASSWORD = 2,
	METHOD_NOT_ACCEPTABLE = 0xff,
	PASSWORD_VERSION = 1, /* RFC 1929 */
	PASSWORD_OK = 0,
	PASSWORD_WRONG = 1,
};

/* One message of the client's, and what to answer. */
struct step {
	const char *user, *password;
	const uint8_t *in;
	size_t len, used;
	struct writer out;
};

static enum dialogue_result
choose_method(struct dialogue *d, struct step *s)
{
	uint8_t wanted = s->user != NULL ? METHOD_PASSWORD : METHOD_NONE;
	size_t n;

	/* Another version would not understand an answer. */
	if (s->len >= 1 && s->in[0] != SOCKS_VERSION)
		return DIALOGUE_END;
	if (s->len < 2 || s->len < 2 + (size_t)s->in[1])
		return DIALOGUE_MORE;
	n = s->in[1];
	s->used = 2 + n;
	write_u8(&s->out, SOCKS_VERSION);
	if (memchr(s->in + 2, wanted, n) == NULL) {
		write_u8(&s->out, METHOD_NOT_ACCEPTABLE);
		return DIALOGUE_END;
	}
	write_u8(&s->out, wanted);
	d->state = s->user != NULL ? DIALOGUE_PASSWORD : DIALOGUE_WAITS;
	return DIALOGUE_REQUEST;
}

/* In the same time, whatever is said: both are padded. */
static bool
is_secret(const uint8_t *said, size_t len, const char *secret)
{
	uint8_t a[256] = {0}, b[256] = {0};
	size_t secret_len = strnlen(secret, 255);
	int differs;

	a[255] = (uint8_t)len;
	b[255] = (uint8_t)secret_len;
	memcpy(a, said, len);
	memcpy(b, secret, secret_len);
	differs = CRYPTO_memcmp(a, b, sizeof a);
	OPENSSL_cleanse(b, sizeof b);
	return differs == 0;
}

static enum dialogue_result
check_password(struct dialogue *d, struct step *s)
{
	const uint8_t *user, *password;
	size_t user_len, password_len;
	bool right;

	if (s->len >= 1 && s->in[0] != PASSWORD_VERSION)
		return DIALOGUE_END;
	if (s->len < 2 || s->len < 3 + (size_t)s->in[1])
		return DIALOGUE_MORE;
	user_len = s->in[1];
	user = s->in + 2;
	password_len = user[user_len];
	password = user + user_len + 1;
	if (s->len < 3 + user_len + password_len)
		return DIALOGUE_MORE;
	s->used = 3 + user_len + password_len;
	/* 255 bytes are the longest there can be, and the padding has room for 255. */
	right = is_secret(user, user_len, s->user);
	right = is_secret(password, password_len, s->password) && right;
	write_u8(&s->out, PASSWORD_VERSION);
	write_u8(&s->out, right ? PASSWORD_OK : PASSWORD_WRONG);
	d->state = DIALOGUE_WAITS;
	return right ? DIALOGUE_REQUEST : DIALOGUE_END;
}

static enum dialogue_result
read_request(struct step *s, struct header_request *req)
{
	int used = header_parse_request(req, s->in, s->len);
	uint8_t head[HEADER_REPLY_BYTES];

	if (used == 0)
		return DIALOGUE_MORE;
	if (used > 0) {
		s->used = (size_t)used;
		return DIALOGUE_REQUEST;
	}
	header_encode_reply((enum header_reply) - used, head);
	write_bytes(&s->out, head, sizeof head);
	return DIALOGUE_END;
}

enum dialogue_result
dialogue_take(struct dialogue *d, const char *user, const char *password,
	      const uint8_t *in, size_t len, size_t *used, uint8_t out[DIALOGUE_OUT_MAX],
	      size_t *out_len, struct header_request *req)
{
	struct step s = {.user = user, .password = password, .in = in, .len = len};
	enum dialogue_result r = DIALOGUE_REQUEST;
	size_t total = 0;

	writer_init(&s.out, out, DIALOGUE_OUT_MAX);
	/* A client may send all of it at once. */
	while (r == DIALOGUE_REQUEST) {
		bool last = d->state == DIALOGUE_WAITS;

		s.used = 0;
		if (last)
			r = read_request(&s, req);
		else if (d->state == DIALOGUE_PASSWORD)
			r = check_password(d, &s);
		else
			r = choose_method(d, &s);
		total += s.used;
		s.in += s.used;
		s.len -= s.used;
		if (last)
			break;
	}
	*used = total;
	*out_len = s.out.len;
	return r;
}
