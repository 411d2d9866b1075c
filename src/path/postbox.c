#include <stddef.h>

#include "path/postbox.h"

struct postbox {
	GSource source;
	guint bits; /* atomic */
	/* Only for the context's thread. */
	void (*deliver)(void *arg, unsigned bit); /* NULL when it is closed */
	void *arg;
};

static gboolean
dispatch(GSource *source, GSourceFunc func, gpointer arg)
{
	struct postbox *p = (struct postbox *)source;
	guint bits, bit;

	(void)func;
	(void)arg;
	/* In this order: what is posted in between makes it ready again. */
	g_source_set_ready_time(source, -1);
	bits = g_atomic_int_and(&p->bits, 0);
	bit = bits & -bits;
	if (bits != bit)
		postbox_post(p, bits & ~bit);
	if (bit != 0 && p->deliver != NULL)
		p->deliver(p->arg, bit);
	return G_SOURCE_CONTINUE;
}

struct postbox *
postbox_new(GMainContext *context, void (*deliver)(void *arg, unsigned bit), void *arg)
{
	static GSourceFuncs funcs = {.dispatch = dispatch};
	struct postbox *p = (struct postbox *)g_source_new(&funcs, sizeof *p);

	p->deliver = deliver;
	p->arg = arg;
	g_source_attach(&p->source, context);
	return p;
}

struct postbox *
postbox_ref(struct postbox *p)
{
	return (struct postbox *)g_source_ref(&p->source);
}

void
postbox_unref(struct postbox *p)
{
	g_source_unref(&p->source);
}

void
postbox_post(struct postbox *p, unsigned bits)
{
	g_atomic_int_or(&p->bits, bits);
	g_source_set_ready_time(&p->source, 0);
}

void
postbox_recall(struct postbox *p, unsigned bits)
{
	g_atomic_int_and(&p->bits, ~bits);
}

void
postbox_close(struct postbox *p)
{
	p->deliver = NULL;
	g_source_destroy(&p->source);
	g_source_unref(&p->source);
}
