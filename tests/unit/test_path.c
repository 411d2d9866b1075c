#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "path/context.h"
#include "path/path.h"

/* Nothing here takes that long unless it hangs. */
#define HANG_S 30

#define BUNDLES_MAX 4

static const struct session no_servers;

static struct event_base *base;
static struct path_context *ctx;

/* One end, and how it treats what it is given. */
struct end {
	struct path *path;
	struct end *other;
	const char *name;
	unsigned delay_ms;     /* of the bundles it sends */
	bool reverse;          /* hold the first bundle back until the second is out */
	const char *wrong_pwd; /* signalled instead of the right one */
	bool silent;           /* signals nothing */
	struct path_bundle bundle[BUNDLES_MAX];
	struct event *delivery[BUNDLES_MAX];
	size_t n_bundles;
	size_t n_ready, n_failed, n_datagrams, n_writable;
	char why[200];
	uint8_t last[PATH_DATAGRAM_MAX];
	size_t last_len;
	bool free_in_ready, free_in_datagram, free_in_failed, free_in_bundle;
};

static void
free_path(struct end *e)
{
	path_free(e->path);
	e->path = NULL;
}

static void
hand_over(struct end *to, const struct path_bundle *b, const char *pwd)
{
	const char *line[PATH_CANDIDATES_MAX];
	struct err err;
	size_t i;

	if (to->path == NULL || to->n_failed > 0)
		return;
	for (i = 0; i < b->n; i++)
		line[i] = b->candidate[i];
	if (path_remote(to->path, b->ufrag, pwd != NULL ? pwd : b->pwd, line, b->n, b->last,
			&err) != 0)
		fail_msg("%s: %s", to->name, err.text);
}

static void
deliver(evutil_socket_t fd, short what, void *arg)
{
	struct end *e = arg;
	size_t i;

	(void)fd;
	(void)what;
	for (i = e->n_bundles; i-- > 0;)
		if (e->delivery[i] != NULL &&
		    !evtimer_pending(e->delivery[i], NULL)) {
			event_free(e->delivery[i]);
			e->delivery[i] = NULL;
			hand_over(e->other, &e->bundle[i], e->wrong_pwd);
		}
}

static void
on_bundle(void *arg, const struct path_bundle *b)
{
	struct end *e = arg;
	struct timeval tv;
	size_t i = e->n_bundles++;

	assert_true(i < BUNDLES_MAX);
	e->bundle[i] = *b;
	event_base_loopbreak(base);
	if (e->free_in_bundle) {
		free_path(e);
		return;
	}
	if (e->silent || e->other == NULL)
		return;
	tv.tv_sec = e->delay_ms / 1000;
	tv.tv_usec = (suseconds_t)(e->delay_ms % 1000) * 1000;
	e->delivery[i] = evtimer_new(base, deliver, e);
	evtimer_add(e->delivery[i], &tv);
}

static void
on_ready(void *arg)
{
	struct end *e = arg;

	e->n_ready++;
	if (e->free_in_ready)
		free_path(e);
	event_base_loopbreak(base);
}

static void
on_failed(void *arg, const char *why)
{
	struct end *e = arg;

	e->n_failed++;
	snprintf(e->why, sizeof e->why, "%s", why);
	if (e->free_in_failed)
		free_path(e);
	event_base_loopbreak(base);
}

static void
on_datagram(void *arg, uint8_t *data, size_t len)
{
	struct end *e = arg;

	e->n_datagrams++;
	assert_in_range(len, 1, PATH_DATAGRAM_MAX);
	memcpy(e->last, data, len);
	memset(data, 0xee, len); /* the callee may */
	e->last_len = len;
	if (e->free_in_datagram)
		free_path(e);
	event_base_loopbreak(base);
}

static void
on_writable(void *arg)
{
	struct end *e = arg;

	e->n_writable++;
	event_base_loopbreak(base);
}

static const struct path_callbacks callbacks = {
    on_bundle, on_ready, on_failed, on_datagram, on_writable,
};

