#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/bytes.h"
#include "rendezvous/envelope.h"
#include "rendezvous/rendezvous.h"
#include "session/session.h"

_Static_assert(ENVELOPE_SEALED_MAX <= RENDEZVOUS_MESSAGE_MAX, "no mailbox takes it");

#define AAD_BYTES  (1 + PUBKEY_BYTES)

#define INFO_LABEL "mpcproxy/1 signalling"
#define PSK_ID     "mpcproxy/1 ticket"
#define INFO_BYTES (sizeof INFO_LABEL + 1 + SESSION_NAME_MAX + 2 * PUBKEY_BYTES)

_Static_assert(INFO_BYTES <= HPKE_INFO_MAX, "the info must fit");

/* HPKE's info for one direction. */
struct info {
	uint8_t bytes[INFO_BYTES];
	size_t len;
};

struct envelope_pair {
	const struct identity *self;
	bool has_psk;
	uint8_t psk[ENVELOPE_PSK_BYTES];
	struct pubkey peer;
	EVP_PKEY *peer_key;
	struct info to_peer, from_peer;
};

/* Unambiguous: the label ends with its NUL, the name has its length before it. */
static int
info_set(struct info *info, const char *name, const struct pubkey *sender,
	 const struct pubkey *recipient)
{
	size_t len = strlen(name);
	struct writer w;

	if (len > SESSION_NAME_MAX)
		return -1;
	writer_init(&w, info->bytes, sizeof info->bytes);
	write_bytes(&w, INFO_LABEL, sizeof INFO_LABEL);
	write_u8(&w, (uint8_t)len);
	write_bytes(&w, name, len);
	write_bytes(&w, sender->point, PUBKEY_BYTES);
	write_bytes(&w, recipient->point, PUBKEY_BYTES);
	info->len = w.len;
	return w.ok ? 0 : -1;
}

struct envelope_pair *
envelope_pair_new(const struct identity *self, const struct pubkey *peer,
		  const char *session_name, struct err *err)
{
	struct envelope_pair *p = calloc(1, sizeof *p);

	if (p == NULL) {
		err_sys(err, "sealed messages");
		return NULL;
	}
	p->self = self;
	p->peer = *peer;
	if (info_set(&p->to_peer, session_name, identity_pubkey(self), peer) != 0 ||
	    info_set(&p->from_peer, session_name, peer, identity_pubkey(self)) != 0) {
		err_set(err, "the session's name is longer than %d characters",
			SESSION_NAME_MAX);
		goto err;
	}
	p->peer_key = pubkey_to_evp(peer);
	if (p->peer_key == NULL) {
		err_ssl(err, "the peer's public key is of no use");
		goto err;
	}
	return p;

err:
	envelope_pair_free(p);
	return NULL;
}

void
envelope_pair_free(struct envelope_pair *p)
{
	if (p == NULL)
		return;
	EVP_PKEY_free(p->peer_key);
	OPENSSL_cleanse(p->psk, sizeof p->psk);
	free(p);
}

void
envelope_pair_set_psk(struct envelope_pair *p, const uint8_t psk[ENVELOPE_PSK_BYTES])
{
	p->has_psk = true;
	memcpy(p->psk, psk, sizeof p->psk);
}

static struct hpke_binding
binding(const struct envelope_pair *p, const struct info *info, const uint8_t *sealed)
{
	static const char psk_id[] = PSK_ID;
	struct hpke_binding b = {
	    .info = info->bytes,
	    .info_len = info->len,
	    .aad = sealed,
	    .aad_len = AAD_BYTES,
	};

	if (p->has_psk) {
		b.psk = p->psk;
		b.psk_len = sizeof p->psk;
		b.psk_id = (const uint8_t *)psk_id;
		b.psk_id_len = sizeof psk_id - 1;
	}
	return b;
}

static size_t
padded(size_t len)
{
	return (len + ENVELOPE_PAD_BYTES - 1) / ENVELOPE_PAD_BYTES * ENVELOPE_PAD_BYTES;
}

