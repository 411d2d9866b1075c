#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "path/probe.h"

/* Nothing here takes that long unless it hangs. */
#define HANG_S 30

enum mood { HONEST, SILENT, GARBAGE, ERROR };

/* A STUN server at 127.0.0.N. What it says of where we are: ${said}, with the port it
 * saw plus ${shift}; loopback itself is no NAT. */
struct server {
	int fd;
	struct event *readable;
	struct url url;
	enum mood mood;
	const char *said;
	uint16_t shift;
	size_t asked;
};

static struct event_base *base;

static void
answer(struct server *s, const uint8_t *query, const struct sockaddr_in *from)
{
	uint8_t out[32] = {1, 1, 0, 12};
	uint32_t host;
	uint16_t port = (uint16_t)(ntohs(from->sin_port) + s->shift);

	memcpy(out + 4, query + 4, 16);
	if (s->mood == ERROR) {
		memcpy(out, "\x01\x11\x00\x08", 4);
		memcpy(out + 20, "\x00\x09\x00\x04\x00\x00\x05\x00", 8);
		sendto(s->fd, out, 28, 0, (const struct sockaddr *)from, sizeof *from);
		return;
	}
	inet_pton(AF_INET, s->said, &host);
	memcpy(out + 20, "\x00\x01\x00\x08\x00\x01", 6);
	out[26] = (uint8_t)(port >> 8);
	out[27] = (uint8_t)port;
	memcpy(out + 28, &host, 4);
	if (s->mood == GARBAGE)
		out[21] = 0x77;
	sendto(s->fd, out, sizeof out, 0, (const struct sockaddr *)from, sizeof *from);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	uint8_t query[64];

	(void)what;
	assert_true(
	    recvfrom(fd, query, sizeof query, 0, (struct sockaddr *)&from, &len) >= 20);
	s->asked++;
	if (s->mood != SILENT)
		answer(s, query, &from);
}

static void
open_server(struct server *s, const char *host, enum mood mood, const char *said,
	    uint16_t shift)
{
	union addr a;
	socklen_t len = sizeof a;

	memset(s, 0, sizeof *s);
	s->mood = mood;
	s->said = said;
	s->shift = shift;
	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
	addr_parse(&a, host, 0);
	assert_int_equal(bind(s->fd, &a.sa, addr_len(&a)), 0);
	getsockname(s->fd, &a.sa, &len);
	s->url.scheme = URL_STUN;
	snprintf(s->url.host, sizeof s->url.host, "%s", host);
	s->url.port = addr_port(&a);
	s->readable = event_new(base, s->fd, EV_READ | EV_PERSIST, on_readable, s);
	event_add(s->readable, NULL);
}

static void
close_server(struct server *s)
{
	event_free(s->readable);
	close(s->fd);
}

static void
on_done(void *arg)
{
	*(bool *)arg = true;
}

static void
on_hang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Ask ${n} servers; the caller frees the probe. */
static struct probe *
run(const struct server *servers, size_t n, struct probe_result *r)
{
	static struct url urls[SESSION_SERVERS_MAX];
	static struct session session;
	struct timeval tv = {.tv_sec = HANG_S};
	bool done = false, hung = false;
	struct event *hang = evtimer_new(base, on_hang, &hung);
	struct probe *p;
	struct err err;

	for (size_t i = 0; i < n; i++)
		urls[i] = servers[i].url;
	session.stun = urls;
	session.n_stun = n;
	p = probe_new(base, &session, true, on_done, &done, &err);
	if (p == NULL)
		fail_msg("%s", err.text);
	assert_false(done);
	probe_get(p, r);
	assert_false(r->done);
	assert_int_equal(r->udp, PROBE_UNKNOWN);
	evtimer_add(hang, &tv);
	while (!done && !hung)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(hang);
	assert_false(hung);
	probe_get(p, r);
	assert_true(r->done);
	return p;
}

static void
sees_no_nat(void **state)
{
	struct probe_result r;
	struct server s[2];
	struct probe *p;
	char text[ADDR_TEXT_BYTES];

	(void)state;
	open_server(&s[0], "127.0.0.1", HONEST, "127.0.0.1", 0);
	open_server(&s[1], "127.0.0.2", HONEST, "127.0.0.1", 0);
	p = run(s, 2, &r);
	assert_int_equal(r.n_answered, 2);
	assert_int_equal(r.udp, PROBE_YES);
	assert_int_equal(r.mapping, PROBE_MAPPING_NONE);
	assert_int_equal(strncmp(addr_format(&r.mapped[PROBE_IPV4], text),
				 "127.0.0.1:", 10),
			 0);
	assert_true(r.server[0].rtt_ns > 0);
	assert_int_equal(s[0].asked, 1);
	probe_free(p);
	close_server(&s[0]);
	close_server(&s[1]);
}

static enum probe_mapping
mapping_of(const char *second, const char *said, uint16_t shift)
{
	struct probe_result r;
	struct server s[2];

	open_server(&s[0], "127.0.0.1", HONEST, "198.51.100.1", 0);
	open_server(&s[1], second, HONEST, said, shift);
	probe_free(run(s, 2, &r));
	close_server(&s[0]);
	close_server(&s[1]);
	return r.mapping;
}

