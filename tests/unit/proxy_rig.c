#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy_rig.h"
#include "rendezvous/contact.h"
#include "rendezvous/rendezvous.h"
#include "session/cert.h"

#define TICK_MS 5

/* Ports that the kernel does not give out by itself; the scenarios' blocks lie lower. */
#define PORT_FIRST 32016
#define PORT_LAST  32760
#define PORT_BLOCK 48
#define PORT_PARTY (PORT_BLOCK / RIG_PARTIES_MAX)

static const char *const names[RIG_PARTIES_MAX] = {"alice", "bob", "carol"};

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
make_session(struct proxy_rig *r)
{
	char text[2048], key[PUBKEY_TEXT_BYTES];
	struct err err;
	int len;

	len = snprintf(text, sizeof text, "[session]\nname = test\nrendezvous = dir:%s\n",
		       r->dir);
	for (size_t i = 0; i < r->n; i++)
		len += snprintf(text + len, sizeof text - (size_t)len,
				"[party %s]\nkey = %s\n", names[i],
				pubkey_format(identity_pubkey(r->party[i].id), key));
	r->session = session_parse("session.ini", text, (size_t)len, &err);
	if (r->session == NULL)
		fail_msg("%s", err.text);
}

/* A block of ports for ourselves among the tests that run beside us: the claim is a name
 * in the abstract socket namespace, which is the network namespace's as the ports are,
 * and ends with us. */
static void
claim_ports(struct proxy_rig *r)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	unsigned port = PORT_FIRST + (unsigned)getpid() % 8 * PORT_BLOCK;

	r->claim = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(r->claim >= 0);
	for (; port + PORT_BLOCK <= PORT_LAST; port += PORT_BLOCK) {
		int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1,
				   "mpcproxy-tests-%u", port);

		if (bind(r->claim, (struct sockaddr *)&name,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				     (size_t)len)) == 0)
			break;
	}
	assert_true(port + PORT_BLOCK <= PORT_LAST);
	for (size_t i = 0; i < r->n; i++)
		r->party[i].base_port = (uint16_t)(port + i * PORT_PARTY);
}