int
envelope_encode(const struct envelope *m, uint8_t plain[ENVELOPE_PLAIN_MAX])
{
	struct writer w;
	size_t total;

	if (m->len > ENVELOPE_BODY_MAX)
		return -1;
	total = padded(ENVELOPE_INNER_BYTES + m->len);
	writer_init(&w, plain, total);
	write_u8(&w, m->type);
	write_bytes(&w, m->from.bytes, sizeof m->from.bytes);
	write_bytes(&w, m->to.bytes, sizeof m->to.bytes);
	write_u64(&w, m->number);
	write_u64(&w, m->seen.top);
	write_u64(&w, m->seen.bits);
	write_bytes(&w, m->roster, sizeof m->roster);
	write_u16(&w, (uint16_t)m->len);
	write_bytes(&w, m->body, m->len);
	if (!w.ok)
		return -1;
	memset(w.p, 0, w.left);
	return (int)total;
}

int
envelope_decode(struct envelope *m, const uint8_t *plain, size_t len)
{
	static const struct incarnation none;
	const uint8_t *padding;
	struct reader r;
	uint8_t any = 0;

	reader_init(&r, plain, len);
	m->type = read_u8(&r);
	read_copy(&r, m->from.bytes, sizeof m->from.bytes);
	read_copy(&r, m->to.bytes, sizeof m->to.bytes);
	m->number = read_u64(&r);
	m->seen.top = read_u64(&r);
	m->seen.bits = read_u64(&r);
	read_copy(&r, m->roster, sizeof m->roster);
	m->len = read_u16(&r);
	m->body = read_bytes(&r, m->len);
	if (!r.ok || m->len > ENVELOPE_BODY_MAX ||
	    len != padded(ENVELOPE_INNER_BYTES + m->len))
		return -1;
	padding = read_bytes(&r, r.left);
	for (const uint8_t *p = padding; p < r.p; p++)
		any |= *p;
	if (any != 0 || incarnation_equal(&m->from, &none))
		return -1;
	return 0;
}

int
envelope_seal(const struct envelope_pair *p, const struct envelope *m,
	      uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err)
{
	const struct hpke_binding b = binding(p, &p->to_peer, sealed);
	uint8_t *text = sealed + ENVELOPE_OUTER_BYTES;
	int n = envelope_encode(m, text);

	if (n < 0)
		return err_set(err, "a message of %zu bytes is too large to seal",
			       m->len);
	sealed[0] = ENVELOPE_VERSION;
	memcpy(sealed + 1, identity_pubkey(p->self)->point, PUBKEY_BYTES);
	if (hpke_seal(identity_evp(p->self), p->peer_key, &b, text, (size_t)n,
		      sealed + AAD_BYTES, text) != 0) {
		OPENSSL_cleanse(text, (size_t)n);
		return err_ssl(err, "sealing a message");
	}
	*len = ENVELOPE_OUTER_BYTES + (size_t)n + HPKE_TAG_BYTES;
	return 0;
}

/* The outer form, before any work is done on it. */
static bool
outer_ok(const uint8_t *sealed, size_t len)
{
	return len >= ENVELOPE_SEALED_MIN && len <= ENVELOPE_SEALED_MAX &&
	       sealed[0] == ENVELOPE_VERSION;
}

int
envelope_open(const struct envelope_pair *p, const uint8_t *sealed, size_t len,
	      uint8_t plain[ENVELOPE_PLAIN_MAX], struct envelope *m, struct err *err)
{
	const struct hpke_binding b = binding(p, &p->from_peer, sealed);
	const size_t text_len = len - ENVELOPE_OUTER_BYTES;

	if (!outer_ok(sealed, len))
		return err_set(err, "a message of %zu bytes that is no sealed one", len);
	if (memcmp(sealed + 1, p->peer.point, PUBKEY_BYTES) != 0)
		return err_set(err, "a message of another sender");
	if (hpke_open(p->peer_key, identity_evp(p->self), &b, sealed + AAD_BYTES,
		      sealed + ENVELOPE_OUTER_BYTES, text_len, plain) != 0)
		return err_ssl(err, "a message that was not sealed by this sender for us "
				    "and this session");
	if (envelope_decode(m, plain, text_len - HPKE_TAG_BYTES) != 0) {
		OPENSSL_cleanse(plain, text_len - HPKE_TAG_BYTES);
		return err_set(err, "an authentic message in a form that is not ours");
	}
	return 0;
}

int
envelope_sender(const uint8_t *sealed, size_t len, struct pubkey *sender)
{
	if (!outer_ok(sealed, len))
		return -1;
	memcpy(sender->point, sealed + 1, PUBKEY_BYTES);
	return 0;
}
