#ifndef MPCPROXY_PATH_GLIB_LOOP_H
#define MPCPROXY_PATH_GLIB_LOOP_H

#include <event2/event.h>
#include <glib.h>

#include "base/err.h"

/*
 * A GMainContext that runs inside a libevent loop, on its thread. Sources may be
 * attached to the context from any thread, at any time.
 */
struct glib_loop;

struct glib_loop *glib_loop_new(struct event_base *base, struct err *err);

/* Not from within a callback of the context. Sources that are still attached are
 * destroyed with it, when nobody else holds the context. */
void glib_loop_free(struct glib_loop *l);

GMainContext *glib_loop_context(struct glib_loop *l);

/* Bracket calls that remember the thread-default context for what they start (all of
 * GTask's). The context is owned meanwhile, so that GLib need not wake it for new
 * sources; leaving does. */
void glib_loop_enter(struct glib_loop *l);
void glib_loop_leave(struct glib_loop *l);

/* Descriptors of the context's sources have been closed, or may have been. */
void glib_loop_changed(struct glib_loop *l);

#endif