static void
open_end(struct end *e, struct end *other, const char *name, bool controlling)
{
	struct path_config cfg = {
	    .controlling = controlling, .policy = PATH_ANY, .session = &no_servers};
	struct err err;

	e->name = name;
	e->other = other;
	e->path = path_new(ctx, &cfg, &callbacks, e, &err);
	if (e->path == NULL)
		fail_msg("%s: %s", name, err.text);
	/* Never from within the call. */
	assert_int_equal(e->n_bundles, 0);
}

static void
open_pair(struct end *a, struct end *b)
{
	open_end(a, b, "a", true);
	open_end(b, a, "b", false);
}

static void
close_end(struct end *e)
{
	size_t i;

	path_free(e->path);
	e->path = NULL;
	for (i = 0; i < e->n_bundles; i++)
		if (e->delivery[i] != NULL)
			event_free(e->delivery[i]);
}

static void
on_hang(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
	event_base_loopbreak(base);
}

/* Run the loop until ${done} says so. */
static void
run_until(bool (*done)(void *), void *arg)
{
	struct timeval tv = {HANG_S, 0};
	bool hung = false;
	struct event *hang = evtimer_new(base, on_hang, &hung);

	evtimer_add(hang, &tv);
	while (!done(arg) && !hung)
		event_base_dispatch(base);
	event_free(hang);
	assert_false(hung);
}

static void
run_for(unsigned ms)
{
	struct timeval tv = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

	event_base_loopexit(base, &tv);
	while (event_base_dispatch(base) == 0 && !event_base_got_exit(base))
		;
}

struct ends {
	struct end *e;
	size_t n;
};

static bool
all_ready(void *arg)
{
	struct ends *all = arg;
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (all->e[i].n_failed > 0)
			fail_msg("end %zu (%s) failed: %s", i, all->e[i].name,
				 all->e[i].why);
		if (all->e[i].n_ready == 0)
			return false;
	}
	return true;
}

static bool
one_datagram(void *arg)
{
	return ((struct end *)arg)->n_datagrams > 0;
}

static bool
has_failed(void *arg)
{
	return ((struct end *)arg)->n_failed > 0;
}

static bool
has_bundle(void *arg)
{
	return ((struct end *)arg)->n_bundles > 0;
}

static void
send_and_expect(struct end *from, struct end *to, size_t len)
{
	uint8_t data[PATH_DATAGRAM_MAX];
	size_t i;

	/* First bytes as QUIC has them. */
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(0x40 + (i * 7 + len) % 64);
	to->n_datagrams = 0;
	assert_int_equal(path_send(from->path, data, len, len), len);
	assert_int_equal(to->n_datagrams, 0);
	run_until(one_datagram, to);
	assert_int_equal(to->last_len, len);
	assert_memory_equal(to->last, data, len);
}

static void
exchange(struct end *a, struct end *b)
{
	static const size_t sizes[] = {1, 2, 19, 20, 21, 500, 1200, 1252, 1280, 1372};
	size_t i;

	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		send_and_expect(a, b, sizes[i]);
		send_and_expect(b, a, sizes[i]);
	}
}

static int
set_up(void **state)
{
	struct err err;

	(void)state;
	base = event_base_new();
	ctx = path_context_new(base, &err);
	return base != NULL && ctx != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	path_context_free(ctx);
	event_base_free(base);
	return 0;
}

static void
use_hosts(const char *a, const char *b)
{
	ctx->n_hosts = 0;
	addr_parse(&ctx->hosts[ctx->n_hosts++], a, 0);
	if (b != NULL)
		addr_parse(&ctx->hosts[ctx->n_hosts++], b, 0);
}

