#define _GNU_SOURCE /* setresuid() */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/owner.h"

/* A user that no test machine's programs run as. */
#define STRANGER 54321

static int
listen_on_loopback(const char *host, union addr *at)
{
	socklen_t len = sizeof *at;
	int fd;

	assert_int_equal(addr_parse(at, host, 0), 0);
	fd = socket(at->sa.sa_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &at->sa, addr_len(at)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &at->sa, &len), 0);
	return fd;
}

static int
dial(const union addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &to->sa, addr_len(to)), 0);
	return fd;
}

static void
check_own(const char *host)
{
	struct err err;
	union addr at;
	int lfd = listen_on_loopback(host, &at);
	int client = dial(&at);
	int server;

	/* Not accepted yet: the listener's owner counts. */
	assert_int_equal(owner_check_server(client, &err), 0);
	server = accept(lfd, NULL, NULL);
	assert_int_equal(owner_check_server(client, &err), 0);
	assert_int_equal(owner_check_client(server, NULL, &err), 0);
	/* Accepted connections outlive their listener. */
	close(lfd);
	assert_int_equal(owner_check_server(client, &err), 0);
	/* A client that has gone cannot be told from anybody else. */
	close(client);
	assert_int_equal(owner_check_client(server, NULL, &err), -1);
	close(server);
}

static void
test_own_sockets_pass(void **state)
{
	(void)state;
	check_own("127.0.0.1");
}

static void
test_own_ipv6_sockets_pass(void **state)
{
	(void)state;
	check_own("::1");
}

static void
test_ipv6_listener_with_ipv4_client(void **state)
{
	struct err err;
	union addr at;
	int lfd = listen_on_loopback("::", &at);
	int client, server;
	uint16_t port = addr_port(&at);

	(void)state;
	addr_parse(&at, "127.0.0.1", port);
	client = dial(&at);
	assert_int_equal(owner_check_server(client, &err), 0);
	server = accept(lfd, NULL, NULL);
	assert_int_equal(owner_check_server(client, &err), 0);
	close(server);
	close(client);
	close(lfd);
}

static void
become_stranger(void)
{
	if (setresgid(STRANGER, STRANGER, STRANGER) != 0 ||
	    setresuid(STRANGER, STRANGER, STRANGER) != 0)
		_exit(99);
}

static void
test_a_strangers_client_is_refused(void **state)
{
	struct err err;
	union addr at;
	int lfd, server, status;
	pid_t pid;
	char byte;

	(void)state;
	if (geteuid() != 0)
		skip();
	lfd = listen_on_loopback("127.0.0.1", &at);
	pid = fork();
	if (pid == 0) {
		int fd;

		become_stranger();
		fd = dial(&at);
		/* Stay until the parent has looked. */
		if (read(fd, &byte, 1) < 0)
			_exit(1);
		_exit(0);
	}
	server = accept(lfd, NULL, NULL);
	assert_int_equal(owner_check_client(server, NULL, &err), -1);
	assert_non_null(strstr(err.text, "54321"));
	close(server);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(lfd);
}

static void
test_a_strangers_listener_is_refused(void **state)
{
	struct err err;
	union addr at;
	int up[2], client, status;
	pid_t pid;
	char byte = 0;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		int lfd, fd;

		become_stranger();
		lfd = listen_on_loopback("127.0.0.1", &at);
		if (write(up[1], &at, sizeof at) != sizeof at)
			_exit(1);
		fd = accept(lfd, NULL, NULL);
		/* Accepted: says so, and waits for the end. */
		if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 0)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(read(up[0], &at, sizeof at), sizeof at);
	client = dial(&at);
	assert_int_equal(owner_check_server(client, &err), -1);
	assert_int_equal(read(client, &byte, 1), 1);
	assert_int_equal(owner_check_server(client, &err), -1);
	assert_non_null(strstr(err.text, "54321"));
	close(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(up[0]);
	close(up[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_own_sockets_pass),
	    cmocka_unit_test(test_own_ipv6_sockets_pass),
	    cmocka_unit_test(test_ipv6_listener_with_ipv4_client),
	    cmocka_unit_test(test_a_strangers_client_is_refused),
	    cmocka_unit_test(test_a_strangers_listener_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
