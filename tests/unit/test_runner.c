/* A run on the control socket, the proxy's end and the verb's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/pass.h"
#include "control_rig.h"
#include "watch/run_client.h"

static struct control *ctl;
static char said[8192]; /* lines, formatted again */
static char closed[256];
static struct run_client *client;
static bool leave_at_go;

static void
on_line(void *arg, const struct run_line *l)
{
	static char text[RUN_LINE_MAX + 1];

	(void)arg;
	run_line_format(l, text);
	strncat(said, text, sizeof said - strlen(said) - 2);
	strcat(said, "\n");
	if (leave_at_go && l->type == RUN_LINE_GO) {
		run_client_free(client);
		client = NULL;
	}
}

static void
on_closed(void *arg, const char *why)
{
	(void)arg;
	snprintf(closed, sizeof closed, "%s", why);
}

static const struct run_client_callbacks callbacks = {on_line, on_closed};

static int
set_up(void **state)
{
	rig_set_up(state);
	ctl = rig_start();
	said[0] = closed[0] = '\0';
	leave_at_go = false;
	client = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	run_client_free(client);
	control_free(ctl);
	return rig_tear_down(state);
}

#define UNTIL(condition)                                                                 \
	do {                                                                             \
		uint64_t hang_ns_ = clock_now_ns() + 30 * NS_PER_S;                      \
		while (!(condition)) {                                                   \
			assert_true(clock_now_ns() < hang_ns_);                          \
			event_base_loop(base, EVLOOP_NONBLOCK);                          \
		}                                                                        \
	} while (0)

static void
raw_line(int fd, const char *line)
{
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
}

/* The proxy's first line comes from the loop that we turn ourselves here. */
static int
ask(void)
{
	char text[32];
	int fd = raw_connect();
	ssize_t n;

	raw_line(fd, "run\n");
	UNTIL((n = recv(fd, text, sizeof text, MSG_DONTWAIT)) > 0);
	assert_memory_equal(text, "ok 11365\n", (size_t)n);
	return fd;
}

static void
begin(void)
{
	client = run_client_new(base, ask(), &callbacks, NULL);
	assert_non_null(client);
	run_client_say(client, &(struct run_line){.type = RUN_LINE_OFFER,
						  .offer = {1, 2, 3},
						  .offer_len = 3});
	UNTIL(proxy.run != NULL);
}

static void
test_a_run(void **state)
{
	const struct run_callbacks *cb;
	void *arg;

	(void)state;
	begin();
	assert_int_equal(proxy.offer_len, 3);
	assert_memory_equal(proxy.offer, "\1\2\3", 3);
	UNTIL(strstr(said, "party 2 0 waiting for it\n") != NULL);
	assert_non_null(strstr(said, "party 0 1 connected\n"));
	said[0] = '\0';
	fake_proxy_connect(&proxy, 2, true);
	cb = fake_run_callbacks(&proxy, &arg);
	cb->changed(arg);
	cb->complete(arg, 4);
	UNTIL(strstr(said, "complete") != NULL);
	assert_string_equal(said, "party 2 1 connected\ntheirs 0 010203\ncomplete 4\n");
	run_client_say(client, &(struct run_line){.type = RUN_LINE_AGREE, .set = 4});
	UNTIL(proxy.agreed == 4);
	said[0] = '\0';
	cb->go(arg);
	cb->ended(arg, 2, RUN_END_PROGRAM, 3);
	cb->lost(arg, 0, "a\nb");
	UNTIL(strstr(said, "lost") != NULL);
	assert_string_equal(said, "go\nended 2 0 3\nlost 0 a?b\n");
	/* Told to the others at once, and done when MPyC's connections are over. */
	said[0] = '\0';
	proxy.mpyc = true;
	run_client_say(client, &(struct run_line){.type = RUN_LINE_END, .code = 7});
	UNTIL(proxy.run == NULL);
	assert_int_equal(proxy.how, RUN_END_PROGRAM);
	assert_int_equal(proxy.code, 7);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_string_equal(said, "");
	proxy.mpyc = false;
	UNTIL(closed[0] != '\0');
	assert_string_equal(said, "done\n");
}

static void
test_the_verb_vanishes(void **state)
{
	(void)state;
	begin();
	run_client_free(client);
	client = NULL;
	UNTIL(proxy.run == NULL);
	assert_int_equal(proxy.how, RUN_END_GONE);
}

static void
test_the_verb_leaves_within_a_callback(void **state)
{
	const struct run_callbacks *cb;
	void *arg;

	(void)state;
	begin();
	leave_at_go = true;
	cb = fake_run_callbacks(&proxy, &arg);
	cb->go(arg);
	cb->lost(arg, 0, "late");
	UNTIL(client == NULL);
	assert_null(strstr(said, "late"));
	UNTIL(proxy.run == NULL);
}

static void
test_a_second_run(void **state)
{
	struct run_client *first;

	(void)state;
	begin();
	first = client;
	client = run_client_new(base, ask(), &callbacks, NULL);
	run_client_say(client, &(struct run_line){.type = RUN_LINE_OFFER,
						  .offer = {1},
						  .offer_len = 1});
	UNTIL(strstr(said, "no one at a time\n") != NULL);
	run_client_free(client);
	client = first;
	assert_non_null(proxy.run);
}

static void
test_a_gate(void **state)
{
	int fd = ask(), pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(run_client_gate(fd, pair[0], &err), 0);
	UNTIL(proxy.has_gate);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	UNTIL(!proxy.has_gate);
}

static void
expect_no(const char *request, int pass)
{
	char text[512];
	int fd = ask();
	ssize_t n;

	assert_int_equal(pass_send(fd, request, strlen(request), pass), strlen(request));
	UNTIL((n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) > 0);
	text[n] = '\0';
	assert_string_equal(text, "no the verb and the running mpcproxy are of different "
				  "versions\n");
	UNTIL(recv(fd, text, sizeof text, MSG_DONTWAIT) == 0);
	close(fd);
}

static void
test_nonsense(void **state)
{
	static char lengthy[RUN_LINE_MAX + 2];

	(void)state;
	expect_no("wat\n", -1);
	expect_no("go\n", -1);
	expect_no("agree 1\n", -1);
	expect_no("end 0 0\n", -1);
	expect_no("gate\n", -1);
	expect_no("offer 01\n", 0);
	memset(lengthy, 'x', sizeof lengthy - 1);
	expect_no(lengthy, -1);
	assert_null(proxy.run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_run, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_the_verb_vanishes, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_the_verb_leaves_within_a_callback,
					    set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_second_run, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_gate, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
