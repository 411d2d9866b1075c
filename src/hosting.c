#include "hosting.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "rendezvous/rendezvous.h"

struct hosting {
	struct join_host *host;
	struct join_host_callbacks cb;
	void (*state)(void *arg, bool online, const char *why);
	void *arg;
	struct rendezvous *rendezvous;
	struct url url;
	struct event *timer;
	struct log_gate gate;
};

void
hosting_touch(struct hosting *h)
{
	timer_at(h->timer, join_host_expiry(h->host));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hosting *h = arg;

	(void)fd;
	(void)what;
	join_host_tick(h->host, clock_now_ns());
	hosting_touch(h);
}

static void
on_state(void *arg, bool online, const char *why)
{
	struct hosting *h = arg;

	join_host_online(h->host, online, clock_now_ns());
	hosting_touch(h);
	if (h->state != NULL)
		h->state(h->arg, online, why);
}

static void
on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct hosting *h = arg;

	join_host_receive(h->host, msg, len, clock_now_ns());
	hosting_touch(h);
}

static const struct rendezvous_callbacks rendezvous_callbacks = {
    .state = on_state,
    .message = on_message,
};

/* --- the host's --- */

static void
on_send(void *arg, const struct pubkey *to, const uint8_t *msg, size_t len)
{
	struct hosting *h = arg;

	rendezvous_send(h->rendezvous, to, msg, len);
}

static void
on_joined(void *arg, const char *name, size_t n)
{
	struct hosting *h = arg;

	if (h->cb.joined != NULL)
		h->cb.joined(h->arg, name, n);
}

static void
on_left(void *arg, const char *name, const char *why)
{
	struct hosting *h = arg;

	if (h->cb.left != NULL)
		h->cb.left(h->arg, name, why);
}

static void
on_words(void *arg, const char *words, const struct session *roster)
{
	struct hosting *h = arg;

	if (h->cb.words != NULL)
		h->cb.words(h->arg, words, roster);
}

static void
on_stored(void *arg, const char *name)
{
	struct hosting *h = arg;

	if (h->cb.stored != NULL)
		h->cb.stored(h->arg, name);
}

static void
on_refused(void *arg, const char *name, enum join_refusal refusal)
{
	struct hosting *h = arg;

	if (h->cb.refused != NULL) {
		h->cb.refused(h->arg, name, refusal);
		return;
	}
	if (log_gate_pass(&h->gate, (long long)clock_now_ns(), NULL))
		log_info("somebody who calls himself %s wants to join, and is refused",
			 name);
}

static const struct join_host_callbacks host_callbacks = {
    .send = on_send,
    .joined = on_joined,
    .left = on_left,
    .words = on_words,
    .stored = on_stored,
    .refused = on_refused,
};

struct hosting *
hosting_new(struct event_base *base, const struct hosting_config *cfg,
	    const struct hosting_callbacks *cb, void *arg, struct err *err)
{
	struct hosting *h = calloc(1, sizeof *h);
	struct join_host_config host = cfg->host;
	uint8_t psk[TICKET_PSK_BYTES];

	if (h == NULL || ticket_psk(cfg->ticket, psk) != 0) {
		err_set(err, "out of memory");
		free(h);
		return NULL;
	}
	if (cb->host != NULL)
		h->cb = *cb->host;
	h->state = cb->state;
	h->arg = arg;
	h->url = cfg->ticket->rendezvous;
	if (cfg->listen != NULL)
		url_of_own_mailbox(&h->url, identity_pubkey(host.self), cfg->listen);
	host.psk = psk;
	h->host = join_host_new(&host, &host_callbacks, h, err);
	OPENSSL_cleanse(psk, sizeof psk);
	h->timer = evtimer_new(base, on_timer, h);
	if (h->host == NULL || h->timer == NULL)
		goto fail;
	h->rendezvous =
	    rendezvous_open(base, &h->url, cfg->local, JOIN_SESSION_NAME, host.self,
			    &rendezvous_callbacks, h, err);
	if (h->rendezvous == NULL)
		goto fail;
	return h;

fail:
	hosting_free(h);
	return NULL;
}

void
hosting_free(struct hosting *h)
{
	if (h == NULL)
		return;
	if (h->rendezvous != NULL)
		rendezvous_close(h->rendezvous);
	join_host_free(h->host);
	if (h->timer != NULL)
		event_free(h->timer);
	free(h);
}

struct join_host *
hosting_host(struct hosting *h)
{
	return h->host;
}
