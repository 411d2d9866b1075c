#include "path/closing.h"

/* Giving back a relayed address is worth this much patience. */
#define TIMEOUT_MS 250
#define ATTEMPTS   2

struct closing {
	struct path_context *ctx;
	NiceAgent *agent;
};

static gboolean
drop(gpointer arg)
{
	struct closing *c = arg;

	c->ctx->closing--;
	g_object_unref(c->agent);
	glib_loop_changed(c->ctx->loop);
	g_free(c);
	return G_SOURCE_REMOVE;
}

/* A lookup of the STUN server's name, which closing has cancelled, comes back to the
 * agent before anything of low priority is done; without the agent it would leak. */
static void
closed(GObject *agent, GAsyncResult *result, gpointer arg)
{
	struct closing *c = arg;
	GSource *source = g_idle_source_new();

	(void)agent;
	(void)result;
	g_source_set_priority(source, G_PRIORITY_LOW);
	g_source_set_callback(source, drop, c, NULL);
	g_source_attach(source, glib_loop_context(c->ctx->loop));
	g_source_unref(source);
}

void
closing_start(struct path_context *ctx, NiceAgent *agent)
{
	struct closing *c = g_new0(struct closing, 1);

	c->ctx = ctx;
	c->agent = agent;
	ctx->closing++;
	g_object_set(agent, "stun-initial-timeout", TIMEOUT_MS,
		     "stun-max-retransmissions", ATTEMPTS, NULL);
	glib_loop_enter(ctx->loop);
	nice_agent_close_async(agent, closed, c);
	glib_loop_leave(ctx->loop);
}
