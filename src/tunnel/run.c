#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "tunnel/gate.h"
#include "tunnel/peer.h"
#include "tunnel/run.h"
#include "tunnel/run_peer.h"

/* When a stream cannot be had, or was refused for now. */
#define RETRY_MS 200

static const char digest_label[] = "mpcproxy run 1";

struct run {
	struct runs *runs;
	struct run_callbacks cb;
	void *arg;
	uint8_t *offer;
	size_t offer_len;
	uint32_t set; /* number of ${digest} */
	bool complete;
	bool agreed;
	bool begun;
	bool failed;
	uint8_t digest[RUN_DIGEST_BYTES]; /* of all offers, while ${complete} */
};

struct runs {
	struct event_base *base;
	struct peer **peers;
	size_t n;
	struct event *look;  /* something has changed */
	struct event *grace; /* for programs whose partner has failed */
	struct run *run;     /* NULL: none */
	struct gate *gate;   /* NULL: none */
};

static void
look_soon(struct runs *rs)
{
	event_active(rs->look, EV_TIMEOUT, 0);
}

/* NULL: that is us, or nobody. */
static struct run_peer *
other(const struct runs *rs, size_t i)
{
	return i < rs->n && rs->peers[i] != NULL ? peer_run(rs->peers[i]) : NULL;
}

static bool
is_up(const struct runs *rs, size_t i)
{
	return link_is_up(peer_link(rs->peers[i]));
}

/* --- before it begins --- */

static void
hash(EVP_MD_CTX *md, const uint8_t *data, size_t len)
{
	uint8_t prefix[4];
	struct writer w;

	writer_init(&w, prefix, sizeof prefix);
	write_u32(&w, (uint32_t)len);
	EVP_DigestUpdate(md, prefix, sizeof prefix);
	EVP_DigestUpdate(md, data, len);
}

/* Over the offers of all, ours among them; -1 when one is missing. */
static int
digest_of_all(const struct run *r, uint8_t out[RUN_DIGEST_BYTES])
{
	const struct runs *rs = r->runs;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = 0;

	if (md == NULL)
		return -1;
	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	hash(md, (const uint8_t *)digest_label, sizeof digest_label - 1);
	for (size_t i = 0; i < rs->n; i++) {
		const uint8_t *offer = r->offer;
		size_t len = r->offer_len;

		if (other(rs, i) != NULL)
			offer = run_peer_offer(other(rs, i), &len);
		if (offer == NULL)
			rc = -1;
		else
			hash(md, offer, len);
	}
	if (EVP_DigestFinal_ex(md, out, NULL) != 1)
		rc = -1;
	EVP_MD_CTX_free(md);
	return rc;
}

static void
publish(struct run *r)
{
	struct runs *rs = r->runs;
	struct timeval tv = {.tv_usec = RETRY_MS * 1000};

	for (size_t i = 0; i < rs->n; i++) {
		struct run_peer *rp = other(rs, i);

		if (rp == NULL || !is_up(rs, i) || run_peer_is_told(rp))
			continue;
		if (run_peer_publish(rp, r->offer, r->offer_len) != 0)
			evtimer_add(rs->look, &tv);
		else if (r->agreed)
			run_peer_say_ready(rp, r->digest);
	}
}

static bool
all_agree(const struct run *r)
{
	const struct runs *rs = r->runs;

	for (size_t i = 0; i < rs->n; i++) {
		const struct run_peer *rp = other(rs, i);

		if (rp != NULL &&
		    !(run_peer_is_told(rp) && run_peer_agrees(rp, r->digest)))
			return false;
	}
	return true;
}

static void
begin(struct run *r)
{
	struct runs *rs = r->runs;

	r->begun = true;
	for (size_t i = 0; i < rs->n; i++) {
		struct run_peer *rp = other(rs, i);

		if (rp == NULL)
			continue;
		run_peer_bind(rp);
		*run_peer_partner(rp) =
		    (struct run_partner){.is = true,
					 .index = i,
					 .mpyc = peer_mpyc_count(rs->peers[i])};
	}
	r->cb.go(r->arg);
}

static void
collect(struct run *r)
{
	uint8_t digest[RUN_DIGEST_BYTES];
	bool complete = digest_of_all(r, digest) == 0;

	publish(r);
	if (!complete) {
		r->complete = r->agreed = false;
	} else if (!r->complete || memcmp(digest, r->digest, sizeof digest) != 0) {
		memcpy(r->digest, digest, sizeof digest);
		r->complete = true;
		r->agreed = false;
		r->set++;
	} else {
		complete = false; /* nothing new */
	}
	r->cb.changed(r->arg);
	if (complete)
		r->cb.complete(r->arg, r->set);
	else if (r->agreed && all_agree(r))
		begin(r);
}

