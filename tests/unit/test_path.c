#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "path_rig.h"

static void
connects(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	/* Without servers one bundle says it all. */
	assert_int_equal(e[0].n_sent, 1);
	assert_true(e[0].sent[0].bundle.last);
	assert_true(e[0].sent[0].bundle.n > 0);
	path_get_info(e[0].path, &info);
	assert_true(info.ready);
	assert_false(info.relayed);
	assert_string_equal(info.carrier, "agent");
	assert_int_not_equal(addr_port(&info.local), 0);
	assert_int_not_equal(addr_port(&info.remote), 0);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
connects_over_loopback(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
connects_over_ipv6(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	rig_use_hosts("::1", NULL);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	path_get_info(e[1].path, &info);
	assert_int_equal(info.local.sa.sa_family, AF_INET6);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static const unsigned delays_ms[] = {0, 50, 200, 2000};
#define N_DELAYS (sizeof delays_ms / sizeof *delays_ms)

/* Candidates of either side late by any of these, all combinations at once. */
static void
connects_in_spite_of_delays(void **state)
{
	struct end e[2 * N_DELAYS * N_DELAYS] = {0};
	struct ends all = {e, 2 * N_DELAYS * N_DELAYS};
	size_t i;

	(void)state;
	rig_use_hosts("127.0.0.1", "::1");
	for (i = 0; i < N_DELAYS * N_DELAYS; i++) {
		e[2 * i].delay_ms = delays_ms[i / N_DELAYS];
		e[2 * i + 1].delay_ms = delays_ms[i % N_DELAYS];
		rig_open_pair(&e[2 * i], &e[2 * i + 1]);
	}
	rig_run_until(rig_all_ready, &all);
	for (i = 0; i < all.n; i += 2) {
		rig_send(&e[i], &e[i + 1], 1200);
		rig_send(&e[i + 1], &e[i], 1200);
	}
	for (i = 0; i < all.n; i++)
		rig_close(&e[i]);
}

static bool
three_datagrams(void *arg)
{
	return ((struct end *)arg)->n_datagrams >= 3;
}

static void
sends_trains(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	uint8_t data[2500];

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	assert_int_equal(path_send(e[0].path, data, 100, 100), 0); /* not ready */
	rig_run_until(rig_all_ready, &all);
	rig_run_until(rig_is_writable, &e[0]);
	memset(data, 0x55, sizeof data);
	assert_int_equal(path_send(e[0].path, data, sizeof data, 1000), sizeof data);
	rig_run_until(three_datagrams, &e[1]);
	assert_int_equal(e[1].last_len, 500);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

/* More than the socket's buffer holds: either all is taken at once (loopback delivers
 * within the call) or writable() comes. */
static void
fills_the_socket(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	static uint8_t data[64 * 1200];
	size_t i, taken = 0;

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	memset(data, 0x55, sizeof data);
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	for (i = 0; i < 1000; i++) {
		taken = path_send(e[0].path, data, sizeof data, 1200);
		assert_true(taken == sizeof data || taken % 1200 == 0);
		if (taken < sizeof data)
			break;
	}
	if (taken < sizeof data)
		rig_run_until(rig_is_writable, &e[0]);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

/* A datagram that is too large for the interface is lost, not an error. */
static void
loses_what_is_too_large(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	static uint8_t data[70000];

	(void)state;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	memset(data, 0x55, sizeof data);
	assert_int_equal(path_send(e[0].path, data, sizeof data, 69000), sizeof data);
	rig_run_until(rig_has_datagram, &e[1]);
	assert_int_equal(e[1].last_len, 1000);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
be_quick(void)
{
	rig_ctx->times.answer_ms = 100;
	rig_ctx->times.connect_ms = 1500;
}

static void
fails_with_a_wrong_password(void **state)
{
	struct end e[2] = {0};

	(void)state;
	be_quick();
	e[0].wrong_pwd = "0123456789012345678901";
	e[1].wrong_pwd = "0123456789012345678901";
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_has_failed, &e[0]);
	rig_run_until(rig_has_failed, &e[1]);
	assert_non_null(strstr(e[0].why, "no pair of candidates works"));
	assert_int_equal(e[0].n_ready, 0);
	assert_int_equal(e[1].n_ready, 0);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
fails_when_the_other_side_is_silent(void **state)
{
	struct end e = {0};
	static const char *const line[] = {"1 1 UDP 2000000000 127.0.0.1 9 typ host"};
	struct err err;

	(void)state;
	be_quick();
	rig_use_hosts("127.0.0.1", NULL);
	rig_open(&e, NULL);
	rig_run_until(rig_has_bundle, &e);
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", line, 1,
				     true, &err),
			 0);
	rig_run_until(rig_has_failed, &e);
	assert_int_equal(e.n_failed, 1);
	assert_non_null(strstr(e.why, "TURN server would help"));
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", line, 1,
				     true, &err),
			 -1);
	rig_close(&e);
}

static void
fails_without_candidates(void **state)
{
	struct end e = {0};
	struct err err;

	(void)state;
	be_quick();
	e.free_in_failed = true;
	rig_open(&e, NULL);
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", NULL, 0,
				     true, &err),
			 0);
	rig_run_until(rig_has_failed, &e);
	assert_non_null(strstr(e.why, "no usable candidate"));
	rig_close(&e);
}

