#include <stdio.h>
#include <unistd.h>

#include "ask.h"
#include "base/clock.h"
#include "verbs.h"
#include "watch/client.h"

int
ask_connected(int fd, const struct request *r)
{
	struct err err;
	int code = client_ask(fd, r, clock_now_ns() + client_patience_ns(r), &err);

	close(fd);
	if (code == CLIENT_ASK_LATE)
		err_set(&err, "the running proxy does not answer: is it stopped?");
	if (code < 0) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	return code;
}

int
ask_proxy(const struct setup *setup, const struct request *r)
{
	struct err err;
	int fd;

	if (client_connect(setup->session, setup->index, &fd, &err) != CLIENT_FOUND) {
		fprintf(stderr, "mpcproxy: %s\n", err.text);
		return EXIT_FAILED;
	}
	return ask_connected(fd, r);
}