/* --- and after --- */

static void
lose(struct run *r, struct run_partner *p, const char *why)
{
	if (p->lost)
		return;
	p->lost = true;
	r->cb.lost(r->arg, p->index, why);
}

/* Now that the link has said why. */
static void
report_vanished(struct run *r)
{
	struct runs *rs = r->runs;
	struct link_info info;
	char why[160];

	for (size_t i = 0; i < rs->n; i++) {
		struct run_peer *rp = other(rs, i);

		if (rp == NULL || !run_peer_partner(rp)->vanished)
			continue;
		run_peer_partner(rp)->vanished = false;
		link_get_info(peer_link(rs->peers[i]), &info);
		snprintf(why, sizeof why, "the connection is lost%s%.120s",
			 info.last_error[0] != '\0' ? ": " : "", info.last_error);
		lose(r, run_peer_partner(rp), why);
	}
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct runs *rs = arg;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < rs->n; i++)
		if (other(rs, i) != NULL && !is_up(rs, i))
			run_peer_forget(other(rs, i));
	if (rs->run == NULL)
		return;
	if (rs->run->failed)
		rs->run->cb.failed(rs->run->arg, "the session's parties have changed: "
						 "run it again");
	else if (!rs->run->begun)
		collect(rs->run);
	else
		report_vanished(rs->run);
}

/* A program whose partner has failed: what is not connected with it, having been so, can
 * do without it. */
static void
on_grace(evutil_socket_t fd, short what, void *arg)
{
	struct runs *rs = arg;
	struct run *r = rs->run;
	char why[96];

	(void)fd;
	(void)what;
	for (size_t i = 0; r != NULL && i < rs->n; i++) {
		struct run_partner *p;

		if (other(rs, i) == NULL)
			continue;
		p = run_peer_partner(other(rs, i));
		if (!p->failed || (!peer_mpyc_is_live(rs->peers[i]) &&
				   peer_mpyc_count(rs->peers[i]) != p->mpyc))
			continue;
		snprintf(why, sizeof why,
			 "its program has ended with exit code %u, and ours waits for it",
			 p->code);
		lose(r, p, why);
	}
}

bool
runs_is_collecting(const struct runs *rs)
{
	return rs->run != NULL && !rs->run->begun;
}

void
runs_peer_changed(struct runs *rs)
{
	look_soon(rs);
}

void
runs_peer_ended(struct runs *rs, struct peer *peer, bool bound, enum run_end how,
		uint8_t code)
{
	const struct timeval tv = {.tv_sec = RUN_GRACE_NS / NS_PER_S};
	struct run_partner *p = run_peer_partner(peer_run(peer));
	struct run *r = rs->run;

	if (r == NULL || r->begun != bound)
		return;
	r->cb.ended(r->arg, bound ? p->index : peer_index(peer), how, code);
	if (!bound)
		return;
	p->code = code;
	p->failed = how == RUN_END_PROGRAM && code != 0;
	if (p->failed)
		evtimer_add(rs->grace, &tv);
	if (how != RUN_END_PROGRAM)
		lose(r, p, "its run was ended");
}

void
runs_peer_lost(struct runs *rs, struct peer *p)
{
	run_peer_partner(peer_run(p))->vanished = true;
	look_soon(rs);
}

/* --- ours --- */

enum run_party_state
run_party_state(const struct run *r, size_t index)
{
	const struct runs *rs = r->runs;
	const struct run_peer *rp = other(rs, index);

	if (rp == NULL || !is_up(rs, index))
		return RUN_PARTY_ABSENT;
	if (run_peer_is_unable(rp))
		return RUN_PARTY_UNABLE;
	if (!run_peer_is_offering(rp))
		return run_peer_is_busy(rp) ? RUN_PARTY_BUSY : RUN_PARTY_CONNECTED;
	return run_peer_is_ready(rp) ? RUN_PARTY_READY : RUN_PARTY_OFFERS;
}

const uint8_t *
run_party_offer(const struct run *r, size_t index, size_t *len)
{
	*len = 0;
	return other(r->runs, index) != NULL ? run_peer_offer(other(r->runs, index), len)
					     : NULL;
}

void
run_agree(struct run *r, uint32_t set)
{
	struct runs *rs = r->runs;

	if (!r->complete || r->agreed || r->begun || set != r->set)
		return;
	r->agreed = true;
	for (size_t i = 0; i < rs->n; i++)
		if (other(rs, i) != NULL)
			run_peer_say_ready(other(rs, i), r->digest);
	look_soon(rs);
}

