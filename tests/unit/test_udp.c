#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <stun/stunagent.h>
#include <stun/usages/ice.h>

#include "base/addr.h"
#include "path_rig.h"
#include "path/stun_answer.h"
#include "path/udp.h"

/* A peer's plain socket against a udp beside an "agent's" socket. */
struct bench {
	struct event_base *base;
	struct udp_scratch *scratch;
	struct udp *udp;
	int agent, peer;
	union addr agent_addr, peer_addr;
	struct stun_credentials credentials;
	size_t n, bytes, last_len;
	bool free_in_datagram;
};

static int
bound(const char *host, union addr *at)
{
	socklen_t len = sizeof *at;
	int fd;

	addr_parse(at, host, 0);
	fd = socket(at->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(getsockname(fd, &at->sa, &len), 0);
	return fd;
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct bench *b = arg;

	b->n++;
	b->bytes += len;
	b->last_len = len;
	assert_int_equal(data[0], 0x40);
	if (b->free_in_datagram) {
		udp_free(b->udp);
		b->udp = NULL;
	}
}

static void
on_writable(void *arg)
{
	(void)arg;
}

static const struct udp_callbacks callbacks = {on_datagram, on_writable};

static int
set_up_on(void **state, const char *host)
{
	static struct bench b;
	struct err err;

	memset(&b, 0, sizeof b);
	b.base = event_base_new();
	b.scratch = udp_scratch_new();
	b.agent = bound(host, &b.agent_addr);
	b.peer = bound(host, &b.peer_addr);
	strcpy(b.credentials.username, "ours:theirs");
	strcpy(b.credentials.password, "0123456789abcdefghijklmn");
	b.udp = udp_new(b.base, b.agent, &b.peer_addr, &b.credentials, b.scratch,
			&callbacks, &b, &err);
	assert_non_null(b.udp);
	*state = &b;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_on(state, "127.0.0.1");
}

static int
set_up_ipv6(void **state)
{
	return set_up_on(state, "::1");
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	udp_free(b->udp);
	udp_scratch_free(b->scratch);
	event_base_free(b->base);
	close(b->agent);
	close(b->peer);
	return 0;
}

static void
from(int fd, struct bench *b, const void *data, size_t len)
{
	assert_int_equal(sendto(fd, data, len, 0, &b->agent_addr.sa,
				addr_len(&b->agent_addr)),
			 len);
	event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static void
takes_the_peers_datagrams_only(void **state)
{
	struct bench *b = *state;
	union addr other_addr;
	int other = bound(b->peer_addr.sa.sa_family == AF_INET ? "127.0.0.1" : "::1",
			  &other_addr);
	uint8_t got[16];

	from(b->peer, b, "\x40peer", 5);
	assert_int_equal(b->n, 1);
	assert_int_equal(b->last_len, 5);
	/* Everybody else's go where they went before. */
	from(other, b, "\x40other", 6);
	assert_int_equal(b->n, 1);
	assert_int_equal(recv(b->agent, got, sizeof got, 0), 6);
	close(other);
}

static void
sends_a_train_as_datagrams(void **state)
{
	struct bench *b = *state;
	uint8_t data[70 * 1000 + 500], got[2000];
	size_t n = 0;

	memset(data, 0x40, sizeof data);
	assert_int_equal(udp_send(b->udp, data, sizeof data, 1000), sizeof data);
	while (n < 70 && recv(b->peer, got, sizeof got, 0) == 1000)
		n++;
	assert_int_equal(n, 70);
	assert_int_equal(recv(b->peer, got, sizeof got, 0), 500);
	assert_int_equal(recv(b->peer, got, sizeof got, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Two udps, each with trains: the receiver sees them datagram by datagram. */
static void
receives_a_train_as_datagrams(void **state)
{
	struct bench *b = *state;
	struct err err;
	uint8_t data[40 * 1200 + 7];
	struct udp *far = udp_new(b->base, b->peer, &b->agent_addr, &b->credentials,
				  b->scratch, &callbacks, b, &err);

	assert_non_null(far);
	memset(data, 0x40, sizeof data);
	assert_int_equal(udp_send(far, data, sizeof data, 1200), sizeof data);
	event_base_loop(b->base, EVLOOP_NONBLOCK);
	assert_int_equal(b->n, 41);
	assert_int_equal(b->bytes, sizeof data);
	assert_int_equal(b->last_len, 7);
	udp_free(far);
}

static void
nobody_else_can_share_the_address(void **state)
{
	struct bench *b = *state;
	int on = 1;
	int fd = socket(b->agent_addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, &b->agent_addr.sa, addr_len(&b->agent_addr)), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	fd = socket(b->agent_addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	assert_int_equal(bind(fd, &b->agent_addr.sa, addr_len(&b->agent_addr)), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
}

static void
survives_a_peer_that_refuses(void **state)
{
	struct bench *b = *state;

	close(b->peer);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(udp_send(b->udp, (const uint8_t *)"\x40x", 2, 2), 2);
		event_base_loop(b->base, EVLOOP_NONBLOCK);
	}
	b->peer = socket(b->peer_addr.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(b->peer, &b->peer_addr.sa, addr_len(&b->peer_addr)), 0);
	from(b->peer, b, "\x40peer", 5);
	assert_int_equal(b->n, 1);
	assert_int_equal(udp_send(b->udp, (const uint8_t *)"\x40x", 2, 2), 2);
}

/* Larger than any interface carries: lost, as on any path, and nothing else with it. */
static void
loses_what_is_too_large(void **state)
{
	static uint8_t data[65535];
	struct bench *b = *state;
	uint8_t got[16];

	memset(data, 0x40, sizeof data);
	assert_int_equal(udp_send(b->udp, data, sizeof data, sizeof data), sizeof data);
	assert_int_equal(udp_send(b->udp, data, 9, 9), 9);
	assert_int_equal(recv(b->peer, got, sizeof got, 0), 9);
}

static void
can_be_freed_by_a_datagram(void **state)
{
	struct bench *b = *state;

	b->free_in_datagram = true;
	sendto(b->peer, "\x40", 1, 0, &b->agent_addr.sa, addr_len(&b->agent_addr));
	from(b->peer, b, "\x40", 1);
	assert_int_equal(b->n, 1);
}

/* --- STUN --- */

static const uint16_t attributes[] = {STUN_ATTRIBUTE_USERNAME,
				      STUN_ATTRIBUTE_MESSAGE_INTEGRITY,
				      STUN_ATTRIBUTE_PRIORITY,
				      STUN_ATTRIBUTE_USE_CANDIDATE,
				      STUN_ATTRIBUTE_ICE_CONTROLLED,
				      STUN_ATTRIBUTE_ICE_CONTROLLING,
				      STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
				      STUN_ATTRIBUTE_FINGERPRINT,
				      0};

static size_t
make_request(StunAgent *agent, const char *username, const char *password, uint8_t *buf,
	     size_t size)
{
	StunMessage m;

	stun_agent_init(agent, attributes, STUN_COMPATIBILITY_RFC5389,
			STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS |
			    STUN_AGENT_USAGE_USE_FINGERPRINT);
	return stun_usage_ice_conncheck_create(agent, &m, buf, size,
					       (const uint8_t *)username,
					       strlen(username),
					       (const uint8_t *)password,
					       strlen(password), true, true, 1, 42, NULL,
					       STUN_USAGE_ICE_COMPATIBILITY_RFC5245);
}

static void
answers_the_peers_checks(void **state)
{
	struct bench *b = *state;
	uint8_t buf[600], got[600];
	struct sockaddr_storage mapped;
	socklen_t mapped_len = sizeof mapped;
	union addr seen;
	StunAgent agent;
	StunMessage m;
	ssize_t n;
	size_t len = make_request(&agent, b->credentials.username,
				  b->credentials.password, buf, sizeof buf);

	from(b->peer, b, buf, len);
	n = recv(b->peer, got, sizeof got, 0);
	assert_true(n > 0);
	assert_int_equal(stun_agent_validate(&agent, &m, got, (size_t)n, NULL, NULL),
			 STUN_VALIDATION_SUCCESS);
	assert_int_equal(stun_message_get_class(&m), STUN_RESPONSE);
	assert_int_equal(stun_message_find_xor_addr(&m, STUN_ATTRIBUTE_XOR_MAPPED_ADDRESS,
						    &mapped, &mapped_len),
			 STUN_MESSAGE_RETURN_SUCCESS);
	addr_from_sockaddr(&seen, (struct sockaddr *)&mapped, mapped_len);
	assert_true(addr_equal(&seen, &b->peer_addr));
	assert_int_equal(b->n, 0);
}

static void
answers_nobody_without_the_password(void **state)
{
	struct bench *b = *state;
	uint8_t buf[600], got[600];
	StunAgent agent;
	size_t len;

	len = make_request(&agent, b->credentials.username, "wrongwrongwrongwrongwron",
			   buf, sizeof buf);
	from(b->peer, b, buf, len);
	len = make_request(&agent, "someone:else", b->credentials.password, buf,
			   sizeof buf);
	from(b->peer, b, buf, len);
	/* Cut, and changed in every byte. */
	len = make_request(&agent, b->credentials.username, b->credentials.password, buf,
			   sizeof buf);
	for (size_t i = 1; i < len; i++)
		from(b->peer, b, buf, i);
	for (size_t i = 1; i < len; i++) {
		buf[i] ^= 0x01;
		from(b->peer, b, buf, len);
		buf[i] ^= 0x01;
	}
	assert_int_equal(recv(b->peer, got, sizeof got, 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(b->n, 0);
}

/* --- whole paths --- */

static const char *
carrier_of(struct end *e)
{
	struct path_info info;

	path_get_info(e->path, &info);
	return info.carrier;
}

static void
paths_change_their_carrier(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	path_take_over(e[0].path); /* too early: nothing happens */
	rig_run_until(rig_all_ready, &all);
	assert_string_equal(carrier_of(&e[0]), "agent");
	/* One after the other, with datagrams both ways in between. */
	path_take_over(e[0].path);
	assert_string_equal(carrier_of(&e[0]), "socket");
	assert_string_equal(carrier_of(&e[1]), "agent");
	rig_exchange(&e[0], &e[1]);
	path_take_over(e[1].path);
	path_take_over(e[1].path);
	assert_string_equal(carrier_of(&e[1]), "socket");
	rig_exchange(&e[0], &e[1]);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

int
main(void)
{
#define ON_IPV4(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define ON_IPV6(f) cmocka_unit_test_setup_teardown(f, set_up_ipv6, tear_down)
	const struct CMUnitTest tests[] = {
	    ON_IPV4(takes_the_peers_datagrams_only),
	    ON_IPV6(takes_the_peers_datagrams_only),
	    ON_IPV4(sends_a_train_as_datagrams),
	    ON_IPV6(sends_a_train_as_datagrams),
	    ON_IPV4(receives_a_train_as_datagrams),
	    ON_IPV6(receives_a_train_as_datagrams),
	    ON_IPV4(nobody_else_can_share_the_address),
	    ON_IPV6(nobody_else_can_share_the_address),
	    ON_IPV4(survives_a_peer_that_refuses),
	    ON_IPV4(loses_what_is_too_large),
	    ON_IPV4(can_be_freed_by_a_datagram),
	    ON_IPV4(answers_the_peers_checks),
	    ON_IPV6(answers_the_peers_checks),
	    ON_IPV4(answers_nobody_without_the_password),
	    cmocka_unit_test_setup_teardown(paths_change_their_carrier, rig_set_up,
					    rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
