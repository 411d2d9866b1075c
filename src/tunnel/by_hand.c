#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rendezvous/block.h"
#include "tunnel/proxy_internal.h"

/* Offers for a block, while they are collected. */
struct offers {
	struct block block;
	uint8_t (*sealed)[ENVELOPE_SEALED_MAX];
	char *whom; /* PROXY_WHOM_BYTES */
};

static bool
is_missing(const struct proxy *p, size_t i)
{
	return p->peers[i] != NULL && !link_is_well(peer_link(p->peers[i]));
}

static void
add_name(char *whom, const char *name)
{
	size_t len = strlen(whom);

	snprintf(whom + len, PROXY_WHOM_BYTES - len, "%s%s", len > 0 ? ", " : "", name);
}

/* Start with all before waiting for the first. */
static int
start_offers(struct proxy *p, struct err *err)
{
	size_t missing = 0;

	for (size_t i = 0; i < p->session->n_parties; i++) {
		if (!is_missing(p, i))
			continue;
		missing++;
		if (link_offer(peer_link(p->peers[i]), err) != 0)
			return -1;
	}
	if (missing == 0)
		return err_set(err, "every party is connected: there is nothing to offer");
	return 0;
}

/* 1 when all are in ${o}, 0 when one is not there yet. */
static int
collect_offers(struct proxy *p, struct offers *o, struct err *err)
{
	struct block *b = &o->block;

	for (size_t i = 0; i < p->session->n_parties; i++) {
		struct block_entry *e = &b->entry[b->n];
		int rc;

		if (!is_missing(p, i))
			continue;
		rc = link_get_offer(peer_link(p->peers[i]), o->sealed[b->n], &e->len, err);
		if (rc <= 0)
			return rc;
		if (block_id(e->to, b->tag, &p->session->parties[i].key) != 0)
			return err_set(err, "out of memory");
		e->sealed = o->sealed[b->n++];
		add_name(o->whom, p->session->parties[i].name);
	}
	return 1;
}

int
proxy_offer(struct proxy *p, char **text, char whom[PROXY_WHOM_BYTES], struct err *err)
{
	struct offers o = {.block = {.from = *identity_pubkey(p->identity)},
			   .whom = whom};
	int rc = -1;

	*text = NULL;
	whom[0] = '\0';
	if (start_offers(p, err) != 0)
		return -1;
	o.sealed = calloc(p->session->n_parties, sizeof *o.sealed);
	if (o.sealed == NULL || frame_session_tag(o.block.tag, p->session->name) != 0) {
		err_set(err, "out of memory");
		goto out;
	}
	rc = collect_offers(p, &o, err);
	if (rc != 1)
		goto out;
	*text = block_format(&o.block);
	if (*text == NULL)
		rc = err_set(err, "out of memory");
out:
	free(o.sealed);
	return rc;
}

int
proxy_accept(struct proxy *p, const uint8_t *sealed, size_t len,
	     char summary[ERR_TEXT_BYTES], struct err *err)
{
	struct pubkey sender;
	struct err why;
	char age[LINK_AGE_BYTES];
	const char *name;
	int index;

	if (envelope_sender(sealed, len, &sender) != 0)
		return err_set(err, "this is no offer");
	index = session_find_key(p->session, &sender);
	if (index < 0 || p->peers[index] == NULL)
		return err_set(err, "it is from nobody in session.ini");
	name = p->session->parties[index].name;
	if (link_is_well(peer_link(p->peers[index]))) {
		snprintf(summary, ERR_TEXT_BYTES, "%s is connected already", name);
		return 0;
	}
	switch (link_take_offer(peer_link(p->peers[index]), sealed, len, age, &why)) {
	case LINK_TAKEN:
		snprintf(summary, ERR_TEXT_BYTES, "%s: its block, made %s, is taken", name,
			 age);
		return 0;
	case LINK_TAKEN_UNANSWERED:
		snprintf(summary, ERR_TEXT_BYTES,
			 "%s: its block, made %s, is taken; `mpcproxy offer` makes the "
			 "block that it needs from here",
			 name, age);
		return 0;
	default:
		return err_set(err, "%s: %s", name, why.text);
	}
}
