/* First: it makes pipe2() visible. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/resolve.h"

/* What the loop and the thread share. */
struct job {
	atomic_int users; /* the last one frees */
	/* The thread is done with all below; the pipe only wakes the loop. */
	atomic_bool answered;
	int pipe[2];
	uint16_t port;
	union addr addrs[RESOLVE_ADDRS_MAX];
	size_t n;
	int error; /* EAI_* */
	char host[];
};

struct resolve {
	struct job *job;
	struct event *event;
	resolve_done *done;
	void *arg;
};

static atomic_uint n_threads;

static void
job_release(struct job *job)
{
	if (atomic_fetch_sub(&job->users, 1) != 1)
		return;
	close(job->pipe[0]);
	close(job->pipe[1]);
	free(job);
}

static void
look_up(struct job *job)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM, /* each address once */
	    .ai_flags = AI_ADDRCONFIG,
	};
	struct addrinfo *list = NULL;

	job->error = getaddrinfo(job->host, NULL, &hints, &list);
	/* With nothing but loopback, AI_ADDRCONFIG hides even localhost. */
	if (job->error == EAI_NONAME || job->error == EAI_ADDRFAMILY ||
	    job->error == EAI_NODATA) {
		hints.ai_flags = 0;
		job->error = getaddrinfo(job->host, NULL, &hints, &list);
	}
	if (job->error != 0)
		return;
	for (struct addrinfo *ai = list; ai != NULL && job->n < RESOLVE_ADDRS_MAX;
	     ai = ai->ai_next) {
		if (addr_from_sockaddr(&job->addrs[job->n], ai->ai_addr,
				       ai->ai_addrlen) != 0)
			continue;
		addr_set_port(&job->addrs[job->n++], job->port);
	}
	freeaddrinfo(list);
}

static void *
thread_main(void *arg)
{
	struct job *job = arg;

	look_up(job);
	atomic_store(&job->answered, true);
	/* A pipe with room for one byte; its reader lives as long as the job. */
	while (write(job->pipe[1], "", 1) < 0 && errno == EINTR)
		;
	job_release(job);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

static int
start_thread(struct job *job, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int e;

	if (atomic_fetch_add(&n_threads, 1) >= RESOLVE_THREADS_MAX) {
		atomic_fetch_sub(&n_threads, 1);
		return err_set(err, "cannot look up %s: too many lookups are under way",
			       job->host);
	}
	/* Signals are the event loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	atomic_fetch_add(&job->users, 1);
	e = pthread_create(&thread, &attr, thread_main, job);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (e == 0)
		return 0;
	atomic_fetch_sub(&n_threads, 1);
	atomic_fetch_sub(&job->users, 1);
	return err_set(err, "cannot start a thread to look up %s: %s", job->host,
		       strerror(e));
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct resolve *r = arg;
	struct job *job = r->job;
	resolve_done *done = r->done;
	void *done_arg = r->arg;

	(void)fd;
	(void)what;
	event_free(r->event);
	free(r);
	if (!atomic_load(&job->answered))
		done(done_arg, NULL, 0, "the lookup was interrupted");
	else if (job->n > 0)
		done(done_arg, job->addrs, job->n, NULL);
	else
		done(done_arg, NULL, 0,
		     job->error != 0 ? gai_strerror(job->error)
				     : "the name has no IPv4 or IPv6 address");
	job_release(job);
}

static struct job *
job_new(const char *host, uint16_t port)
{
	size_t size = strlen(host) + 1;
	struct job *job = calloc(1, sizeof *job + size);

	if (job == NULL)
		return NULL;
	if (pipe2(job->pipe, O_CLOEXEC) != 0) {
		free(job);
		return NULL;
	}
	memcpy(job->host, host, size);
	job->port = port;
	atomic_init(&job->users, 1);
	atomic_init(&job->answered, false);
	return job;
}

struct resolve *
resolve_start(struct event_base *base, const char *host, uint16_t port,
	      resolve_done *done, void *arg, struct err *err)
{
	struct resolve *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_sys(err, "cannot look up %s", host);
		return NULL;
	}
	r->done = done;
	r->arg = arg;
	r->job = job_new(host, port);
	if (r->job == NULL) {
		err_sys(err, "cannot look up %s", host);
		goto err1;
	}
	r->event = event_new(base, r->job->pipe[0], EV_READ, on_answer, r);
	if (r->event == NULL || event_add(r->event, NULL) != 0) {
		err_set(err, "cannot look up %s: out of memory", host);
		goto err2;
	}
	if (addr_parse(&r->job->addrs[0], host, port) == 0) {
		r->job->n = 1;
		atomic_store(&r->job->answered, true);
		event_active(r->event, EV_READ, 0);
		return r;
	}
	if (start_thread(r->job, err) != 0)
		goto err2;
	return r;

err2:
	if (r->event != NULL)
		event_free(r->event);
	job_release(r->job);
err1:
	free(r);
	return NULL;
}

void
resolve_cancel(struct resolve *r)
{
	if (r == NULL)
		return;
	event_free(r->event);
	job_release(r->job);
	free(r);
}
