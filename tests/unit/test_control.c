/* The server of the control socket. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "control_rig.h"
#include "watch/place.h"
#include "watch/request.h"

static void
test_only_the_owner_can_reach_it(void **state)
{
	struct control *ctl = rig_start();
	struct place places[PLACES_MAX];
	struct stat st;

	(void)state;
	assert_int_equal(place_list(places, &fake_session, FAKE_SELF, &err), 2);
	assert_int_equal(stat(rig_path("mpcproxy"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(places[0].addr.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
	control_free(ctl);
	assert_int_equal(stat(places[0].addr.sun_path, &st), -1);
}

static void
assert_refused(const char *why)
{
	assert_null(control_new(base, &fake_session, FAKE_SELF, &err));
	assert_non_null(strstr(err.text, why));
}

static void
test_directories_that_are_not_ours_alone(void **state)
{
	const char *path = rig_path("mpcproxy");
	char target[64];

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	chmod(path, 0750);
	assert_refused("chmod 700");
	chmod(path, 0701);
	assert_refused("chmod 700");
	if (geteuid() == 0) {
		chmod(path, 0700);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_refused("belongs to user 65534");
	}
	rmdir(path);
	strcpy(target, rig_dir);
	assert_int_equal(symlink(target, path), 0);
	assert_refused("cannot open");
	unlink(path);
	setenv("XDG_RUNTIME_DIR", "/nonexistent/for/mpcproxy", 1);
	assert_refused("cannot make");
}

static void
test_without_a_runtime_directory(void **state)
{
	struct control *ctl;
	struct stat st;
	char home[200];

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	ctl = rig_start();
	assert_int_equal(stat(rig_path("state/mpcproxy/run"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	control_free(ctl);

	/* Relative: to be ignored. Too long: no socket's address could hold it. */
	setenv("XDG_RUNTIME_DIR", "run", 1);
	setenv("XDG_STATE_HOME", "state", 1);
	memset(home, 'h', sizeof home - 1);
	home[0] = '/';
	home[sizeof home - 1] = '\0';
	setenv("HOME", home, 1);
	assert_refused("set XDG_RUNTIME_DIR");
}

static void
test_each_party_has_a_place_of_its_own(void **state)
{
	struct place places[PLACES_MAX], other[PLACES_MAX];
	struct session renamed = fake_session;

	(void)state;
	place_list(places, &fake_session, 0, &err);
	place_list(other, &fake_session, 1, &err);
	assert_string_not_equal(places[0].addr.sun_path, other[0].addr.sun_path);
	strcpy(renamed.name, "santb");
	place_list(other, &renamed, 0, &err);
	assert_string_not_equal(places[0].addr.sun_path, other[0].addr.sun_path);
	place_list(other, &fake_session, 0, &err);
	assert_string_equal(places[0].addr.sun_path, other[0].addr.sun_path);
}

static void
test_a_second_proxy_is_refused(void **state)
{
	struct control *ctl = rig_start();
	char pid[32];

	(void)state;
	assert_refused("another mpcproxy of session santa party bob runs already");
	snprintf(pid, sizeof pid, "(pid %ld)", (long)getpid());
	assert_non_null(strstr(err.text, pid));
	control_free(ctl);
	control_free(rig_start());
}

static void
test_a_dead_process_s_socket_is_replaced(void **state)
{
	struct place places[PLACES_MAX];
	struct control *ctl;
	int fd;

	(void)state;
	control_free(rig_start());
	place_list(places, &fake_session, FAKE_SELF, &err);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&places[0].addr,
			      sizeof places[0].addr),
			 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_refused("runs already");
	close(fd);
	ctl = rig_start();
	assert_string_equal(raw_ask("wat\n", 4) + 1,
			    "the running mpcproxy does not know this request: it is of "
			    "another version\nx 1\n");
	control_free(ctl);
}

/* Somebody removed our socket and another proxy took the place: it stays. */
static void
test_another_s_socket_is_left_alone(void **state)
{
	struct control *first = rig_start(), *second;
	struct place places[PLACES_MAX];
	struct stat st;

	(void)state;
	place_list(places, &fake_session, FAKE_SELF, &err);
	unlink(places[0].addr.sun_path);
	second = rig_start();
	control_free(first);
	assert_int_equal(stat(places[0].addr.sun_path, &st), 0);
	control_free(second);
}

