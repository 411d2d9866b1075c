/* First: it makes unshare() visible. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "path/interfaces.h"

#define SKIPPED 77
#define MAX     12

static void
finds_only_what_is_useful(void **state)
{
	union addr a[MAX];
	size_t i, k, n;

	(void)state;
	n = interfaces_addresses(a, MAX);
	assert_in_range(n, 0, MAX);
	for (i = 0; i < n; i++) {
		assert_int_equal(addr_port(&a[i]), 0);
		assert_false(a[i].sa.sa_family == AF_INET6 &&
			     IN6_IS_ADDR_LINKLOCAL(&a[i].in6.sin6_addr));
		/* Loopback is never beside anything else. */
		assert_int_equal(addr_is_loopback(&a[i]), addr_is_loopback(&a[0]));
		for (k = 0; k < i; k++)
			assert_false(addr_equal(&a[i], &a[k]));
	}
	assert_in_range(interfaces_addresses(a, 1), 0, 1);
	assert_int_equal(interfaces_addresses(a, 0), 0);
}

static int
bring_loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int result = ioctl(fd, SIOCSIFFLAGS, &r);

	close(fd);
	return result;
}

/* In a network namespace of its own; what it returns is the exit status. */
static int
see_loopback_alone(void)
{
	union addr a[MAX], ipv4;
	size_t i, n;
	int found = 0;

	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return SKIPPED;
	if (interfaces_addresses(a, MAX) != 0)
		return 1;
	if (bring_loopback_up() != 0)
		return SKIPPED;
	n = interfaces_addresses(a, MAX);
	addr_parse(&ipv4, "127.0.0.1", 0);
	for (i = 0; i < n; i++) {
		found += addr_equal(&a[i], &ipv4);
		if (!addr_is_loopback(&a[i]))
			return 2;
	}
	return found == 1 ? 0 : 3;
}

static void
falls_back_to_loopback(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(see_loopback_alone());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_only_what_is_useful),
	    cmocka_unit_test(falls_back_to_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