static void
run_free(struct run *r)
{
	evtimer_del(r->runs->grace);
	r->runs->run = NULL;
	free(r->offer);
	free(r);
}

void
run_finish(struct run *r, enum run_end how, uint8_t code)
{
	struct runs *rs = r->runs;

	for (size_t i = 0; i < rs->n; i++) {
		if (other(rs, i) == NULL)
			continue;
		run_peer_say_end(other(rs, i), how, code);
		run_peer_release(other(rs, i));
	}
	run_free(r);
}

struct run *
runs_begin(struct runs *rs, const uint8_t *offer, size_t len,
	   const struct run_callbacks *cb, void *arg, struct err *err)
{
	struct run *r;

	if (rs->run != NULL) {
		err_set(err, "a program of this party is being run already: one at a "
			     "time");
		return NULL;
	}
	r = calloc(1, sizeof *r);
	if (r == NULL || (r->offer = malloc(len)) == NULL) {
		err_set(err, "out of memory");
		free(r);
		return NULL;
	}
	memcpy(r->offer, offer, len);
	r->offer_len = len;
	r->runs = rs;
	r->cb = *cb;
	r->arg = arg;
	rs->run = r;
	look_soon(rs);
	return r;
}

/* --- the way to an isolated program --- */

static void
on_gate_accepted(void *arg, size_t index, int fd)
{
	struct runs *rs = arg;

	if (other(rs, index) != NULL)
		peer_open_mpyc(rs->peers[index], fd);
	else
		close(fd);
}

static void
on_gate_closed(void *arg)
{
	struct runs *rs = arg;
	struct gate *gate = rs->gate;

	rs->gate = NULL;
	gate_free(gate);
}

static const struct gate_callbacks gate_callbacks = {on_gate_accepted, on_gate_closed};

int
runs_set_gate(struct runs *rs, int fd, struct err *err)
{
	if (fd < 0) {
		if (rs->gate != NULL)
			on_gate_closed(rs);
		return 0;
	}
	if (rs->gate != NULL) {
		close(fd);
		return err_set(err, "an isolated program of this party is being run "
				    "already: one at a time");
	}
	rs->gate = gate_new(rs->base, fd, &gate_callbacks, rs);
	return rs->gate != NULL ? 0 : err_set(err, "out of memory");
}

struct gate *
runs_gate(const struct runs *rs)
{
	return rs->gate;
}

/* --- for the proxy --- */

void
runs_changed(struct runs *rs)
{
	look_soon(rs);
}

void
runs_set_peers(struct runs *rs, struct peer **peers, size_t n)
{
	bool same = n == rs->n;

	for (size_t i = 0; same && i < n; i++)
		same = peers[i] == rs->peers[i];
	/* Of a party that is to be freed, and bound to our run. */
	for (size_t i = 0; rs->run != NULL && i < rs->n; i++) {
		struct run_partner *p =
		    other(rs, i) != NULL ? run_peer_partner(other(rs, i)) : NULL;
		bool stays = false;

		for (size_t j = 0; j < n; j++)
			stays = stays || peers[j] == rs->peers[i];
		if (p != NULL && p->is && !stays)
			lose(rs->run, p, "it is not in session.ini any more");
	}
	rs->peers = peers;
	rs->n = n;
	if (rs->run != NULL && !rs->run->begun && !same)
		rs->run->failed = true;
	look_soon(rs);
}

void
runs_close(struct runs *rs)
{
	for (size_t i = 0; i < rs->n; i++) {
		if (other(rs, i) == NULL)
			continue;
		run_peer_say_end(other(rs, i), RUN_END_GONE, 0);
		run_peer_release(other(rs, i));
		run_peer_close(other(rs, i));
	}
}

struct runs *
runs_new(struct event_base *base, struct err *err)
{
	struct runs *rs = calloc(1, sizeof *rs);

	if (rs == NULL)
		goto fail;
	rs->base = base;
	rs->look = evtimer_new(base, on_look, rs);
	rs->grace = evtimer_new(base, on_grace, rs);
	if (rs->look == NULL || rs->grace == NULL)
		goto fail;
	return rs;

fail:
	err_set(err, "out of memory");
	runs_free(rs);
	return NULL;
}

void
runs_free(struct runs *rs)
{
	if (rs == NULL)
		return;
	if (rs->run != NULL)
		run_free(rs->run);
	gate_free(rs->gate);
	if (rs->look != NULL)
		event_free(rs->look);
	if (rs->grace != NULL)
		event_free(rs->grace);
	free(rs);
}
