#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "session/shim.h"
#include "path/shims.h"
#include "session/web_tls.h"
#include "session/web_proxy.h"
#include "web_rig.h"

/* Nothing here takes that long unless it hangs. */
#define HANG_S 30

#define YEAR_S (365L * 86400)

static struct event_base *base;
static struct web_ca ca;
static char ca_file[] = "/tmp/mpcproxy-ca-XXXXXX";

static void
on_hang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

static void
run_until(bool (*done)(void *), void *arg)
{
	struct timeval tv = {.tv_sec = HANG_S};
	bool hung = false;
	struct event *hang = evtimer_new(base, on_hang, &hung);

	evtimer_add(hang, &tv);
	while (!done(arg) && !hung)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(hang);
	assert_false(hung);
}

static void
run_what_is_due(void)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* What stands in for libnice: a TCP client of the shim, in the same loop. */
struct client {
	int fd;
	struct event *readable;
	uint8_t *got;
	size_t got_len, got_max, want;
	bool closed;
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	uint8_t overflow;
	size_t room = c->got_max - c->got_len;
	ssize_t n =
	    recv(fd, room > 0 ? c->got + c->got_len : &overflow, room > 0 ? room : 1, 0);

	(void)what;
	if (n <= 0) {
		c->closed = true;
		event_del(c->readable);
		return;
	}
	assert_true(room > 0);
	c->got_len += (size_t)n;
}

static void
client_open(struct client *c, const struct shim *s, size_t max)
{
	const union addr *a = shim_addr(s);

	memset(c, 0, sizeof *c);
	c->fd = socket(a->sa.sa_family, SOCK_STREAM, 0);
	assert_int_equal(connect(c->fd, &a->sa, addr_len(a)), 0);
	evutil_make_socket_nonblocking(c->fd);
	c->got = malloc(max);
	c->got_max = max;
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	event_add(c->readable, NULL);
}

static void
client_close(struct client *c)
{
	event_free(c->readable);
	close(c->fd);
	free(c->got);
}

static bool
is_closed(void *arg)
{
	return ((struct client *)arg)->closed;
}

static bool
has_all(void *arg)
{
	struct client *c = arg;

	assert_false(c->closed);
	return c->got_len == c->want;
}

static struct url
server_url(const char *host, uint16_t port, bool tls)
{
	struct url u = {.scheme = tls ? URL_TURNS : URL_TURN, .port = port, .tcp = true};

	snprintf(u.host, sizeof u.host, "%s", host);
	return u;
}

static struct shim *
open_shim(const struct url *u, const struct http_proxy *proxy, SSL_CTX *tls)
{
	struct err err;
	struct shim *s = shim_new(base, AF_INET, u, proxy, tls, &err);

	if (s == NULL)
		fail_msg("%s", err.text);
	assert_string_equal(shim_why(s), "");
	return s;
}

static SSL_CTX *
tls_context(void)
{
	struct err err;
	SSL_CTX *ctx = web_tls_context(ca_file, "turn-ca", &err);

	if (ctx == NULL)
		fail_msg("%s", err.text);
	return ctx;
}

/* ${len} bytes there and back. */
static void
echo(struct client *c, size_t len)
{
	uint8_t *data = malloc(len);
	size_t sent = 0;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	c->want = len;
	while (sent < len) {
		ssize_t n = send(c->fd, data + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			event_base_loop(base, EVLOOP_ONCE);
		} else {
			sent += (size_t)n;
		}
	}
	run_until(has_all, c);
	assert_memory_equal(c->got, data, len);
	free(data);
}

static void
works(struct shim *s, size_t len)
{
	struct client c;

	client_open(&c, s, len);
	echo(&c, len);
	assert_string_equal(shim_why(s), "");
	client_close(&c);
	run_what_is_due();
}

static void
fails(struct shim *s, const char *why)
{
	struct client c;

	client_open(&c, s, 1);
	run_until(is_closed, &c);
	assert_contains(shim_why(s), why);
	client_close(&c);
}

static void
carries_bytes_over_tls(void **state)
{
	struct web_cert cert;
	struct web_echo *e;
	struct shim *s;
	struct url u;
	SSL_CTX *tls = tls_context();

	(void)state;
	web_cert_init(&cert, &ca, "DNS:localhost", -60, YEAR_S);
	e = web_echo_new(base, &cert, false);
	u = server_url("localhost", web_echo_port(e), true);
	s = open_shim(&u, NULL, tls);
	assert_true(addr_is_loopback(shim_addr(s)));
	works(s, 1);
	works(s, 5 * 1024 * 1024);
	shim_free(s);
	web_echo_free(e);
	web_cert_clear(&cert);
	SSL_CTX_free(tls);
}

