/* The client of the control socket, in a process of its own as the verbs are. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control_rig.h"
#include "watch/client.h"

/* What a child process gets when it asks as the verbs do. */
struct asked {
	int code; /* what ask() made of it */
	char out[ANSWER_MAX], errors[ANSWER_MAX];
};

static void
read_back(FILE *f, char *text)
{
	size_t n;

	rewind(f);
	n = fread(text, 1, ANSWER_MAX - 1, f);
	text[n] = '\0';
	fclose(f);
}

#define CODE_ABSENT 100
#define CODE_FAILED 101
#define CODE_LATE   102

static int
ask(const struct request *r, uint64_t deadline_ns)
{
	struct err why;
	int fd, code;

	switch (client_connect(&fake_session, FAKE_SELF, &fd, &why)) {
	case CLIENT_ABSENT:
		fprintf(stderr, "%s\n", why.text);
		return CODE_ABSENT;
	case CLIENT_FAILED:
		fprintf(stderr, "%s\n", why.text);
		return CODE_FAILED;
	default:
		break;
	}
	code = client_ask(fd, r, deadline_ns, &why);
	close(fd);
	if (code == CLIENT_ASK_FAILED)
		fprintf(stderr, "%s\n", why.text);
	return code >= 0 ? code : code == CLIENT_ASK_LATE ? CODE_LATE : CODE_FAILED;
}

/* Ask in a child while the loop runs here. */
static const struct asked *
ask_in_child(const struct request *r, uint64_t deadline_ns)
{
	static struct asked asked;
	struct raw end = {.len = 0};
	FILE *out = tmpfile(), *errors = tmpfile();
	int fds[2], status;
	pid_t pid;

	/* The pipe ends with the child. */
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int code;

		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(errors), STDERR_FILENO);
		code = ask(r, deadline_ns);
		fflush(NULL);
		_exit(code);
	}
	close(fds[1]);
	end.fd = fds[0];
	raw_finish(&end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	asked.code = WEXITSTATUS(status);
	read_back(out, asked.out);
	read_back(errors, asked.errors);
	return &asked;
}

static void
test_client(void **state)
{
	static const struct request status = {.verb = REQUEST_STATUS_TEXT},
				    missing = {.verb = REQUEST_MISSING},
				    ping = {.verb = REQUEST_PING, .party = "alice", .count = 1};
	struct control *ctl = rig_start();
	const struct asked *a;

	(void)state;
	a = ask_in_child(&status, CLOCK_NEVER);
	assert_int_equal(a->code, 0);
	assert_memory_equal(a->out, "session santa, you are bob", 26);
	assert_string_equal(a->errors, "");
	a = ask_in_child(&missing, CLOCK_NEVER);
	assert_int_equal(a->code, 1);
	assert_string_equal(a->out, "");
	assert_string_equal(a->errors, "mpcproxy: not connected: carol (waiting for it)\n");
	a = ask_in_child(&ping, clock_now_ns() + client_patience_ns(&ping));
	assert_int_equal(a->code, 0);
	assert_string_equal(a->out, "alice: 23.104 ms\n"
				    "alice: 1 of 1 answered, min/avg/max "
				    "23.104/23.104/23.104 ms\n");
	control_free(ctl);
}

static void
test_client_without_a_proxy(void **state)
{
	static const struct request flags = {.verb = REQUEST_FLAGS};
	const struct asked *a = ask_in_child(&flags, CLOCK_NEVER);

	(void)state;
	assert_int_equal(a->code, CODE_ABSENT);
	assert_string_equal(a->errors,
			    "no mpcproxy of session santa party bob is running on this "
			    "machine: start it with mpcproxy -c and the session's "
			    "file\n");
}

/* The service has the runtime directory in its environment, the shell has not, or the
 * other way round. */
static void
test_client_looks_in_every_place(void **state)
{
	static const struct request flags = {.verb = REQUEST_FLAGS};
	struct control *ctl;

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	ctl = rig_start();
	setenv("XDG_RUNTIME_DIR", rig_dir, 1);
	assert_int_equal(ask_in_child(&flags, CLOCK_NEVER)->code, 0);
	control_free(ctl);
}

static void
test_client_gives_up_in_time(void **state)
{
	static const struct request wait = {.verb = REQUEST_WAIT};
	struct control *ctl = rig_start();

	(void)state;
	assert_int_equal(ask_in_child(&wait, clock_now_ns() + 50 * NS_PER_MS)->code,
			 CODE_LATE);
	control_free(ctl);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_client),
	    TEST(test_client_without_a_proxy),
	    TEST(test_client_looks_in_every_place),
	    TEST(test_client_gives_up_in_time),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
