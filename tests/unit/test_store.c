#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session/store.h"

#define WRITERS 4
#define WRITES  30

static char dir[] = "/tmp/mpcproxy-store.XXXXXX";
static char path[sizeof dir + 32];

static int
setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/sessions/santa.ini", dir);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {"/sessions/santa.state", "/sessions", ""};
	char name[sizeof path];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(name, sizeof name, "%s%s", dir, names[i]);
		assert_int_equal(remove(name), 0);
	}
	return 0;
}

/* What writer ${i} keeps: whatever its length, it is all of one character. */
static void
write_often(int i)
{
	char ticket[160];
	struct err err;

	for (int k = 0; k < WRITES; k++) {
		size_t len = 1 + (size_t)(i * 997 + k * 389) % (sizeof ticket - 1);
		struct store_state s = {.ticket = ticket};

		memset(ticket, 'a' + i, len);
		ticket[len] = '\0';
		if (store_state_save(&s, path, &err) != 0)
			_exit(1);
	}
	_exit(0);
}

static void
check_whole(void)
{
	struct store_state s;
	struct err err = {""};

	if (store_state_load(&s, path, &err) != 0)
		fail_msg("%s", err.text);
	if (s.ticket != NULL)
		assert_int_equal(strspn(s.ticket, (char[]){s.ticket[0], 0}),
				 strlen(s.ticket));
	store_state_free(&s);
}

/* A proxy and verbs write at the same time: there is never a file of two halves, and nobody
 * fails. */
static void
writers_take_turns(void **state)
{
	int status, left = WRITERS;

	(void)state;
	for (int i = 0; i < WRITERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			write_often(i);
	}
	while (left > 0) {
		check_whole();
		if (waitpid(-1, &status, WNOHANG) > 0) {
			assert_int_equal(status, 0);
			left--;
		}
	}
	check_whole();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(writers_take_turns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
