/*
 * A party that breaks the rules, built on the parts of a proxy:
 *
 *     bad_party SESSION LOCAL VICTIM PORT MODE
 *
 * meets the party VICTIM as any other would, and then
 *
 *     flood    opens streams as fast as it can, with garbage in place of a header
 *     half     keeps as many streams half-open as QUIC allows
 *     stall    has the victim's service on PORT send on 60 streams, and never reads
 *     tiny     lets it send on 60 streams, each with a window of a byte
 *     frames   sends frames of garbage, properly encrypted, and comes back each time
 *     refuse   says again and again that the victim is a second copy of itself
 *
 * until SIGTERM. It prints "up" when it is connected and "down: WHY" when it is no more,
 * and in the end what it received.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/rand.h>

#include "path/path.h"
#include "quic/protect.h"
#include "rendezvous/contact.h"
#include "rendezvous/envelope.h"
#include "rendezvous/rendezvous.h"
#include "session/cert.h"
#include "session/local.h"
#include "session/session.h"
#include "tunnel/header.h"
#include "tunnel/link.h"
#include "tests/tiny_windows.h"

#define STREAMS_MAX 5000
#define STALLED     60
#define AT_ONCE     200
#define TICK_US     2000

static struct event_base *base;
static struct session *session;
static struct local *local;
static struct identity *identity;
static struct rendezvous *place;
static struct link *bad_link;
static size_t self, victim;
static uint16_t port;
static const char *mode;
static uint8_t incarnation[CONTACT_INCARNATION_BYTES];
static struct incarnation theirs; /* as they tell us */
static struct envelope_pair *pair;
static size_t n_open;
static bool up, garbage;
static unsigned long long bytes, pieces; /* received on streams */

struct bad_stream {
	struct link_owner owner; /* first: conn.h */
	struct quic_stream *qs;
};

__typeof__(protect_seal) __real_protect_seal, __wrap_protect_seal;

/* What the key authenticates is not what ngtcp2 wrote. */
int
__wrap_protect_seal(struct protect_key *k, uint8_t *out, const uint8_t *in, size_t len,
		    const uint8_t *nonce, const uint8_t *aad, size_t aad_len)
{
	uint8_t random_frames[2048];

	if (garbage && len <= sizeof random_frames &&
	    RAND_bytes(random_frames, (int)len) == 1)
		in = random_frames;
	return __real_protect_seal(k, out, in, len, nonce, aad, aad_len);
}

static void
die(const char *what)
{
	fprintf(stderr, "bad_party: %s\n", what);
	exit(1);
}

static void
say(const char *word, const char *why)
{
	printf("%s%s\n", word, why);
	fflush(stdout);
}

/* --- its streams --- */

static void
on_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct bad_stream *s = owner;

	(void)data;
	(void)fin;
	bytes += len;
	pieces++;
	if (strcmp(mode, "stall") != 0)
		quic_stream_consumed(s->qs, len);
}

static void
on_nothing(void *owner)
{
	(void)owner;
}

static void
on_code(void *owner, uint64_t code)
{
	(void)owner;
	(void)code;
}

static void
on_stream_closed(void *owner, bool lost)
{
	(void)lost;
	free(owner);
	n_open--;
}

static const struct link_stream_ops stream_ops = {
    on_data, on_nothing, on_code, on_code, on_stream_closed,
};

static int
open_one(const void *data, size_t len, bool finish)
{
	struct bad_stream *s = calloc(1, sizeof *s);

	if (s == NULL)
		die("out of memory");
	s->owner.ops = &stream_ops;
	s->qs = link_open_stream(bad_link, &s->owner);
	if (s->qs == NULL) {
		free(s);
		return -1;
	}
	n_open++;
	quic_stream_write(s->qs, data, len);
	if (finish)
		quic_stream_finish(s->qs);
	return 0;
}

static void
open_stalled(void)
{
	static const char order[] = "talk-first 3000000\n";
	uint8_t head[HEADER_REQUEST_MAX + sizeof order];
	struct header_request req = {.host = "127.0.0.1", .port = port};
	size_t len = header_encode_request(&req, head);

	memcpy(head + len, order, sizeof order - 1);
	open_one(head, len + sizeof order - 1, false);
}

