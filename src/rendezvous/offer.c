#include <string.h>

#include <openssl/crypto.h>

#include "rendezvous/offer.h"

int
offer_seal(const struct offer_pair *p, struct offer_content *o,
	   uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err)
{
	struct envelope_pair *pair =
	    envelope_pair_new(p->self, &p->peer, p->session_name, err);
	uint8_t body[ENVELOPE_BODY_MAX];
	struct envelope m = {
	    .type = OFFER_TYPE,
	    .from = p->incarnation,
	    .to = o->to,
	    .number = o->made_s,
	    .body = body,
	};
	int n, rc = -1;

	if (pair == NULL)
		return -1;
	o->from = p->incarnation;
	memcpy(m.roster, p->roster_digest, sizeof m.roster);
	n = signal_encode_candidates(&o->candidates, body, sizeof body);
	if (n < 0) {
		err_set(err, "too many candidates");
	} else {
		m.len = (size_t)n;
		rc = envelope_seal(pair, &m, sealed, len, err);
	}
	OPENSSL_cleanse(body, sizeof body);
	envelope_pair_free(pair);
	return rc;
}

int
offer_open(const struct offer_pair *p, const uint8_t *sealed, size_t len,
	   struct offer_content *o, struct err *err)
{
	struct envelope_pair *pair =
	    envelope_pair_new(p->self, &p->peer, p->session_name, err);
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct envelope m;
	int rc = -1;

	if (pair == NULL)
		return -1;
	if (envelope_open(pair, sealed, len, plain, &m, err) != 0)
		goto out;
	memset(o, 0, sizeof *o);
	o->from = m.from;
	o->to = m.to;
	o->made_s = m.number;
	o->roster_differs = memcmp(m.roster, p->roster_digest, sizeof m.roster) != 0;
	if (m.type != OFFER_TYPE ||
	    signal_decode_candidates(&o->candidates, m.body, m.len) != 0)
		err_set(err, "what is sealed in it is no offer");
	else
		rc = 0;
	OPENSSL_cleanse(plain, sizeof plain);
out:
	envelope_pair_free(pair);
	return rc;
}