static void
connects(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	exchange(&e[0], &e[1]);
	/* Without servers one bundle says it all. */
	assert_int_equal(e[0].n_bundles, 1);
	assert_true(e[0].bundle[0].last);
	assert_true(e[0].bundle[0].n > 0);
	path_get_info(e[0].path, &info);
	assert_true(info.ready);
	assert_false(info.relayed);
	assert_string_equal(info.carrier, "agent");
	assert_int_not_equal(addr_port(&info.local), 0);
	assert_int_not_equal(addr_port(&info.remote), 0);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
connects_over_loopback(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};

	(void)state;
	use_hosts("127.0.0.1", NULL);
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	exchange(&e[0], &e[1]);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
connects_over_ipv6(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	struct path_info info;

	(void)state;
	use_hosts("::1", NULL);
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	exchange(&e[0], &e[1]);
	path_get_info(e[1].path, &info);
	assert_int_equal(info.local.sa.sa_family, AF_INET6);
	close_end(&e[0]);
	close_end(&e[1]);
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
	use_hosts("127.0.0.1", "::1");
	for (i = 0; i < N_DELAYS * N_DELAYS; i++) {
		e[2 * i].delay_ms = delays_ms[i / N_DELAYS];
		e[2 * i + 1].delay_ms = delays_ms[i % N_DELAYS];
		open_pair(&e[2 * i], &e[2 * i + 1]);
	}
	run_until(all_ready, &all);
	for (i = 0; i < all.n; i += 2) {
		send_and_expect(&e[i], &e[i + 1], 1200);
		send_and_expect(&e[i + 1], &e[i], 1200);
	}
	for (i = 0; i < all.n; i++)
		close_end(&e[i]);
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
	open_pair(&e[0], &e[1]);
	assert_int_equal(path_send(e[0].path, data, 100, 100), 0); /* not ready */
	run_until(all_ready, &all);
	assert_int_equal(e[0].n_writable, 1);
	memset(data, 0x55, sizeof data);
	assert_int_equal(path_send(e[0].path, data, sizeof data, 1000), sizeof data);
	run_until(three_datagrams, &e[1]);
	assert_int_equal(e[1].last_len, 500);
	close_end(&e[0]);
	close_end(&e[1]);
}

static bool
is_writable(void *arg)
{
	return ((struct end *)arg)->n_writable > 0;
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
	use_hosts("127.0.0.1", NULL);
	memset(data, 0x55, sizeof data);
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	for (i = 0; i < 1000; i++) {
		taken = path_send(e[0].path, data, sizeof data, 1200);
		assert_true(taken == sizeof data || taken % 1200 == 0);
		if (taken < sizeof data)
			break;
	}
	if (taken < sizeof data)
		run_until(is_writable, &e[0]);
	close_end(&e[0]);
	close_end(&e[1]);
}

/* A datagram that is too large for the interface is lost, not an error. */
static void
loses_what_is_too_large(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	static uint8_t data[70000];

	(void)state;
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	memset(data, 0x55, sizeof data);
	assert_int_equal(path_send(e[0].path, data, sizeof data, 69000), sizeof data);
	run_until(one_datagram, &e[1]);
	assert_int_equal(e[1].last_len, 1000);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
be_quick(void)
{
	ctx->times.answer_ms = 100;
	ctx->times.connect_ms = 1500;
}

static void
fails_with_a_wrong_password(void **state)
{
	struct end e[2] = {0};

	(void)state;
	be_quick();
	e[0].wrong_pwd = "0123456789012345678901";
	e[1].wrong_pwd = "0123456789012345678901";
	open_pair(&e[0], &e[1]);
	run_until(has_failed, &e[0]);
	run_until(has_failed, &e[1]);
	assert_non_null(strstr(e[0].why, "no pair of candidates works"));
	assert_int_equal(e[0].n_ready, 0);
	assert_int_equal(e[1].n_ready, 0);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
fails_when_the_other_side_is_silent(void **state)
{
	struct end e = {0};
	static const char *const line[] = {"1 1 UDP 2000000000 127.0.0.1 9 typ host"};
	struct err err;

	(void)state;
	be_quick();
	use_hosts("127.0.0.1", NULL);
	open_end(&e, NULL, "a", true);
	run_until(has_bundle, &e);
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", line, 1, true,
				     &err),
			 0);
	run_until(has_failed, &e);
	assert_int_equal(e.n_failed, 1);
	assert_non_null(strstr(e.why, "TURN server would help"));
	assert_int_equal(path_remote(e.path, "abcd", "0123456789012345678901", line, 1, true,
				     &err),
			 -1);
	close_end(&e);
}

static void
fails_without_candidates(void **state)
{
	struct end e = {0};
	struct err err;

	(void)state;
	be_quick();
	e.free_in_failed = true;
	open_end(&e, NULL, "a", false);
	assert_int_equal(
	    path_remote(e.path, "abcd", "0123456789012345678901", NULL, 0, true, &err), 0);
	run_until(has_failed, &e);
	assert_non_null(strstr(e.why, "no usable candidate"));
	close_end(&e);
}

static int
offer(struct end *e, const char *ufrag, const char *pwd, const char *line)
{
	const char *lines[] = {"2 1 UDP 1000000000 127.0.0.1 9 typ host", line};
	struct err err = {""};
	int r = path_remote(e->path, ufrag, pwd, lines, line != NULL ? 2 : 1, false, &err);

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
	open_end(&e, NULL, "a", true);
	assert_int_equal(offer(&e, UFRAG, PWD, "garbage"), -1);
	assert_int_equal(offer(&e, UFRAG, PWD, ""), -1);
	assert_int_equal(offer(&e, UFRAG, PWD, "1 1 UDP 0 192.0.2.1 9 typ host"), -1);
	assert_int_equal(offer(&e, "abc", PWD, NULL), -1);
	assert_int_equal(offer(&e, "", PWD, NULL), -1);
	assert_int_equal(offer(&e, "ab:d", PWD, NULL), -1);
	assert_int_equal(offer(&e, UFRAG, "short", NULL), -1);
	for (i = 0; i < PATH_CANDIDATES_MAX + 1; i++) {
		snprintf(text[i], sizeof text[i], "1 1 UDP 5 127.0.0.1 %zu typ host", i + 1);
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
	close_end(&e);
}

static void
frees_at_every_stage(void **state)
{
	struct end e[2];
	struct ends all = {&e[1], 1};
	unsigned ms;

	(void)state;
	use_hosts("127.0.0.1", "::1");
	memset(e, 0, sizeof e);
	open_pair(&e[0], &e[1]);
	close_end(&e[0]);
	close_end(&e[1]);

	memset(e, 0, sizeof e);
	e[0].free_in_bundle = true;
	open_pair(&e[0], &e[1]);
	run_until(has_bundle, &e[0]);
	close_end(&e[0]);
	close_end(&e[1]);

	for (ms = 0; ms < 120; ms += 15) {
		memset(e, 0, sizeof e);
		open_pair(&e[0], &e[1]);
		run_for(ms);
		close_end(&e[0]);
		run_for(5);
		close_end(&e[1]);
	}

	memset(e, 0, sizeof e);
	e[0].free_in_ready = true;
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
frees_in_datagram(void **state)
{
	struct end e[2] = {0};
	struct ends all = {e, 2};
	uint8_t data[5000];

	(void)state;
	use_hosts("127.0.0.1", NULL);
	memset(data, 0x55, sizeof data);
	e[1].free_in_datagram = true;
	open_pair(&e[0], &e[1]);
	run_until(all_ready, &all);
	path_send(e[0].path, data, sizeof data, 1000);
	run_until(one_datagram, &e[1]);
	run_for(20);
	assert_int_equal(e[1].n_datagrams, 1);
	close_end(&e[0]);
	close_end(&e[1]);
}

static void
needs_a_server_to_relay(void **state)
{
	struct path_config cfg = {.policy = PATH_RELAY, .session = &no_servers};
	struct err err;

	(void)state;
	assert_null(path_new(ctx, &cfg, &callbacks, NULL, &err));
	assert_non_null(strstr(err.text, "turn-user"));
}

/* A STUN server that does not answer holds up the last bundle only. */
static void
bears_dead_servers(void **state)
{
	struct url stun = {.scheme = URL_STUN, .host = "127.0.0.1", .port = 9};
	struct session s = {.stun = &stun, .n_stun = 1};
	struct path_config cfg = {.controlling = true, .session = &s};
	struct end e = {0};
	struct err err;

	(void)state;
	use_hosts("127.0.0.1", NULL);
	ctx->times.gather_ms = 200;
	e.path = path_new(ctx, &cfg, &callbacks, &e, &err);
	assert_non_null(e.path);
	run_until(has_bundle, &e);
	assert_false(e.bundle[0].last);
	assert_true(e.bundle[0].n > 0);
	while (e.n_bundles < 2)
		event_base_loop(base, EVLOOP_ONCE);
	assert_true(e.bundle[1].last);
	assert_int_equal(e.bundle[1].n, 0);
	close_end(&e);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(connects),
	    TEST(connects_over_loopback),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
