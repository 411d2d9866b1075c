#ifndef MPCPROXY_PATH_POSTBOX_H
#define MPCPROXY_PATH_POSTBOX_H

#include <glib.h>

/*
 * Where other threads leave word for the loop's: a set of bits. It has references, since
 * somebody may still be about to post when its owner is gone.
 */
struct postbox;

/* ${deliver} is called by ${context}'s thread with one bit that was posted, lower ones
 * before higher ones. It may close the postbox. */
struct postbox *postbox_new(GMainContext *context,
			    void (*deliver)(void *arg, unsigned bit), void *arg);
struct postbox *postbox_ref(struct postbox *p);
void postbox_unref(struct postbox *p);

/* From any thread. */
void postbox_post(struct postbox *p, unsigned bits);

/* Take back what has not been delivered yet. */
void postbox_recall(struct postbox *p, unsigned bits);

/* Nothing is delivered any more. By the context's thread; drops a reference. */
void postbox_close(struct postbox *p);

#endif
