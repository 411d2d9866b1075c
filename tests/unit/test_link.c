#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "check.h"
#include "fake_path.h"
#include "session/cert.h"
#include "tunnel/echo.h"
#include "tunnel/link.h"
#include "tunnel/ping.h"

/*
 * Two links, client (0) and server (1), that signal and send in memory: which path is
 * negotiated when, and which connection lives on it.
 */
#define HANG_NS (30 * NS_PER_S)

struct end {
	struct link *link;
	struct identity *id;
	SSL_CTX *ctx[2];
	uint8_t incarnation[16];
	unsigned ups, downs;
	bool deaf;    /* to sealed messages */
	bool refused; /* it is a second copy */
};

struct letter {
	struct letter *next;
	int to;
	size_t len;
	uint8_t data[];
};

static struct event_base *base;
static struct event *post;
static struct letter *letters;
static struct session *session;
static struct local *local;
static struct end end[2], copy;
static unsigned pongs;
static char pong_why[100];

static void
on_post(evutil_socket_t fd, short what, void *arg)
{
	struct letter *l;

	(void)fd;
	(void)what;
	(void)arg;
	while ((l = letters) != NULL) {
		letters = l->next;
		if (end[l->to].link != NULL && !end[l->to].deaf)
			link_sealed(end[l->to].link, l->data, l->len);
		/* Two copies of a party read the same box. */
		if (l->to == 0 && copy.link != NULL)
			link_sealed(copy.link, l->data, l->len);
		free(l);
	}
}

static void
on_send(void *arg, const uint8_t *sealed, size_t len)
{
	static const struct timeval now;
	struct letter *l = malloc(sizeof *l + len), **p = &letters;

	if (l == NULL)
		abort();
	l->next = NULL;
	l->to = arg != &end[1];
	l->len = len;
	memcpy(l->data, sealed, len);
	while (*p != NULL)
		p = &(*p)->next;
	*p = l;
	event_add(post, &now);
}

static void
on_up(void *arg)
{
	((struct end *)arg)->ups++;
}

static void
on_down(void *arg, const char *why)
{
	(void)why;
	((struct end *)arg)->downs++;
}

static struct link_owner *
on_opened(void *arg, struct quic_stream *s)
{
	struct end *e = arg;

	return echo_accept(e->link, s);
}

static void
on_second_copy(void *arg)
{
	((struct end *)arg)->refused = true;
}

static const struct link_callbacks callbacks = {
    .send = on_send,
    .up = on_up,
    .down = on_down,
    .opened = on_opened,
    .refused = on_second_copy,
};

static void
start_end(struct end *e, int index)
{
	struct link_config cfg = {
	    .base = base,
	    .session = session,
	    .local = local,
	    .identity = end[index].id,
	    .incarnation = e->incarnation,
	    .us = &session->parties[index],
	    .them = &session->parties[!index],
	    .self = (size_t)index,
	    .peer = (size_t)!index,
	};
	struct err err;

	assert_int_equal(RAND_bytes(e->incarnation, sizeof e->incarnation), 1);
	for (int i = 0; i < 2; i++)
		e->ctx[i] = cert_ssl_ctx(cfg.identity, i == 1, "mpcproxy/1", &err);
	cfg.client_ctx = e->ctx[0];
	cfg.server_ctx = e->ctx[1];
	e->ups = e->downs = 0;
	e->link = link_new(&cfg, &callbacks, e, &err);
	assert_non_null(e->link);
	link_rendezvous(e->link, true);
}