/* Without the time that checks may take: there are none. */
static void
fails_soon_without_a_common_family(void **state)
{
	const char *line[] = {"1 1 UDP 1000000000 2001:db8::1 9 typ host"};
	struct end e = {0};
	uint64_t started_ns = clock_now_ns();
	struct err err;

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	rig_open(&e, NULL);
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", line, 1,
				     true, &err),
			 0);
	rig_run_until(rig_has_failed, &e);
	assert_non_null(strstr(e.why, "no pair of candidates"));
	assert_true(clock_now_ns() - started_ns < rig_ctx->times.answer_ms * NS_PER_MS);
	rig_close(&e);
}

static int
offer(struct end *e, const char *ufrag, const char *pwd, const char *line)
{
	const char *lines[] = {"2 1 UDP 1000000000 127.0.0.1 9 typ host", line};
	struct err err = {""};
	int r =
	    path_remote(e->path, ufrag, pwd, lines, line != NULL ? 2 : 1, false, &err);

	assert_int_equal(r == 0, err.text[0] == '\0');
	return r;
}

#define UFRAG "abcd"
#define PWD   "abcdefghijklmnopqrstuv"

static void
refuses_bad_bundles(void **state)
{
	struct end e = {0};
	const char *many[PATH_CANDIDATES_MAX + 1];
	char text[PATH_CANDIDATES_MAX + 1][PATH_CANDIDATE_MAX];
	size_t i;
	struct err err;

	(void)state;
	rig_open(&e, NULL);
	assert_int_equal(offer(&e, UFRAG, PWD, "garbage"), -1);
	assert_int_equal(offer(&e, UFRAG, PWD, ""), -1);
	assert_int_equal(offer(&e, UFRAG, PWD, "1 1 UDP 0 192.0.2.1 9 typ host"), -1);
	assert_int_equal(offer(&e, "abc", PWD, NULL), -1);
	assert_int_equal(offer(&e, "", PWD, NULL), -1);
	assert_int_equal(offer(&e, "ab:d", PWD, NULL), -1);
	assert_int_equal(offer(&e, UFRAG, "short", NULL), -1);
	for (i = 0; i < PATH_CANDIDATES_MAX + 1; i++) {
		snprintf(text[i], sizeof text[i], "1 1 UDP 5 127.0.0.1 %zu typ host",
			 i + 1);
		many[i] = text[i];
	}
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many, PATH_CANDIDATES_MAX + 1,
				     false, &err),
			 -1);
	/* Nothing of a refused bundle counts: all 25 are still welcome, in two
	 * bundles and also twice; one more is not. */
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many, 20, false, &err), 0);
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many, 20, false, &err), 0);
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many + 20, 5, true, &err), 0);
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many + 20, 5, true, &err), 0);
	assert_int_equal(path_remote(e.path, UFRAG, PWD, many + 25, 1, true, &err), -1);
	assert_int_equal(path_remote(e.path, "abce", PWD, many, 1, true, &err), -1);
	assert_int_equal(path_remote(e.path, UFRAG, PWD "x", many, 1, true, &err), -1);
	rig_close(&e);
}

static void
frees_at_every_stage(void **state)
{
	struct end e[2];
	struct ends all = {&e[1], 1};
	unsigned ms;

	(void)state;
	rig_use_hosts("127.0.0.1", "::1");
	memset(e, 0, sizeof e);
	rig_open_pair(&e[0], &e[1]);
	rig_close(&e[0]);
	rig_close(&e[1]);

	memset(e, 0, sizeof e);
	e[0].free_in_bundle = true;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_has_bundle, &e[0]);
	rig_close(&e[0]);
	rig_close(&e[1]);

	for (ms = 0; ms < 120; ms += 15) {
		memset(e, 0, sizeof e);
		rig_open_pair(&e[0], &e[1]);
		rig_run_for(ms);
		rig_close(&e[0]);
		rig_run_for(5);
		rig_close(&e[1]);
	}

	memset(e, 0, sizeof e);
	e[0].free_in_ready = true;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