static void
tells_mappings(void **state)
{
	(void)state;
	assert_int_equal(mapping_of("127.0.0.2", "198.51.100.1", 0),
			 PROBE_MAPPING_INDEPENDENT);
	assert_int_equal(mapping_of("127.0.0.2", "198.51.100.1", 1),
			 PROBE_MAPPING_DEPENDENT);
	assert_int_equal(mapping_of("127.0.0.2", "198.51.100.2", 0),
			 PROBE_MAPPING_DEPENDENT);
	/* Two ports of one address tell less. */
	assert_int_equal(mapping_of("127.0.0.1", "198.51.100.1", 0),
			 PROBE_MAPPING_UNKNOWN);
	assert_int_equal(mapping_of("127.0.0.1", "198.51.100.1", 1),
			 PROBE_MAPPING_DEPENDENT);
}

static void
says_what_is_wrong_with_servers(void **state)
{
	struct probe_result r;
	struct server s[6];
	struct probe *p;

	(void)state;
	open_server(&s[0], "127.0.0.1", SILENT, NULL, 0);
	open_server(&s[1], "127.0.0.1", GARBAGE, "127.0.0.1", 0);
	open_server(&s[2], "127.0.0.1", ERROR, "127.0.0.1", 0);
	open_server(&s[3], "127.0.0.1", HONEST, "127.0.0.1", 0);
	open_server(&s[4], "127.0.0.1", HONEST, "127.0.0.1", 0);
	close_server(&s[4]);
	s[5] = s[4];
	strcpy(s[5].url.host, "no-such-host.invalid");
	p = run(s, 6, &r);
	assert_int_equal(r.n_failed, 5);
	assert_int_equal(r.n_answered, 1);
	assert_contains(r.server[0].why, "timed out");
	assert_contains(r.server[1].why, "timed out");
	assert_contains(r.server[2].why, "error 500");
	assert_int_equal(r.server[3].state, PROBE_ANSWERED);
	assert_contains(r.server[4].why, "refused");
	assert_contains(r.server[5].why, "name not found");
	assert_int_equal(r.udp, PROBE_YES);
	/* A silent one is asked again. */
	assert_int_equal(s[0].asked, 4);
	probe_free(p);
	for (size_t i = 0; i < 4; i++)
		close_server(&s[i]);
}

/* The server itself is on loopback, where everything but these may be true. */
static void
takes_no_address_that_cannot_be(void **state)
{
	static const char *const lies[] = {"224.0.0.1", "0.0.0.0", "255.255.255.255",
					   "240.0.0.1"};
	struct probe_result r;
	struct server s[2];
	struct probe *p;

	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		open_server(&s[0], "127.0.0.1", HONEST, lies[i], 0);
		open_server(&s[1], "127.0.0.2", HONEST, "198.51.100.1", 0);
		p = run(s, 2, &r);
		assert_int_equal(r.server[0].state, PROBE_FAILED);
		assert_true(r.server[0].lies);
		assert_contains(r.server[0].why, lies[i]);
		assert_contains(r.server[0].why, "cannot be");
		assert_int_equal(r.server[1].state, PROBE_ANSWERED);
		assert_ptr_equal(probe_best(p), &r.server[1].addr[PROBE_IPV4]);
		probe_free(p);
		close_server(&s[0]);
		close_server(&s[1]);
	}
	/* UDP gets out all the same. */
	open_server(&s[0], "127.0.0.1", HONEST, "224.0.0.1", 0);
	p = run(s, 1, &r);
	assert_int_equal(r.udp, PROBE_YES);
	assert_null(probe_best(p));
	probe_free(p);
	close_server(&s[0]);
}

/* One that lies in a way that could be true is outvoted. */
static void
asks_where_most_agree(void **state)
{
	struct probe_result r;
	struct server s[3];
	struct probe *p;
	union addr a;

	(void)state;
	open_server(&s[0], "127.0.0.1", HONEST, "9.9.9.9", 0);
	open_server(&s[1], "127.0.0.2", HONEST, "198.51.100.1", 0);
	open_server(&s[2], "127.0.0.3", HONEST, "198.51.100.1", 7);
	p = run(s, 3, &r);
	assert_ptr_not_equal(probe_best(p), &r.server[0].addr[PROBE_IPV4]);
	addr_parse(&a, "198.51.100.1", 5);
	assert_false(probe_contradicts(p, &a));
	addr_parse(&a, "9.9.9.9", 5);
	assert_false(probe_contradicts(p, &a));
	addr_parse(&a, "9.9.9.8", 5);
	assert_true(probe_contradicts(p, &a));
	addr_parse(&a, "2001:db8::1", 5);
	assert_false(probe_contradicts(p, &a));
	probe_free(p);
	for (size_t i = 0; i < 3; i++)
		close_server(&s[i]);
}

static void
knows_when_udp_is_blocked(void **state)
{
	struct probe_result r;
	struct server s;

	(void)state;
	open_server(&s, "127.0.0.1", SILENT, NULL, 0);
	probe_free(run(&s, 1, &r));
	assert_int_equal(r.udp, PROBE_NO);
	assert_int_equal(r.mapping, PROBE_MAPPING_UNKNOWN);
	close_server(&s);
	/* Nobody to ask. */
	probe_free(run(NULL, 0, &r));
	assert_int_equal(r.udp, PROBE_UNKNOWN);
	strcpy(s.url.host, "no-such-host.invalid");
	probe_free(run(&s, 1, &r));
	assert_int_equal(r.udp, PROBE_UNKNOWN);
}

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sees_no_nat),
	    cmocka_unit_test(tells_mappings),
	    cmocka_unit_test(says_what_is_wrong_with_servers),
	    cmocka_unit_test(takes_no_address_that_cannot_be),
	    cmocka_unit_test(asks_where_most_agree),
	    cmocka_unit_test(knows_when_udp_is_blocked),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
