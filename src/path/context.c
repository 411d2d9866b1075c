#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "path/context.h"
#include "path/interfaces.h"

/* The longest that the end of the program waits for TURN servers to be told. */
#define CLOSING_MAX_MS 1500

/* What STUN servers said that long ago is asked again with the next path. */
#define PROBE_INTERVAL_NS (30 * NS_PER_S)

/* What GLib and libnice have to say is for developers; what users should know is
 * logged where it is noticed. Their own debug messages are dropped: libnice's contain
 * passwords. */
static void
log_glib(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer arg)
{
	char text[512];

	(void)arg;
	if ((level & G_LOG_LEVEL_MASK) >= G_LOG_LEVEL_INFO)
		return;
	log_debug("library=%s %s", domain != NULL ? domain : "glib",
		  log_clean(text, sizeof text, message, strlen(message)));
}

struct path_context *
path_context_new(struct event_base *base, struct err *err)
{
	struct path_context *ctx = calloc(1, sizeof *ctx);

	if (ctx == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	ctx->base = base;
	ctx->times = (struct path_times){
	    .gather_ms = 5000,
	    .answer_ms = 10000,
	    .verdict_ms = 3500,
	    .connect_ms = 30000,
	};
	ctx->loop = glib_loop_new(base, err);
	if (ctx->loop == NULL) {
		free(ctx);
		return NULL;
	}
	g_log_set_default_handler(log_glib, NULL);
	return ctx;
}

bool
path_context_await_probe(struct path_context *ctx, struct probe_waiter *w)
{
	struct probe_result r;

	if (ctx->probe == NULL)
		return false;
	probe_get(ctx->probe, &r);
	if (r.done)
		return false;
	w->next = ctx->waiters;
	w->self = &ctx->waiters;
	if (w->next != NULL)
		w->next->self = &w->next;
	ctx->waiters = w;
	return true;
}

void
path_context_forget(struct probe_waiter *w)
{
	if (w->self == NULL)
		return;
	*w->self = w->next;
	if (w->next != NULL)
		w->next->self = w->self;
	w->self = NULL;
}

/* Each of them may end others in its callback. */
static void
tell_waiters(struct path_context *ctx)
{
	struct probe_waiter *w;

	while ((w = ctx->waiters) != NULL) {
		path_context_forget(w);
		w->probed(w->arg);
	}
}

static void
log_failure(struct path_context *ctx, const struct probe_server *s)
{
	if (s->lies && log_gate_pass(&ctx->lie_gate, (long long)clock_now_ns(), NULL))
		log_warn("server=%s:%u STUN: %s: not used", s->url->host, s->url->port,
			 s->why);
	else
		log_debug("server=%s:%u STUN: %s", s->url->host, s->url->port, s->why);
}

static void
on_probed(void *arg)
{
	struct path_context *ctx = arg;
	struct probe_result r;

	if (ctx->probe_again != NULL) {
		probe_free(ctx->probe);
		ctx->probe = ctx->probe_again;
		ctx->probe_again = NULL;
	}
	probe_get(ctx->probe, &r);
	for (size_t i = 0; i < r.n_servers; i++)
		if (r.server[i].state == PROBE_FAILED)
			log_failure(ctx, &r.server[i]);
	log_debug("stun=%zu of %zu answer", r.n_answered, r.n_servers);
	tell_waiters(ctx);
}

void
path_context_probe(struct path_context *ctx)
{
	struct probe_result r = {0};
	struct probe *fresh;
	struct err err;

	if (ctx->probe != NULL)
		probe_get(ctx->probe, &r);
	if (ctx->session == NULL || ctx->probe_again != NULL ||
	    (ctx->probe != NULL &&
	     (!r.done ||
	      clock_now_ns() - probe_started_ns(ctx->probe) < PROBE_INTERVAL_NS)))
		return;
	fresh = probe_new(ctx->base, ctx->session, false, on_probed, ctx, &err);
	if (fresh == NULL)
		log_debug("STUN servers cannot be asked: %s", err.text);
	else if (ctx->probe == NULL)
		ctx->probe = fresh;
	else
		ctx->probe_again = fresh;
}

/* Where every path is a relayed one, STUN servers are none of our business. */
static bool
needs_stun(const struct session *s)
{
	for (size_t i = 0; i < s->n_parties; i++)
		if (s->parties[i].policy != PATH_RELAY)
			return true;
	return false;
}

struct portmap *
path_context_portmap(struct path_context *ctx)
{
	struct err err;

	if (ctx->local == NULL || !ctx->local->upnp)
		return NULL;
	if (ctx->portmap == NULL) {
		ctx->portmap = portmap_new(ctx->base, NULL, NULL, &err);
		if (ctx->portmap == NULL)
			log_debug("%s", err.text);
	}
	return ctx->portmap;
}

bool
path_context_plausible(const struct path_context *ctx, const union addr *mapped)
{
	return ctx->probe == NULL || probe_plausible(ctx->probe, mapped);
}

bool
path_context_believes(const struct path_context *ctx, const union addr *outside)
{
	return ctx->probe == NULL || !probe_contradicts(ctx->probe, outside);
}

/* A router is looked for before the first path needs it, where there may be one. */
static void
look_for_router(struct path_context *ctx)
{
	union addr a[HOSTS_MAX];
	size_t n = interfaces_addresses(a, HOSTS_MAX);

	for (size_t i = 0; i < n; i++)
		if (a[i].sa.sa_family == AF_INET && !addr_is_loopback(&a[i]) &&
		    !addr_is_public(&a[i])) {
			path_context_portmap(ctx);
			return;
		}
}

void
path_context_set(struct path_context *ctx, const struct session *session,
		 const struct local *local)
{
	ctx->local = local;
	shims_renew(&ctx->shims);
	if (!needs_stun(session))
		return;
	ctx->session = session;
	path_context_probe(ctx);
	look_for_router(ctx);
}

static gboolean
give_up(gpointer arg)
{
	*(bool *)arg = true;
	return G_SOURCE_CONTINUE;
}

void
path_context_free(struct path_context *ctx)
{
	GMainContext *context;
	GSource *limit;
	bool late = false;

	if (ctx == NULL)
		return;
	portmap_end(ctx->portmap);
	context = glib_loop_context(ctx->loop);
	limit = g_timeout_source_new(CLOSING_MAX_MS);
	g_source_set_callback(limit, give_up, &late, NULL);
	g_source_attach(limit, context);
	while (ctx->closing > 0 && !late)
		g_main_context_iteration(context, TRUE);
	g_source_destroy(limit);
	g_source_unref(limit);
	portmap_free(ctx->portmap);
	glib_loop_free(ctx->loop);
	shims_free(&ctx->shims);
	probe_free(ctx->probe);
	probe_free(ctx->probe_again);
	g_log_set_default_handler(g_log_default_handler, NULL);
	udp_scratch_free(ctx->scratch);
	free(ctx);
}
