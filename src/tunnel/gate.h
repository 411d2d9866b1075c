#ifndef MPCPROXY_TUNNEL_GATE_H
#define MPCPROXY_TUNNEL_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>

/*
 * The way to an MPyC program that runs in a network namespace of its own, where nobody
 * else can reach it: a helper inside accepts its connections and makes those to it, and
 * passes the sockets out (gate_message.h).
 */
struct gate;
struct gate_dial;

/* Connections under way to the program; it has one per party. */
#define GATE_DIALS_MAX 256

struct gate_callbacks {
	/* The program has dialled party ${index} (any number: to be checked); ${fd} is
	 * non-blocking, with TCP_NODELAY, and the callee's. */
	void (*accepted)(void *arg, size_t index, int fd);
	/* The helper is gone. */
	void (*closed)(void *arg);
};

/* As dialer_done: ${fd}, or -1 and errno in ${error}. */
typedef void gate_dialled(void *arg, int fd, int error);

/* Takes ${fd} over. NULL (${fd} closed) when memory is short. */
struct gate *gate_new(struct event_base *base, int fd, const struct gate_callbacks *cb,
		      void *arg);
/* Dials that are under way fail, from the event loop, before this returns. */
void gate_free(struct gate *g);

/* Connect to the program's port. ${done} is called once, from the event loop or from
 * gate_free(). NULL when it cannot be tried. */
struct gate_dial *gate_dial(struct gate *g, gate_dialled *done, void *arg);
void gate_dial_cancel(struct gate_dial *d);

#endif