void
rig_init(struct proxy_rig *r, size_t n)
{
	struct timeval tick = {.tv_usec = TICK_MS * 1000};

	memset(r, 0, sizeof *r);
	signal(SIGPIPE, SIG_IGN);
	r->n = n;
	strcpy(r->dir, "/tmp/mpcproxy-test-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->base = event_base_new();
	assert_non_null(r->base);
	r->tick = event_new(r->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(r->tick, &tick);
	claim_ports(r);
	for (size_t i = 0; i < n; i++) {
		r->party[i].rig = r;
		r->party[i].id = identity_ephemeral(NULL);
		assert_non_null(r->party[i].id);
	}
	make_session(r);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
rig_free(struct proxy_rig *r)
{
	for (size_t i = 0; i < r->n; i++) {
		rig_stop(r, i);
		identity_free(r->party[i].id);
	}
	session_free(r->session);
	close(r->claim);
	event_free(r->tick);
	event_base_free(r->base);
	nftw(r->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void
on_changed(void *arg)
{
	(void)arg;
}

static void
on_fatal(void *arg, const char *why)
{
	struct rig_party *p = arg;

	(void)why;
	p->fatal = true;
}

static void
on_drained(void *arg)
{
	struct rig_party *p = arg;

	p->drained = true;
}

static void
on_roster(void *arg, struct session *s)
{
	struct rig_party *p = arg;

	p->news = (unsigned)s->version;
	session_free(s);
}

static const struct proxy_callbacks callbacks = {
    .changed = on_changed,
    .fatal = on_fatal,
    .drained = on_drained,
    .roster = on_roster,
};

static struct local *
parse_local(struct proxy_rig *r, size_t i, const char *lines)
{
	char text[1024];
	struct err err;
	struct local *l;
	int len = snprintf(text, sizeof text, "[local]\nbase-port = %u\n%s",
			   r->party[i].base_port, lines);

	l = local_parse("local.ini", text, (size_t)len, true, r->session, &err);
	if (l == NULL)
		fail_msg("%s", err.text);
	return l;
}

void
rig_start(struct proxy_rig *r, size_t i, const char *lines)
{
	struct rig_party *p = &r->party[i];
	struct err err;

	assert_null(p->proxy);
	p->fatal = p->drained = false;
	p->local = parse_local(r, i, lines);
	p->proxy = proxy_new(r->base, r->session, p->local, p->id, &callbacks, p, &err);
	if (p->proxy == NULL) {
		local_free(p->local);
		fail_msg("%s", err.text);
	}
}

void
rig_stop(struct proxy_rig *r, size_t i)
{
	struct rig_party *p = &r->party[i];

	if (p->proxy == NULL)
		return;
	proxy_free(p->proxy);
	p->proxy = NULL;
	local_free(p->local);
}

static bool
all_connected(struct proxy_rig *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t j = 0; j < r->n; j++)
			if (i != j && !rig_connected(r, i, j))
				return false;
	return true;
}

void
rig_start_all(struct proxy_rig *r)
{
	for (size_t i = 0; i < r->n; i++)
		rig_start(r, i, "");
	RIG_UNTIL(r, all_connected(r));
}

static struct peer_status
status_of(struct proxy_rig *r, size_t i, size_t j)
{
	struct peer_status st;

	assert_int_equal(proxy_get_peer_status(r->party[i].proxy, j, &st), 0);
	return st;
}

bool
rig_connected(struct proxy_rig *r, size_t i, size_t j)
{
	return status_of(r, i, j).connected;
}

size_t
rig_live(struct proxy_rig *r, size_t i, size_t j)
{
	return status_of(r, i, j).streams;
}

size_t
rig_held(struct proxy_rig *r, size_t i, size_t j)
{
	return status_of(r, i, j).held;
}

void
rig_turn(struct proxy_rig *r)
{
	event_base_loop(r->base, EVLOOP_ONCE);
}

/* --- local programs --- */

uint16_t
rig_mpyc_port(const struct proxy_rig *r, size_t i, size_t j)
{
	return (uint16_t)(r->party[i].base_port + j);
}

uint16_t
rig_port(const struct proxy_rig *r, size_t i)
{
	assert_in_range(i, 0, PORT_PARTY - RIG_PARTIES_MAX - 1);
	return (uint16_t)(r->party[0].base_port + RIG_PARTIES_MAX + i);
}

static void
set_nonblocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

int
program_dial(uint16_t port)
{
	union addr to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	addr_parse(&to, "127.0.0.1", port);
	assert_int_equal(connect(fd, &to.sa, addr_len(&to)), 0);
	set_nonblocking(fd);
	return fd;
}

int
program_listen(uint16_t *port)
{
	union addr at;
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	addr_parse(&at, "127.0.0.1", *port);
	assert_int_equal(bind(fd, &at.sa, addr_len(&at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, &at.sa, &len), 0);
	*port = addr_port(&at);
	set_nonblocking(fd);
	return fd;
}

int
program_accept(struct proxy_rig *r, int lfd)
{
	int fd = -1;

	RIG_UNTIL(r, (fd = accept(lfd, NULL, NULL)) >= 0);
	set_nonblocking(fd);
	return fd;
}

bool
program_is_alone(int lfd)
{
	int fd = accept(lfd, NULL, NULL);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EAGAIN;
}

void
program_send(struct proxy_rig *r, int fd, const void *data, size_t len)
{
	const uint8_t *p = data;
	ssize_t n;

	while (len > 0) {
		RIG_UNTIL(r,
			  (n = send(fd, p, len, MSG_NOSIGNAL)) >= 0 || errno != EAGAIN);
		if (n < 0)
			fail_msg("send: %s", strerror(errno));
		p += n;
		len -= (size_t)n;
	}
}

void
program_expect(struct proxy_rig *r, int fd, const void *data, size_t len)
{
	uint8_t got[4096];
	const uint8_t *p = data;
	ssize_t n;

	while (len > 0) {
		size_t want = len < sizeof got ? len : sizeof got;

		RIG_UNTIL(r, (n = recv(fd, got, want, 0)) >= 0 || errno != EAGAIN);
		if (n < 0)
			fail_msg("recv: %s", strerror(errno));
		if (n == 0)
			fail_msg("an end of file, %zu bytes early", len);
		assert_memory_equal(got, p, (size_t)n);
		p += n;
		len -= (size_t)n;
	}
}

void
program_expect_eof(struct proxy_rig *r, int fd)
{
	uint8_t byte;
	ssize_t n;

	RIG_UNTIL(r, (n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
	if (n < 0)
		fail_msg("%s in place of an end of file", strerror(errno));
	assert_int_equal(n, 0);
}

void
program_expect_reset(struct proxy_rig *r, int fd)
{
	uint8_t byte;
	ssize_t n;

	RIG_UNTIL(r, (n = recv(fd, &byte, 1, 0)) <= 0 && (n == 0 || errno != EAGAIN));
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
}

void
program_abort(int fd)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

/* --- raw parties --- */

static void
on_raw_send(void *arg, const uint8_t *sealed, size_t len)
{
	struct raw_party *raw = arg;

	rendezvous_send(raw->rendezvous, &raw->rig->session->parties[raw->peer].key,
			sealed, len);
}

static void
on_raw_up(void *arg)
{
	(void)arg;
}

static void
on_raw_down(void *arg, const char *why)
{
	struct raw_party *raw = arg;

	snprintf(raw->down, sizeof raw->down, "%s", why);
}

static struct link_owner *
on_raw_opened(void *arg, struct quic_stream *s)
{
	(void)arg;
	(void)s;
	return NULL;
}

static void
on_raw_refused(void *arg)
{
	struct raw_party *raw = arg;

	raw->refused = true;
}

static const struct link_callbacks raw_callbacks = {
    .send = on_raw_send,
    .up = on_raw_up,
    .down = on_raw_down,
    .opened = on_raw_opened,
    .refused = on_raw_refused,
};

static void
on_raw_state(void *arg, bool online, const char *why)
{
	struct raw_party *raw = arg;

	(void)why;
	link_rendezvous(raw->link, online);
}

static void
on_raw_message(void *arg, const uint8_t *sealed, size_t len)
{
	struct raw_party *raw = arg;
	struct pubkey sender;

	if (contact_sender(sealed, len, &sender) == 0 &&
	    pubkey_equal(&sender, &raw->rig->session->parties[raw->peer].key))
		link_sealed(raw->link, sealed, len);
}

void
raw_start(struct raw_party *raw, struct proxy_rig *r, size_t index, size_t peer)
{
	static const struct rendezvous_callbacks place = {.state = on_raw_state,
							  .message = on_raw_message};
	struct link_config cfg = {
	    .base = r->base,
	    .session = r->session,
	    .identity = r->party[index].id,
	    .us = &r->session->parties[index],
	    .them = &r->session->parties[peer],
	    .self = index,
	    .peer = peer,
	};
	struct err err;

	memset(raw, 0, sizeof *raw);
	raw->local = parse_local(r, index, "");
	cfg.local = raw->local;
	raw->rig = r;
	raw->index = index;
	raw->peer = peer;
	assert_int_equal(RAND_bytes(raw->incarnation, sizeof raw->incarnation), 1);
	raw->path_ctx = path_context_new(r->base, &err);
	path_context_set(raw->path_ctx, r->session, raw->local);
	raw->client_ctx = cert_ssl_ctx(cfg.identity, false, "mpcproxy/1", &err);
	raw->server_ctx = cert_ssl_ctx(cfg.identity, true, "mpcproxy/1", &err);
	cfg.path_ctx = raw->path_ctx;
	cfg.client_ctx = raw->client_ctx;
	cfg.server_ctx = raw->server_ctx;
	cfg.incarnation = raw->incarnation;
	raw->link = link_new(&cfg, &raw_callbacks, raw, &err);
	assert_non_null(raw->link);
	raw->rendezvous =
	    rendezvous_open(r->base, &r->session->rendezvous[0], NULL, r->session->name,
			    cfg.identity, &place, raw, &err);
	assert_non_null(raw->rendezvous);
}

void
raw_stop(struct raw_party *raw)
{
	link_free(raw->link);
	rendezvous_close(raw->rendezvous);
	path_context_free(raw->path_ctx);
	SSL_CTX_free(raw->client_ctx);
	SSL_CTX_free(raw->server_ctx);
	local_free(raw->local);
}

static void
on_stream_data(void *owner, const uint8_t *data, size_t len, bool fin)
{
	struct raw_stream *s = owner;
	size_t room = sizeof s->got - s->n_got;

	room = len < room ? len : room;
	if (room > 0)
		memcpy(s->got + s->n_got, data, room);
	s->n_got += room;
	s->fin = s->fin || fin;
	if (!s->stall)
		quic_stream_consumed(s->qs, len);
}

static void
on_stream_writable(void *owner)
{
	(void)owner;
}

static void
on_stream_reset(void *owner, uint64_t code)
{
	struct raw_stream *s = owner;

	s->reset = true;
	s->code = code;
}

static void
on_stream_stopped(void *owner, uint64_t code)
{
	(void)owner;
	(void)code;
}

static void
on_stream_closed(void *owner, bool lost)
{
	struct raw_stream *s = owner;

	s->closed = true;
	s->lost = lost;
	s->qs = NULL;
}

static const struct link_stream_ops raw_ops = {
    .data = on_stream_data,
    .writable = on_stream_writable,
    .reset = on_stream_reset,
    .stopped = on_stream_stopped,
    .closed = on_stream_closed,
};

void
raw_open(struct raw_party *raw, struct raw_stream *s)
{
	memset(s, 0, sizeof *s);
	s->owner.ops = &raw_ops;
	s->qs = link_open_stream(raw->link, &s->owner);
	assert_non_null(s->qs);
}

void
raw_send(struct raw_party *raw, struct raw_stream *s, const void *data, size_t len)
{
	assert_int_equal(quic_stream_write(s->qs, data, len), 0);
	link_flush_soon(raw->link);
}

void
raw_finish(struct raw_party *raw, struct raw_stream *s)
{
	quic_stream_finish(s->qs);
	link_flush_soon(raw->link);
}

void
raw_abort(struct raw_party *raw, struct raw_stream *s)
{
	quic_stream_set_arg(s->qs, NULL);
	quic_stream_abort(s->qs, QUIC_CODE_CANCELLED);
	s->qs = NULL;
	link_flush_soon(raw->link);
}