static void
test_bad_requests(void **state)
{
	struct control *ctl = rig_start();
	char flood[2 * REQUEST_LINE_MAX];

	(void)state;
	assert_non_null(strstr(ASK("\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("status\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("status text\r\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("flags\0\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("flags\nflags\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("ping alice 0\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("ping alice 1001\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("ping  alice 1\n"), "\nx 1\n"));
	assert_non_null(strstr(ASK("ping alice 1 \n"), "\nx 1\n"));
	memset(flood, 'a', sizeof flood);
	assert_non_null(strstr(raw_ask(flood, sizeof flood), "\nx 1\n"));
	assert_string_equal(ASK("ping dave 1\n"),
			    "2no party of this session has that name\nx 1\n");
	assert_string_equal(ASK("ping bob 1\n"),
			    "2that is this party itself: name another one\nx 1\n");
	control_free(ctl);
}

static void
test_answers(void **state)
{
	struct control *ctl = rig_start();

	(void)state;
	assert_string_equal(ASK("flags\n"), "1-P localhost:11365 -P localhost:11366 -P "
					    "localhost:11367 -I 1\nx 0\n");
	assert_memory_equal(ASK("status text\n"), "1session santa, you are bob", 27);
	assert_memory_equal(ASK("status json\n"), "1{\n1  \"schema\": 1,\n", 18);
	assert_string_equal(ASK("missing\n"),
			    "2not connected: carol (waiting for it)\nx 1\n");
	fake_proxy_connect(&proxy, 2, true);
	assert_string_equal(ASK("missing\n"), "x 0\n");
	assert_string_equal(ASK("wait\n"), "x 0\n");
	control_free(ctl);
}

static void
on_change(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	control_changed(arg);
	fake_proxy_connect(&proxy, 2, true);
	control_changed(arg);
}

static void
test_wait_ends_when_all_are_connected(void **state)
{
	static const struct timeval soon = {0, 20000};
	struct control *ctl = rig_start();
	struct event *change = evtimer_new(base, on_change, ctl);
	struct raw raw = {.fd = raw_connect()};

	(void)state;
	assert_int_equal(write(raw.fd, "wait\n", 5), 5);
	evtimer_add(change, &soon);
	raw_finish(&raw);
	assert_string_equal(raw.text, "x 0\n");
	assert_int_equal(proxy.status.n_connected, 2);
	event_free(change);
	control_free(ctl);
}

static void
test_ping(void **state)
{
	struct control *ctl = rig_start();

	(void)state;
	assert_string_equal(ASK("ping alice 2\n"), "1alice: 23.104 ms\n"
						   "1alice: 23.104 ms\n"
						   "1alice: 2 of 2 answered, min/avg/max "
						   "23.104/23.104/23.104 ms\n"
						   "x 0\n");
	assert_string_equal(ASK("ping carol 2\n"), "1carol: carol is not connected\n"
						   "1carol: 0 of 1 answered\n"
						   "x 1\n");
	assert_int_equal(proxy.pings, 0);
	control_free(ctl);
}

/* Its round trip is cancelled, whoever goes first. */
static void
test_a_client_leaves_in_the_middle(void **state)
{
	struct control *ctl = rig_start();
	int fd = raw_connect(), other = raw_connect();

	(void)state;
	proxy.answers = false;
	assert_int_equal(write(fd, "ping alice 1\n", 13), 13);
	assert_int_equal(write(other, "ping alice 1\n", 13), 13);
	while (proxy.pings < 2)
		event_base_loop(base, EVLOOP_ONCE);
	close(fd);
	while (proxy.pings > 1)
		event_base_loop(base, EVLOOP_ONCE);
	control_free(ctl);
	assert_int_equal(proxy.pings, 0);
	close(other);
}

static void
test_too_many_clients(void **state)
{
	struct control *ctl = rig_start();
	struct raw idle[CONTROL_CLIENTS_MAX];

	(void)state;
	memset(idle, 0, sizeof idle);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		idle[i].fd = raw_connect();
		/* No more than the backlog holds at a time. */
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_string_equal(ASK("flags\n"),
			    "2too many clients of this proxy at once: try again\nx 1\n");
	assert_int_equal(write(idle[3].fd, "missing\n", 8), 8);
	raw_finish(&idle[3]);
	assert_string_equal(idle[3].text,
			    "2not connected: carol (waiting for it)\nx 1\n");
	assert_non_null(strstr(ASK("flags\n"), "\nx 0\n"));
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		if (i != 3)
			close(idle[i].fd);
	}
	control_free(ctl);
}

/* root, or who was root, opened the directory to all: the kernel still tells whom it
 * lets in. */
static void
test_another_user_is_refused(void **state)
{
	struct control *ctl;
	struct raw raw = {.len = 0};
	int fds[2];
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	ctl = rig_start();
	{
		struct place places[PLACES_MAX];

		place_list(places, &fake_session, FAKE_SELF, &err);
		chmod(rig_dir, 0755);
		chmod(rig_path("mpcproxy"), 0755);
		chmod(places[0].addr.sun_path, 0666);
	}
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char text[64];
		ssize_t n;
		int fd;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(99);
		fd = raw_connect();
		if (write(fd, "flags\n", 6) < 0)
			dprintf(fds[1], "unwritable ");
		n = read(fd, text, sizeof text);
		dprintf(fds[1], "%s", n > 0 ? "answered" : "nothing");
		_exit(0);
	}
	close(fds[1]);
	raw.fd = fds[0];
	raw_finish(&raw);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_non_null(strstr(raw.text, "nothing"));
	control_free(ctl);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_only_the_owner_can_reach_it),
	    TEST(test_directories_that_are_not_ours_alone),
	    TEST(test_without_a_runtime_directory),
	    TEST(test_each_party_has_a_place_of_its_own),
	    TEST(test_a_second_proxy_is_refused),
	    TEST(test_a_dead_process_s_socket_is_replaced),
	    TEST(test_another_s_socket_is_left_alone),
	    TEST(test_bad_requests),
	    TEST(test_answers),
	    TEST(test_wait_ends_when_all_are_connected),
	    TEST(test_ping),
	    TEST(test_a_client_leaves_in_the_middle),
	    TEST(test_too_many_clients),
	    TEST(test_another_user_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
