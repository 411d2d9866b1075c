#include <stdlib.h>
#include <string.h>

#include "fake_envelope.h"

struct envelope_pair {
	struct pubkey self, peer;
};

const struct pubkey *
identity_pubkey(const struct identity *id)
{
	return &id->key;
}

struct envelope_pair *
envelope_pair_new(const struct identity *self, const struct pubkey *peer,
		  const char *session_name, struct err *err)
{
	struct envelope_pair *p = malloc(sizeof *p);

	(void)session_name;
	(void)err;
	if (p != NULL)
		*p = (struct envelope_pair){.self = self->key, .peer = *peer};
	return p;
}

void
envelope_pair_free(struct envelope_pair *p)
{
	free(p);
}

void
envelope_pair_set_psk(struct envelope_pair *p, const uint8_t psk[ENVELOPE_PSK_BYTES])
{
	(void)p;
	(void)psk;
}

int
envelope_seal(const struct envelope_pair *p, const struct envelope *m,
	      uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err)
{
	struct fake_sealed f;

	if (m->len > ENVELOPE_BODY_MAX)
		return err_set(err, "too large");
	memset(&f, 0, sizeof f);
	f.sender = p->self;
	f.recipient = p->peer;
	f.m = *m;
	f.m.body = NULL;
	memcpy(sealed, &f, sizeof f);
	if (m->len > 0)
		memcpy(sealed + sizeof f, m->body, m->len);
	*len = sizeof f + m->len;
	return 0;
}

int
envelope_open(const struct envelope_pair *p, const uint8_t *sealed, size_t len,
	      uint8_t plain[ENVELOPE_PLAIN_MAX], struct envelope *m, struct err *err)
{
	static const struct incarnation none;
	struct fake_sealed f;

	if (len < sizeof f)
		return err_set(err, "short");
	memcpy(&f, sealed, sizeof f);
	if (memcmp(&f.sender, &p->peer, sizeof f.sender) != 0 ||
	    memcmp(&f.recipient, &p->self, sizeof f.recipient) != 0)
		return err_set(err, "not for us");
	if (f.m.len != len - sizeof f || f.m.len > ENVELOPE_BODY_MAX ||
	    memcmp(&f.m.from, &none, sizeof none) == 0)
		return err_set(err, "malformed");
	memcpy(plain, sealed + sizeof f, f.m.len);
	*m = f.m;
	m->body = plain;
	return 0;
}

int
envelope_sender(const uint8_t *sealed, size_t len, struct pubkey *sender)
{
	if (len < sizeof(struct fake_sealed))
		return -1;
	memcpy(sender, sealed, sizeof *sender);
	return 0;
}
