#include "check.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/clock.h"
#include "base/resolve.h"

/* Names whose servers do not answer: in place of the C library's. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static bool silent;

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	    struct addrinfo **list)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)list;
	pthread_mutex_lock(&lock);
	while (silent)
		pthread_cond_wait(&answered, &lock);
	pthread_mutex_unlock(&lock);
	return EAI_AGAIN;
}

static void
set_silent(bool yes)
{
	pthread_mutex_lock(&lock);
	silent = yes;
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}

static void
on_done(void *arg, const union addr *addrs, size_t n, const char *why)
{
	(void)addrs;
	assert_int_equal(n, 0);
	assert_non_null(why);
	*(bool *)arg = true;
}

/* A lookup that is cancelled goes on, for as long as its servers take. */
static void
test_no_more_threads_than_allowed(void **state)
{
	static const struct timespec moment = {0, 1000000};
	struct event_base *base = event_base_new();
	uint64_t until_ns = clock_now_ns() + 30 * NS_PER_S;
	struct resolve *r;
	bool done = false;
	struct err err;

	(void)state;
	set_silent(true);
	for (unsigned i = 0; i < RESOLVE_THREADS_MAX; i++) {
		r = resolve_start(base, "example.org", 80, on_done, &done, &err);
		assert_non_null(r);
		resolve_cancel(r);
	}
	assert_null(resolve_start(base, "example.org", 80, on_done, &done, &err));
	assert_contains(err.text, "example.org");
	/* What needs no thread is not concerned. */
	r = resolve_start(base, "127.0.0.1", 80, on_done, &done, &err);
	assert_non_null(r);
	resolve_cancel(r);
	set_silent(false);
	while ((r = resolve_start(base, "example.org", 80, on_done, &done, &err)) == NULL) {
		assert_true(clock_now_ns() < until_ns);
		nanosleep(&moment, NULL);
	}
	while (!done)
		event_base_loop(base, EVLOOP_ONCE);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_no_more_threads_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