/* Only what echoes them counts. */
static void
refuse(void)
{
	uint8_t sealed[ENVELOPE_SEALED_MAX];
	struct envelope m = {.type = 132, .to = theirs};
	size_t len;

	memcpy(m.from.bytes, incarnation, sizeof m.from.bytes);
	memcpy(m.roster, session->roster_digest, sizeof m.roster);
	if (envelope_seal(pair, &m, sealed, &len, NULL) == 0)
		rendezvous_send(place, &session->parties[victim].key, sealed, len);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	static unsigned ticks;
	uint8_t random_bytes[50];

	(void)fd;
	(void)what;
	(void)arg;
	ticks++;
	if (!up)
		return;
	if (strcmp(mode, "flood") == 0) {
		for (int i = 0; i < AT_ONCE; i++) {
			RAND_bytes(random_bytes, sizeof random_bytes);
			if (open_one(random_bytes, sizeof random_bytes, true) != 0)
				break;
		}
	} else if (strcmp(mode, "half") == 0) {
		while (n_open < STREAMS_MAX && open_one("\x05\x01", 2, false) == 0)
			continue;
	} else if (strcmp(mode, "stall") == 0 || strcmp(mode, "tiny") == 0) {
		if (n_open < STALLED)
			open_stalled();
	} else if (strcmp(mode, "refuse") == 0) {
		if (ticks % 100 == 0)
			refuse();
	} else if (strcmp(mode, "frames") == 0) {
		garbage = true;
		open_one("x", 1, false);
	} else {
		die("what mode is that?");
	}
	link_flush_soon(bad_link);
}

/* --- the rest is as in a proxy --- */

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	(void)arg;
	rendezvous_send(place, &session->parties[victim].key, sealed, len);
}

static void
on_up(void *arg)
{
	(void)arg;
	up = true;
	say("up", "");
}

static void
on_down(void *arg, const char *why)
{
	(void)arg;
	up = garbage = false;
	say("down: ", why);
}

static struct link_owner *
on_opened(void *arg, struct quic_stream *s)
{
	(void)arg;
	(void)s;
	return NULL;
}

static void
on_refused(void *arg)
{
	(void)arg;
}

static void
on_state(void *arg, bool online, const char *why)
{
	(void)arg;
	(void)why;
	link_rendezvous(bad_link, online);
}

static void
on_message(void *arg, const uint8_t *sealed, size_t len)
{
	uint8_t plain[ENVELOPE_PLAIN_MAX];
	struct pubkey sender;
	struct envelope m;

	(void)arg;
	if (contact_sender(sealed, len, &sender) != 0 ||
	    !pubkey_equal(&sender, &session->parties[victim].key))
		return;
	if (envelope_open(pair, sealed, len, plain, &m, NULL) == 0)
		theirs = m.from;
	link_sealed(bad_link, sealed, len);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	event_base_loopbreak(base);
}

int
main(int argc, char **argv)
{
	static const struct rendezvous_callbacks place_cb = {.state = on_state,
							     .message = on_message};
	static const struct link_callbacks link_cb = {.send = on_send,
						      .up = on_up,
						      .down = on_down,
						      .opened = on_opened,
						      .refused = on_refused};
	const struct timeval every = {.tv_usec = TICK_US};
	struct link_config cfg = {0};
	struct err err = {""};
	int index;

	if (argc != 6)
		die("usage: bad_party SESSION LOCAL VICTIM PORT MODE");
	port = (uint16_t)strtoul(argv[4], NULL, 10);
	mode = argv[5];
	/* The victim is the client: its streams' windows are ours to give. */
	if (strcmp(mode, "tiny") == 0) {
		tiny_window = STALLED;
		tiny_stream_window = 1;
	}
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	if ((session = session_load(argv[1], &err)) == NULL ||
	    (local = local_load(argv[2], session, &err)) == NULL ||
	    (identity = identity_load(local->identity, &err)) == NULL ||
	    (index = session_own_index(session, identity, &err)) < 0)
		die(err.text);
	self = (size_t)index;
	if ((index = session_find_name(session, argv[3])) < 0)
		die("no such party");
	victim = (size_t)index;
	RAND_bytes(incarnation, sizeof incarnation);
	pair = envelope_pair_new(identity, &session->parties[victim].key, session->name,
				 &err);
	cfg = (struct link_config){
	    .base = base,
	    .path_ctx = path_context_new(base, &err),
	    .client_ctx = cert_ssl_ctx(identity, false, "mpcproxy/1", &err),
	    .server_ctx = cert_ssl_ctx(identity, true, "mpcproxy/1", &err),
	    .session = session,
	    .local = local,
	    .identity = identity,
	    .incarnation = incarnation,
	    .us = &session->parties[self],
	    .them = &session->parties[victim],
	    .self = self,
	    .peer = victim,
	};
	if (pair == NULL || cfg.path_ctx == NULL)
		die(err.text);
	path_context_set(cfg.path_ctx, session, local);
	bad_link = link_new(&cfg, &link_cb, NULL, &err);
	place = bad_link == NULL
		    ? NULL
		    : rendezvous_open(base, &session->rendezvous[0], NULL, session->name,
				      identity, &place_cb, NULL, &err);
	if (place == NULL)
		die(err.text);
	event_add(evsignal_new(base, SIGTERM, on_signal, NULL), NULL);
	event_add(event_new(base, -1, EV_PERSIST, on_tick, NULL), &every);
	event_base_dispatch(base);
	garbage = false;
	link_free(bad_link); /* says goodbye */
	printf("%llu bytes in %llu pieces\n", bytes, pieces);
	return 0;
}
