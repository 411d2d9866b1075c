#ifndef MPCPROXY_TUNNEL_OFFER_H
#define MPCPROXY_TUNNEL_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "rendezvous/offer.h"
#include "tunnel/attempt.h"
#include "tunnel/link.h"

/* An attempt that is negotiated by blocks of text (block.h), and what they say. Between
 * making a block and the last party's taking it lie mails, meals and meetings. */
#define OFFER_PATIENCE_NS (8 * 3600 * NS_PER_S)

struct offer {
	struct attempt *attempt; /* NULL: none; generations.c's */
	struct signal_candidates ours;
	bool made;               /* sealed, perhaps with the peer by now */
	bool taken;              /* the peer's is there */
	bool failed;             /* about to be freed */
	struct incarnation peer; /* as in the peer's, once it is taken */
	char ufrag[SIGNAL_UFRAG_MAX + 1]; /* of it */
};

/* Numbers of such attempts: above all that are counted in a life, and different in each
 * life, so that what is left of an earlier one is not taken for it. */
uint32_t offer_number(uint32_t newest);

/* There is none any more. */
void offer_reset(struct offer *o);

/* One more bundle of ours, an encoded signal_candidates. */
void offer_collect(struct offer *o, const uint8_t *body, size_t len);

/* generations_get_offer() */
int offer_make(struct offer *o, const struct link_config *cfg,
	       uint8_t sealed[ENVELOPE_SEALED_MAX], size_t *len, struct err *err);

/* Open the peer's; refuse what answers an earlier process of ours or has another roster. */
int offer_read(const struct offer *o, const struct link_config *cfg,
	       const uint8_t *sealed, size_t len, struct offer_content *out,
	       struct err *err);

/* For people: "3 hours ago". Clocks differ. */
void offer_describe_age(char out[LINK_AGE_BYTES], uint64_t made_s);

/* Whether ${c} is another than the one that was taken. */
bool offer_is_other(const struct offer *o, const struct offer_content *c);

/* Let the attempt use it, under its number when ${renumber}. */
int offer_take(struct offer *o, const struct offer_content *c, bool renumber,
	       struct err *err);

#endif