static void
carries_bytes_without_tls(void **state)
{
	struct web_echo *e = web_echo_new(base, NULL, false);
	struct url u = server_url("127.0.0.1", web_echo_port(e), false);
	struct shim *s = open_shim(&u, NULL, NULL);

	(void)state;
	works(s, 5 * 1024 * 1024);
	shim_free(s);
	web_echo_free(e);
}

/* Shims may go while connections are in any state. */
static void
is_freed_in_any_state(void **state)
{
	struct web_cert cert;
	struct web_echo *e;
	SSL_CTX *tls = tls_context();

	(void)state;
	web_cert_init(&cert, &ca, "DNS:localhost", -60, YEAR_S);
	e = web_echo_new(base, &cert, false);
	for (int rounds = 0; rounds < 40; rounds++) {
		struct url u = server_url("localhost", web_echo_port(e), true);
		struct shim *s = open_shim(&u, NULL, tls);
		struct client c;

		client_open(&c, s, 10);
		assert_int_equal(send(c.fd, "ten bytes!", 10, 0), 10);
		for (int i = 0; i < rounds; i++)
			event_base_loop(base, EVLOOP_NONBLOCK);
		shim_free(s);
		client_close(&c);
		run_what_is_due();
	}
	web_echo_free(e);
	web_cert_clear(&cert);
	SSL_CTX_free(tls);
}

/* Another user of this machine, who would use the server with our proxy's password. */
static void
refuses_other_users(void **state)
{
	struct web_echo *e = web_echo_new(base, NULL, false);
	struct url u = server_url("127.0.0.1", web_echo_port(e), false);
	struct shim *s = open_shim(&u, NULL, NULL);
	const union addr *a = shim_addr(s);
	int status;
	pid_t child;
	char c;

	(void)state;
	if (geteuid() != 0)
		goto out; /* cannot become somebody else */
	child = fork();
	if (child == 0) {
		int fd;

		alarm(HANG_S);
		if (setuid(65534) != 0)
			_exit(1);
		/* A socket belongs to who makes it. */
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, &a->sa, addr_len(a)) != 0)
			_exit(1);
		_exit(recv(fd, &c, 1, 0) <= 0 ? 0 : 2);
	}
	do
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (waitpid(child, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(web_echo_accepted(e), 0);
	works(s, 10);
	assert_int_equal(web_echo_accepted(e), 1);
out:
	shim_free(s);
	web_echo_free(e);
}

struct tls_case {
	const char *host, *san;
	bool known_ca;
	long to_s;
	const char *why; /* NULL: it works */
};

static void
verifies_certificates(void **state)
{
	static const struct tls_case cases[] = {
	    {"127.0.0.1", "IP:127.0.0.1", true, YEAR_S, NULL},
	    {"127.0.0.1", "DNS:127.0.0.1", true, YEAR_S, "IP address mismatch"},
	    {"localhost", "DNS:example.org", true, YEAR_S, "ostname mismatch"},
	    {"localhost", "IP:127.0.0.1", true, YEAR_S, "ostname mismatch"},
	    {"localhost", "DNS:localhost", true, -30, "expired"},
	    {"localhost", "DNS:localhost", false, YEAR_S, "self-signed"},
	};
	SSL_CTX *tls = tls_context();

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct tls_case *t = &cases[i];
		struct web_cert cert;
		struct web_echo *e;
		struct shim *s;
		struct url u;

		web_cert_init(&cert, t->known_ca ? &ca : NULL, t->san, -60, t->to_s);
		e = web_echo_new(base, &cert, false);
		u = server_url(t->host, web_echo_port(e), true);
		s = open_shim(&u, NULL, tls);
		if (t->why == NULL)
			works(s, 1000);
		else
			fails(s, t->why);
		shim_free(s);
		web_echo_free(e);
		web_cert_clear(&cert);
	}
	SSL_CTX_free(tls);
}

/* A pinned key needs no CA, name or date; another key is refused in spite of all three.
 */