static void
stop_end(struct end *e)
{
	if (e->link == NULL)
		return;
	link_free(e->link);
	e->link = NULL;
	SSL_CTX_free(e->ctx[0]);
	SSL_CTX_free(e->ctx[1]);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

#define UNTIL(condition)                                                                 \
	do {                                                                             \
		uint64_t hang_ns_ = clock_now_ns() + HANG_NS;                            \
		while (!(condition)) {                                                   \
			if (clock_now_ns() > hang_ns_)                                   \
				fail_msg("it never came to: %s", #condition);            \
			event_base_loop(base, EVLOOP_ONCE);                              \
		}                                                                        \
	} while (0)

static struct event *tick;

static int
setup(void **state)
{
	struct timeval every = {.tv_usec = 5000};
	char text[1000], key[2][PUBKEY_TEXT_BYTES];
	struct err err;
	int len;

	(void)state;
	memset(end, 0, sizeof end);
	memset(&copy, 0, sizeof copy);
	memset(&fake_paths, 0, sizeof fake_paths);
	pongs = 0;
	base = event_base_new();
	fake_paths.base = base;
	post = evtimer_new(base, on_post, NULL);
	tick = event_new(base, -1, EV_PERSIST, on_tick, NULL);
	event_add(tick, &every);
	for (int i = 0; i < 2; i++) {
		end[i].id = identity_ephemeral(NULL);
		pubkey_format(identity_pubkey(end[i].id), key[i]);
	}
	len = snprintf(text, sizeof text,
		       "[session]\nname = test\nrendezvous = dir:/nowhere\n"
		       "[party alice]\nkey = %s\n[party bob]\nkey = %s\n",
		       key[0], key[1]);
	session = session_parse("session.ini", text, (size_t)len, &err);
	assert_non_null(session);
	local = local_parse("local.ini", "[local]\n", 8, true, session, &err);
	assert_non_null(local);
	start_end(&end[0], 0);
	start_end(&end[1], 1);
	return 0;
}

static int
teardown(void **state)
{
	struct letter *l;

	(void)state;
	stop_end(&end[0]);
	stop_end(&end[1]);
	stop_end(&copy);
	while ((l = letters) != NULL) {
		letters = l->next;
		free(l);
	}
	event_free(post);
	event_free(tick);
	event_base_free(base);
	local_free(local);
	session_free(session);
	identity_free(end[0].id);
	identity_free(end[1].id);
	return 0;
}

static bool
both_up(void)
{
	return link_is_up(end[0].link) && link_is_up(end[1].link);
}

static uint32_t
path_of(const struct end *e)
{
	struct link_info info;

	link_get_info(e->link, &info);
	return info.quic.path;
}

static void
on_pong(void *arg, uint64_t rtt_ns, const char *why)
{
	(void)arg;
	(void)rtt_ns;
	if (why == NULL)
		pongs++;
	else
		snprintf(pong_why, sizeof pong_why, "%s", why);
}

/* A round trip of a stream, which a new connection would have lost. */
static void
check_round_trip(void)
{
	unsigned before = pongs;
	struct err err;

	assert_non_null(ping_start(base, end[0].link, on_pong, NULL, &err));
	UNTIL(pongs > before);
}

static void
test_the_first_path(void **state)
{
	(void)state;
	UNTIL(both_up());
	assert_int_equal(path_of(&end[0]), 1);
	assert_int_equal(path_of(&end[1]), 1);
	check_round_trip();
}

static void
test_a_failure_at_the_client(void **state)
{
	(void)state;
	fake_paths.fail[1] = 2;
	UNTIL(both_up());
	assert_int_equal(path_of(&end[0]), 3);
	check_round_trip();
}

/* The client believes in its path, and would for a minute. */
static void
test_a_failure_at_the_server(void **state)
{
	(void)state;
	fake_paths.fail[0] = 1;
	fake_paths.stall[1] = 1;
	UNTIL(both_up());
	assert_int_equal(path_of(&end[0]), 2);
	check_round_trip();
}

static void
check_replacement(int role)
{
	UNTIL(both_up());
	fake_path_fail(fake_paths.newest[role]);
	UNTIL(path_of(&end[0]) == 2 && path_of(&end[1]) == 2);
	check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

static void
test_the_client_replaces_a_path_that_fails(void **state)
{
	(void)state;
	check_replacement(1);
}

static void
test_the_server_has_one_replaced(void **state)
{
	(void)state;
	check_replacement(0);
}

/* The server's addresses change twice: what is negotiated after the first change is of no
 * use after the second, and it does not wait until the server asks once more. */
static void
test_the_servers_addresses_change_twice(void **state)
{
	uint64_t began_ns;

	(void)state;
	UNTIL(both_up());
	fake_paths.lost_address[0] = true;
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	link_network_changed(end[1].link);
	UNTIL(fake_paths.made[0] == 2 && fake_paths.made[1] == 2);
	began_ns = clock_now_ns();
	link_network_changed(end[1].link);
	UNTIL(path_of(&end[0]) == 3 && path_of(&end[1]) == 3);
	assert_true(clock_now_ns() - began_ns < 6 * NS_PER_S);
	check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* A change that leaves our address alone may still have cut the path: that is found out
 * at once, and not when keep-alives stay away. When it has not, nothing moves. */
static void
test_a_change_of_routes(void **state)
{
	uint64_t began_ns;

	(void)state;
	for (int who = 0; who < 2; who++) {
		UNTIL(both_up());
		link_network_changed(end[who].link);
		check_round_trip();
		assert_int_equal(path_of(&end[0]), 1 + who);
		fake_path_cut(fake_paths.newest[0]);
		began_ns = clock_now_ns();
		link_network_changed(end[who].link);
		UNTIL(path_of(&end[0]) == 2U + who && path_of(&end[1]) == 2U + who);
		assert_true(clock_now_ns() - began_ns < 5 * NS_PER_S);
		check_round_trip();
	}
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* Failures on the way to the new path do not end the connection on the old. */
static void
test_replacements_that_fail(void **state)
{
	(void)state;
	UNTIL(both_up());
	fake_paths.fail[1] = 1;
	fake_path_fail(fake_paths.newest[0]);
	UNTIL(path_of(&end[0]) >= 3 && path_of(&end[0]) == path_of(&end[1]));
	check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* The path in use is dead, and so are twenty that ICE finds, one after the other: none
 * costs anything that the twenty-first needs. */
static void
test_twenty_paths_that_carry_nothing(void **state)
{
	(void)state;
	UNTIL(both_up());
	check_round_trip();
	fake_path_cut(fake_paths.newest[0]);
	fake_paths.hollow[1] = 20;
	fake_path_fail(fake_paths.newest[1]);
	for (unsigned i = 1; i <= 20; i++) {
		UNTIL(fake_paths.asked[1] >= i && fake_paths.made[1] == i + 1);
		fake_paths.asked[1] = i;
		link_network_changed(end[0].link);
	}
	UNTIL(path_of(&end[0]) == 22 && path_of(&end[1]) == 22);
	check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* One that carries nothing is given up by itself. */
static void
test_a_path_that_carries_nothing(void **state)
{
	(void)state;
	UNTIL(both_up());
	fake_paths.hollow[1] = 1;
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(path_of(&end[0]) == 3 && path_of(&end[1]) == 3);
	assert_in_range(fake_paths.asked[1], 13, 14);
	check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* Libnice selects again when a better pair answers: that is no other path. */
static void
test_a_pair_that_is_selected_again(void **state)
{
	struct path *next;

	(void)state;
	UNTIL(both_up());
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(fake_paths.made[1] == 2);
	next = fake_paths.newest[1];
	UNTIL(fake_path_is_ready(next));
	if (fake_paths.newest[1] == next)
		fake_path_select_again(next);
	UNTIL(path_of(&end[0]) == 2 && path_of(&end[1]) == 2);
	fake_path_select_again(next);
	check_round_trip();
	assert_int_equal(fake_paths.made[1], 2);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* As status says, at both ends. */
static bool
both_relayed(bool relayed)
{
	struct link_info info[2];

	for (int i = 0; i < 2; i++)
		link_get_info(end[i].link, &info[i]);
	return info[0].has_path && info[1].has_path && info[0].path.relayed == relayed &&
	       info[1].path.relayed == relayed;
}

static void
check_nothing_was_lost(void)
{
	check_round_trip();
	assert_int_equal(end[0].ups, 1);
	assert_int_equal(end[1].ups, 1);
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

/* A change of the network, at the client or at the server, has a relayed pair look for a
 * direct path, and it moves there. */
static void
check_search(int who)
{
	fake_paths.relayed = true;
	UNTIL(both_up());
	assert_true(both_relayed(true));
	link_network_changed(end[who].link);
	UNTIL(both_relayed(false) && path_of(&end[0]) == 2 && path_of(&end[1]) == 2);
	check_nothing_was_lost();
	/* Now there is nothing to look for. */
	link_network_changed(end[0].link);
	link_network_changed(end[1].link);
	check_nothing_was_lost();
	assert_int_equal(fake_paths.made[1], 2);
}

static void
test_the_client_moves_to_a_direct_path(void **state)
{
	(void)state;
	check_search(0);
}

static void
test_the_server_has_a_direct_path_looked_for(void **state)
{
	(void)state;
	check_search(1);
}

/* Whichever end's attempt fails, the relay goes on, and nobody is told of an error. */
static void
test_a_search_in_vain(void **state)
{
	struct link_info info;

	(void)state;
	fake_paths.relayed = true;
	UNTIL(both_up());
	for (unsigned who = 0; who < 2; who++) {
		fake_paths.fail[!who] = 1;
		link_network_changed(end[0].link);
		UNTIL(fake_paths.made[0] == 2 + who && fake_paths.made[1] == 2 + who);
		UNTIL(fake_paths.fail[!who] == 0);
		check_nothing_was_lost();
		link_get_info(end[who].link, &info);
		assert_string_equal(info.last_error, "");
	}
	assert_true(both_relayed(true));
	/* The one that succeeds. */
	link_network_changed(end[0].link);
	UNTIL(both_relayed(false));
	assert_int_equal(fake_paths.made[1], 4);
	check_nothing_was_lost();
}

/* The relay fails while a direct path is looked for, which gets nowhere: any path will
 * do, and it is not kept waiting. */
static void
check_failure_during_a_search(int who)
{
	struct path *relay;

	fake_paths.relayed = true;
	UNTIL(both_up());
	relay = fake_paths.newest[!who];
	fake_paths.stall[0] = fake_paths.stall[1] = 1;
	link_network_changed(end[0].link);
	UNTIL(fake_paths.made[0] == 2 && fake_paths.made[1] == 2);
	fake_path_fail(relay);
	UNTIL(path_of(&end[0]) >= 3 && path_of(&end[0]) == path_of(&end[1]));
	UNTIL(both_relayed(true));
	check_nothing_was_lost();
}

static void
test_the_clients_relay_fails_during_a_search(void **state)
{
	(void)state;
	check_failure_during_a_search(0);
}

static void
test_the_servers_relay_fails_during_a_search(void **state)
{
	(void)state;
	check_failure_during_a_search(1);
}

static void
inject_initial(uint8_t version)
{
	uint8_t packet[1200];

	memset(packet, 0, sizeof packet);
	packet[0] = 0xc0;
	packet[4] = version;
	packet[5] = 8;
	packet[14] = 8;
	fake_path_inject(fake_paths.newest[0], packet, sizeof packet);
}

/* Somebody else's Initial packet arrives while the client is about to migrate. */
static void
test_a_forged_initial_packet(void **state)
{
	(void)state;
	UNTIL(both_up());
	fake_path_fail(fake_paths.newest[1]);
	UNTIL(fake_paths.made[0] == 2);
	inject_initial(1);
	UNTIL(path_of(&end[0]) == 2 && path_of(&end[1]) == 2);
	check_round_trip();
	assert_int_equal(end[0].downs + end[1].downs, 0);
}

static void
test_another_version(void **state)
{
	(void)state;
	/* The client's own packets would do. */
	fake_paths.stall[1] = 1;
	UNTIL(fake_paths.made[0] == 1 && fake_path_is_ready(fake_paths.newest[0]));
	UNTIL(fake_paths.newest[1] != NULL);
	inject_initial(2);
	UNTIL(fake_paths.negotiations == 1);
}

static void
test_a_restart(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		UNTIL(both_up());
		stop_end(&end[i]);
		UNTIL(end[!i].downs == 1);
		start_end(&end[i], i);
		UNTIL(both_up());
		check_round_trip();
		end[0].downs = end[1].downs = 0;
	}
}

/* It dies without a word: the newcomer takes its place once the old life is silent. */
static void
test_a_restart_after_a_crash(void **state)
{
	(void)state;
	UNTIL(both_up());
	fake_paths.swallow = true;
	stop_end(&end[0]);
	fake_paths.swallow = false;
	start_end(&end[0], 0);
	UNTIL(both_up() && end[1].downs == 1);
	check_round_trip();
}

/* The old life hears no challenge, for the rendezvous keeps it back; but its path
 * answers. */
static void
test_a_second_copy(void **state)
{
	(void)state;
	UNTIL(both_up());
	check_round_trip();
	end[0].deaf = true;
	start_end(&copy, 0);
	UNTIL(copy.refused);
	assert_true(both_up());
	assert_int_equal(end[1].downs, 0);
	check_round_trip();
}

static void
test_freed_in_every_state(void **state)
{
	(void)state;
	for (int turns = 0; turns < 40; turns += 3) {
		for (int i = 0; i < turns; i++)
			event_base_loop(base, EVLOOP_ONCE);
		stop_end(&end[turns % 2]);
		start_end(&end[turns % 2], turns % 2);
	}
	UNTIL(both_up());
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_the_first_path),
	    TEST(test_a_failure_at_the_client),
	    TEST(test_a_failure_at_the_server),
	    TEST(test_the_client_replaces_a_path_that_fails),
	    TEST(test_the_server_has_one_replaced),
	    TEST(test_the_servers_addresses_change_twice),
	    TEST(test_a_change_of_routes),
	    TEST(test_replacements_that_fail),
	    TEST(test_twenty_paths_that_carry_nothing),
	    TEST(test_a_path_that_carries_nothing),
	    TEST(test_a_pair_that_is_selected_again),
	    TEST(test_the_client_moves_to_a_direct_path),
	    TEST(test_the_server_has_a_direct_path_looked_for),
	    TEST(test_a_search_in_vain),
	    TEST(test_the_clients_relay_fails_during_a_search),
	    TEST(test_the_servers_relay_fails_during_a_search),
	    TEST(test_a_forged_initial_packet),
	    TEST(test_another_version),
	    TEST(test_a_restart),
	    TEST(test_a_restart_after_a_crash),
	    TEST(test_a_second_copy),
	    TEST(test_freed_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
