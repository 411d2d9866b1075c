#ifndef MPCPROXY_TESTS_CONTROL_RIG_H
#define MPCPROXY_TESTS_CONTROL_RIG_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

#include "base/err.h"
#include "fake_proxy.h"
#include "watch/control.h"

/* A control socket over the fake proxy, in a directory of the test's own. */
#define ANSWER_MAX 16384

extern char rig_dir[64]; /* $XDG_RUNTIME_DIR */
extern struct event_base *base;
extern struct proxy proxy;
extern struct err err;

/* The latter fails when something has been left behind. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* ${name} in the directory; until the next call. */
const char *rig_path(const char *name);

struct control *rig_start(void);

/* A client whose bytes the test writes by hand. */
struct raw {
	int fd;
	char text[ANSWER_MAX];
	size_t len;
	bool ended;
};

int raw_connect(void);

/* Run the loop until the server hangs up; what it said is in ${raw}. */
void raw_finish(struct raw *raw);

/* All of it: the answer to ${len} bytes. */
const char *raw_ask(const char *request, size_t len);
#define ASK(request) raw_ask(request, sizeof request - 1)

#endif