static void
pins_keys(void **state)
{
	struct web_cert own, good;
	struct web_echo *e;
	struct shim *s;
	struct url u;
	SSL_CTX *tls = tls_context();

	(void)state;
	web_cert_init(&own, NULL, "DNS:nobody", -60, -30);
	web_cert_init(&good, &ca, "DNS:localhost", -60, YEAR_S);
	e = web_echo_new(base, &own, false);
	u = server_url("localhost", web_echo_port(e), true);
	u.pinned = true;
	web_cert_pin(&own, u.pin);
	s = open_shim(&u, NULL, tls);
	works(s, 1000);
	shim_free(s);
	web_echo_free(e);

	e = web_echo_new(base, &good, false);
	u.port = web_echo_port(e);
	s = open_shim(&u, NULL, tls);
	fails(s, "#sha256/");
	web_cert_pin(&good, u.pin);
	works(s, 1000); /* and the failure is forgotten */
	shim_free(s);
	web_echo_free(e);
	web_cert_clear(&own);
	web_cert_clear(&good);
	SSL_CTX_free(tls);
}

static void
says_why_there_is_no_server(void **state)
{
	struct web_echo *e = web_echo_new(base, NULL, false);
	SSL_CTX *tls = tls_context();
	struct url u = server_url("127.0.0.1", web_closed_port(), true);
	struct shim *s = open_shim(&u, NULL, tls);

	(void)state;
	fails(s, "refused");
	shim_free(s);
	u = server_url("no-such-host.invalid", 443, true);
	s = open_shim(&u, NULL, tls);
	fails(s, "cannot be resolved");
	shim_free(s);
	/* Echoes our ClientHello. */
	u = server_url("127.0.0.1", web_echo_port(e), true);
	s = open_shim(&u, NULL, tls);
	fails(s, "TLS fails");
	shim_free(s);
	web_echo_free(e);
	SSL_CTX_free(tls);
}

static void
refuses_bad_ca_files(void **state)
{
	struct err err;

	(void)state;
	assert_null(web_tls_context("/nonexistent", "turn-ca", &err));
	assert_contains(err.text, "/nonexistent");
	assert_null(web_tls_context("/dev/null", "turn-ca", &err));
}

/* A server that does not read stops the writer, in bounded memory. */
static void
pushes_back(void **state)
{
	struct web_echo *e = web_echo_new(base, NULL, true);
	struct url u = server_url("127.0.0.1", web_echo_port(e), false);
	struct shim *s = open_shim(&u, NULL, NULL);
	static uint8_t data[64 * 1024];
	struct client c;
	size_t sent = 0, idle = 0;

	(void)state;
	client_open(&c, s, 1);
	/* The kernel's buffers take some megabytes; then nothing moves any more. */
	while (idle < 200) {
		ssize_t n = send(c.fd, data, sizeof data, MSG_NOSIGNAL);

		idle = n < 0 ? idle + 1 : 0;
		sent += n > 0 ? (size_t)n : 0;
		assert_true(sent < 256u * 1024 * 1024);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_true(sent > SHIM_BUFFER_BYTES);
	client_close(&c);
	run_what_is_due();
	shim_free(s);
	web_echo_free(e);
}

/* --- through an HTTP proxy --- */

static void
goes_through_a_proxy(void **state)
{
	struct web_cert cert;
	struct web_echo *e;
	struct web_relay *r;
	struct web_proxy proxy;
	struct shim *s;
	struct url u;
	struct err err;
	char text[64];
	SSL_CTX *tls = tls_context();

	(void)state;
	web_cert_init(&cert, &ca, "DNS:relay.invalid", -60, YEAR_S);
	e = web_echo_new(base, &cert, false);
	for (size_t piece = 0; piece < 3; piece++) {
		r = web_relay_new(base, NULL, piece, web_echo_port(e));
		snprintf(text, sizeof text, "http://me:p%%40ss@127.0.0.1:%u",
			 web_relay_port(r));
		assert_int_equal(web_proxy_parse(&proxy, text, &err), 0);
		/* A name that only the proxy knows. */
		u = server_url("relay.invalid", 443, true);
		s = open_shim(&u, web_proxy_for(&proxy, u.host), tls);
		works(s, 300000);
		assert_string_equal(web_relay_request(r),
				    "CONNECT relay.invalid:443 HTTP/1.1\r\n"
				    "Host: relay.invalid:443\r\n"
				    "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n");
		shim_free(s);
		web_relay_free(r);
	}
	web_echo_free(e);
	web_cert_clear(&cert);
	SSL_CTX_free(tls);
}

struct answer {
	const char *text, *why;
};

static void
says_why_a_proxy_refuses(void **state)
{
	static const struct answer answers[] = {
	    {"HTTP/1.1 403 Forbidden\r\n\r\n", "does not allow"},
	    {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
	     "\r\n",
	     "wants a user"},
	    {"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", "502 Bad Gateway"},
	    {"SSH-2.0-OpenSSH_9.2p1\r\n", "does not answer as an HTTP proxy"},
	    {"HTTP/2 200\r\n\r\n", "does not answer as an HTTP proxy"},
	    {"", "without an answer"},
	};
	struct url u = server_url("relay.invalid", 443, false);

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct web_relay *r = web_relay_new(base, answers[i].text, 0, 0);
		struct http_proxy proxy = {"127.0.0.1", web_relay_port(r), NULL};
		struct shim *s = open_shim(&u, &proxy, NULL);

		fails(s, answers[i].why);
		assert_contains(shim_why(s), "proxy");
		shim_free(s);
		web_relay_free(r);
	}
}