frees_in_datagram(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	uint8_t data[5000];

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	memset(data, 0x55, sizeof data);
	e[1].free_in_datagram = true;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	path_send(e[0].path, data, sizeof data, 1000);
	rig_run_until(rig_has_datagram, &e[1]);
	rig_run_for(20);
	assert_int_equal(e[1].n_datagrams, 1);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

static void
needs_a_server_to_relay(void **state)
{
	struct session s = {0};
	struct path_config cfg = {.policy = PATH_RELAY, .session = &s};
	struct err err;

	(void)state;
	assert_null(path_new(rig_ctx, &cfg, &rig_callbacks, NULL, &err));
	assert_non_null(strstr(err.text, "turn-user"));
}

/* A STUN server that does not answer holds up the last bundle only. */
static void
bears_dead_servers(void **state)
{
	struct url stun = {.scheme = URL_STUN, .host = "127.0.0.1", .port = 9};
	struct session s = {.stun = &stun, .n_stun = 1};
	struct end e = {.cfg.session = &s};

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	rig_ctx->times.gather_ms = 200;
	rig_open(&e, NULL);
	rig_run_until(rig_has_bundle, &e);
	assert_false(e.sent[0].bundle.last);
	assert_true(e.sent[0].bundle.n > 0);
	rig_run_until(rig_has_last_bundle, &e);
	assert_int_equal(e.n_sent, 2);
	assert_int_equal(e.sent[1].bundle.n, 0);
	assert_string_equal(e.sent[0].bundle.ufrag, e.sent[1].bundle.ufrag);
	assert_string_equal(e.sent[0].bundle.pwd, e.sent[1].bundle.pwd);
	rig_close(&e);
}

/* A name that nobody knows does no more harm. RFC 6761: "invalid" never is known. */
static void
bears_unknown_names(void **state)
{
	struct url stun = {.scheme = URL_STUN, .host = "stun.invalid", .port = 3478};
	struct url turn = {.scheme = URL_TURN, .host = "turn.invalid", .port = 3478};
	struct session s = {.stun = &stun, .n_stun = 1, .turn = &turn, .n_turn = 1};
	struct end e[2] = {{.cfg = {.session = &s,
				    .turn_user = "u",
				    .turn_password = "p"}},
			   {.cfg = {.session = &s}}};
	struct ends all = {e, 2};

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	rig_ctx->times.gather_ms = 200;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_run_until(rig_has_last_bundle, &e[0]);
	rig_run_until(rig_has_last_bundle, &e[1]);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

/* The last bundle before the first one. */
static void
takes_bundles_in_any_order(void **state)
{
	struct url stun = {.scheme = URL_STUN, .host = "127.0.0.1", .port = 9};
	struct session s = {.stun = &stun, .n_stun = 1};
	struct end e[2] = {{.cfg.session = &s, .reverse = true},
			   {.cfg.session = &s, .reverse = true}};
	struct ends all = {e, 2};

	(void)state;
	rig_use_hosts("127.0.0.1", NULL);
	rig_ctx->times.gather_ms = 50;
	rig_open_pair(&e[0], &e[1]);
	rig_run_until(rig_all_ready, &all);
	rig_exchange(&e[0], &e[1]);
	rig_close(&e[0]);
	rig_close(&e[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(connects),
	    TEST(connects_over_loopback),
	    TEST(fails_soon_without_a_common_family),
	    TEST(connects_over_ipv6),
	    TEST(connects_in_spite_of_delays),
	    TEST(sends_trains),
	    TEST(fills_the_socket),
	    TEST(loses_what_is_too_large),
	    TEST(fails_with_a_wrong_password),
	    TEST(fails_when_the_other_side_is_silent),
	    TEST(fails_without_candidates),
	    TEST(refuses_bad_bundles),
	    TEST(frees_at_every_stage),
	    TEST(frees_in_datagram),
	    TEST(needs_a_server_to_relay),
	    TEST(bears_dead_servers),
	    TEST(bears_unknown_names),
	    TEST(takes_bundles_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
