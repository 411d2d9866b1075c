#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <cmocka.h>

#include "control_rig.h"
#include "watch/place.h"

/* Against hangs only. */
#define PATIENCE_S 60

char rig_dir[64];
struct event_base *base;
struct proxy proxy;
struct err err;

const char *
rig_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", rig_dir, name);
	return path;
}

int
rig_set_up(void **state)
{
	(void)state;
	strcpy(rig_dir, "/tmp/mpcproxy-test-XXXXXX");
	assert_non_null(mkdtemp(rig_dir));
	setenv("XDG_RUNTIME_DIR", rig_dir, 1);
	setenv("XDG_STATE_HOME", rig_path("state"), 1);
	base = event_base_new();
	assert_non_null(base);
	fake_proxy_init(&proxy, base);
	err.text[0] = '\0';
	return 0;
}

int
rig_tear_down(void **state)
{
	static const char *const made[] = {"mpcproxy", "state/mpcproxy/run",
					   "state/mpcproxy", "state"};

	(void)state;
	event_base_free(base);
	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		/* Fails when a control has left its socket behind. */
		if (rmdir(rig_path(made[i])) != 0)
			assert_int_equal(errno, ENOENT);
	}
	assert_int_equal(rmdir(rig_dir), 0);
	return 0;
}

static void
on_alarm(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	fail_msg("nothing has happened for %d s", PATIENCE_S);
}

static void
on_raw(evutil_socket_t fd, short what, void *arg)
{
	struct raw *raw = arg;
	ssize_t n = read(fd, raw->text + raw->len, sizeof raw->text - 1 - raw->len);

	(void)what;
	if (n > 0) {
		raw->len += (size_t)n;
	} else {
		raw->ended = true;
		event_base_loopbreak(base);
	}
}

int
raw_connect(void)
{
	struct place places[PLACES_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(place_list(places, &fake_session, FAKE_SELF, &err) > 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&places[0].addr,
				 sizeof places[0].addr),
			 0);
	return fd;
}

void
raw_finish(struct raw *raw)
{
	static const struct timeval patience = {PATIENCE_S, 0};
	struct event *alarm = evtimer_new(base, on_alarm, NULL);
	struct event *ev = event_new(base, raw->fd, EV_READ | EV_PERSIST, on_raw, raw);

	evtimer_add(alarm, &patience);
	event_add(ev, NULL);
	while (!raw->ended)
		event_base_dispatch(base);
	raw->text[raw->len] = '\0';
	event_free(ev);
	event_free(alarm);
	close(raw->fd);
}

const char *
raw_ask(const char *request, size_t len)
{
	static struct raw raw;

	memset(&raw, 0, sizeof raw);
	raw.fd = raw_connect();
	assert_int_equal(write(raw.fd, request, len), len);
	raw_finish(&raw);
	return raw.text;
}

struct control *
rig_start(void)
{
	struct control *ctl = control_new(base, &fake_session, FAKE_SELF, &err);

	assert_non_null(ctl);
	control_start(ctl, &proxy);
	return ctl;
}