static void
says_that_a_proxy_is_down(void **state)
{
	struct http_proxy proxy = {"127.0.0.1", web_closed_port(), NULL};
	struct url u = server_url("relay.invalid", 443, false);
	struct shim *s = open_shim(&u, &proxy, NULL);

	(void)state;
	fails(s, "the proxy 127.0.0.1:");
	shim_free(s);
	proxy.host = "no-such-host.invalid";
	s = open_shim(&u, &proxy, NULL);
	fails(s, "the name of the proxy");
	shim_free(s);
}

/* A reload: another CA file counts from then on, and whoever is connected stays so. */
static void
follows_a_reload(void **state)
{
	char other_file[] = "/tmp/mpcproxy-ca-XXXXXX";
	struct shims shims = {0};
	struct shim *before, *now;
	struct local local = {0};
	struct web_ca other;
	struct web_cert cert;
	struct web_echo *e;
	struct client c;
	struct url u, another;
	struct err err;

	(void)state;
	web_ca_init(&other);
	web_ca_write(&other, other_file);
	web_cert_init(&cert, &ca, "DNS:localhost", -60, YEAR_S);
	e = web_echo_new(base, &cert, false);
	u = server_url("localhost", web_echo_port(e), true);
	local.turn_ca = other_file;
	before = shims_get(&shims, base, AF_INET, &u, &local, &err);
	assert_non_null(before);
	assert_ptr_equal(shims_get(&shims, base, AF_INET, &u, &local, &err), before);
	fails(before, "signature failure");

	local.turn_ca = ca_file;
	shims_renew(&shims);
	now = shims_get(&shims, base, AF_INET, &u, &local, &err);
	assert_non_null(now);
	assert_ptr_not_equal(now, before);
	client_open(&c, now, 20);
	echo(&c, 10);

	/* Servers that are gone from session.ini do not count among the most there may be. */
	local.turn_ca = other_file;
	another = u;
	for (int i = 0; i < 3 * SHIMS_MAX; i++) {
		shims_renew(&shims);
		assert_non_null(
		    shims_get(&shims, base, AF_INET, &another, &local, &err));
	}
	shims_renew(&shims);
	c.got_len = 0;
	echo(&c, 20);
	before = shims_get(&shims, base, AF_INET, &u, &local, &err);
	fails(before, "signature failure");
	client_close(&c);
	run_what_is_due();
	shims_free(&shims);
	web_echo_free(e);
	web_cert_clear(&cert);
	unlink(other_file);
	web_ca_clear(&other);
}

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	web_ca_init(&ca);
	web_ca_write(&ca, ca_file);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(ca_file);
	web_ca_clear(&ca);
	event_base_free(base);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(carries_bytes_over_tls),
	    cmocka_unit_test(carries_bytes_without_tls),
	    cmocka_unit_test(is_freed_in_any_state),
	    cmocka_unit_test(refuses_other_users),
	    cmocka_unit_test(verifies_certificates),
	    cmocka_unit_test(pins_keys),
	    cmocka_unit_test(says_why_there_is_no_server),
	    cmocka_unit_test(refuses_bad_ca_files),
	    cmocka_unit_test(pushes_back),
	    cmocka_unit_test(goes_through_a_proxy),
	    cmocka_unit_test(says_why_a_proxy_refuses),
	    cmocka_unit_test(says_that_a_proxy_is_down),
	    cmocka_unit_test(follows_a_reload),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
