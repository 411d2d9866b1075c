#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <gio/gio.h>
#include <nice/agent.h>

#include "path/closing.h"
#include "path/convert.h"
#include "path/ice.h"
#include "path/interfaces.h"
#include "path/postbox.h"
#include "path/servers.h"
#include "path/sockets.h"

#define COMPONENT 1

/* Datagrams handed to libnice at once. */
#define BATCH 64

struct ice {
	struct path_context *ctx;
	struct ice_callbacks cb;
	void *arg;
	NiceAgent *agent;
	guint stream;
	struct postbox *postbox;
	GSource *writable; /* waits for room in the selected socket */
	struct servers servers;
	bool gathered; /* libnice says so; a name that is looked up may add to it */
	char ufrag[ICE_UFRAG_CHARS + 1];
	char pwd[ICE_PWD_CHARS + 1];
};

static void
deliver(void *arg, unsigned news)
{
	struct ice *ice = arg;

	if (news == ICE_GATHERED) {
		ice->gathered = true;
		if (ice->servers.looking_up > 0)
			return;
	}
	ice->cb.news(ice->arg, (enum ice_news)news);
}

/* With another server libnice gathers again, whether or not it had finished. */
static void
on_looked_up(void *arg, bool added)
{
	struct ice *ice = arg;

	if (added) {
		ice->gathered = false;
		postbox_recall(ice->postbox, ICE_GATHERED);
	} else if (ice->servers.looking_up == 0 && ice->gathered) {
		postbox_post(ice->postbox, ICE_GATHERED);
	}
}

static void
on_gathered(NiceAgent *agent, guint stream, gpointer arg)
{
	(void)agent;
	(void)stream;
	postbox_post(arg, ICE_GATHERED);
}

static void
on_candidate(NiceAgent *agent, NiceCandidate *candidate, gpointer arg)
{
	(void)agent;
	(void)candidate;
	postbox_post(arg, ICE_CANDIDATE);
}

static void
on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	(void)state;
	postbox_post(arg, ICE_CHANGED);
}

/* The pair is read later, by the loop: it may be gone when this arrives. */
static void
on_selected(NiceAgent *agent, guint stream, guint component, gpointer local,
	    gpointer remote, gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	(void)local;
	(void)remote;
	postbox_post(arg, ICE_SELECTED);
}

/* In spite of its name also for an unreliable agent, when TURN over TCP has sent
 * what it had queued. */
static void
on_writable(NiceAgent *agent, guint stream, guint component, gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	postbox_post(arg, ICE_WRITABLE);
}

static void
on_datagram(NiceAgent *agent, guint stream, guint component, guint len, gchar *data,
	    gpointer arg)
{
	struct ice *ice = arg;

	(void)agent;
	(void)stream;
	(void)component;
	ice->cb.datagram(ice->arg, (uint8_t *)data, len);
}

static void
discard(NiceAgent *agent, guint stream, guint component, guint len, gchar *data,
	gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	(void)len;
	(void)data;
	(void)arg;
}

static void
unref_postbox(gpointer data, GClosure *closure)
{
	(void)closure;
	postbox_unref(data);
}

static void
connect_signal(struct ice *ice, const char *name, GCallback handler)
{
	g_signal_connect_data(ice->agent, name, handler, postbox_ref(ice->postbox),
			      unref_postbox, 0);
}

/* ${n} random characters of RFC 8839's ice-char, of which there are 64. libnice's own
 * credentials come from a generator that is none for secrets. */
static int
random_chars(char *out, size_t n)
{
	static const char set[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789+/";
	unsigned char bytes[ICE_PWD_CHARS];
	size_t i;

	if (getentropy(bytes, n) != 0)
		return -1;
	for (i = 0; i < n; i++)
		out[i] = set[bytes[i] & 63];
	out[n] = '\0';
	return 0;
}

static int
set_credentials(struct ice *ice, struct err *err)
{
	if (random_chars(ice->ufrag, ICE_UFRAG_CHARS) != 0 ||
	    random_chars(ice->pwd, ICE_PWD_CHARS) != 0)
		return err_sys(err, "no random numbers");
	nice_agent_set_local_credentials(ice->agent, ice->stream, ice->ufrag, ice->pwd);
	return 0;
}

static int
set_hosts(struct ice *ice, struct err *err)
{
	union addr found[HOSTS_MAX];
	const union addr *hosts = ice->ctx->hosts;
	size_t i, n = ice->ctx->n_hosts;
	NiceAddress a;

	if (n == 0) {
		hosts = found;
		n = interfaces_addresses(found, HOSTS_MAX);
	}
	if (n == 0)
		return err_set(err, "no network interface is up, not even loopback");
	for (i = 0; i < n; i++) {
		addr_to_nice(&a, &hosts[i]);
		nice_agent_add_local_address(ice->agent, &a);
		ice->servers.ipv4 |= hosts[i].sa.sa_family == AF_INET;
		ice->servers.ipv6 |= hosts[i].sa.sa_family == AF_INET6;
	}
	return 0;
}

static int
start(struct ice *ice, const struct path_config *cfg, struct err *err)
{
	GMainContext *context = glib_loop_context(ice->ctx->loop);

	ice->agent = nice_agent_new_full(context, NICE_COMPATIBILITY_RFC5245,
					 NICE_AGENT_OPTION_REGULAR_NOMINATION |
					     NICE_AGENT_OPTION_ICE_TRICKLE);
	/* Keep-alives with an answer would fail the path after 50 s without one; QUIC
	 * does this better. ICE-TCP loses messages in libnice 0.1.21. Its UPnP takes a
	 * thread for each agent and listens to the whole LAN: see portmap.h. */
	g_object_set(ice->agent, "controlling-mode", (gboolean)cfg->controlling,
		     "ice-tcp", FALSE, "upnp", FALSE, "keepalive-conncheck", FALSE,
		     "force-relay", (gboolean)(cfg->policy == PATH_RELAY), NULL);
	ice->stream = nice_agent_add_stream(ice->agent, 1);
	ice->servers = (struct servers){
	    .ctx = ice->ctx,
	    .agent = ice->agent,
	    .stream = ice->stream,
	    .component = COMPONENT,
	    .looked_up = on_looked_up,
	    .arg = ice,
	};
	connect_signal(ice, "candidate-gathering-done", G_CALLBACK(on_gathered));
	connect_signal(ice, "new-candidate-full", G_CALLBACK(on_candidate));
	connect_signal(ice, "component-state-changed", G_CALLBACK(on_state));
	connect_signal(ice, "new-selected-pair-full", G_CALLBACK(on_selected));
	connect_signal(ice, "reliable-transport-writable", G_CALLBACK(on_writable));
	nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT, context, on_datagram,
			       ice);
	if (set_credentials(ice, err) != 0 || set_hosts(ice, err) != 0 ||
	    servers_start(&ice->servers, cfg, err) != 0)
		return -1;
	if (!nice_agent_gather_candidates(ice->agent, ice->stream))
		return err_set(err, "cannot open a UDP socket on any local address");
	sockets_tune(ice->agent, ice->stream, COMPONENT);
	return 0;
}

struct ice *
ice_new(struct path_context *ctx, const struct path_config *cfg,
	const struct ice_callbacks *cb, void *arg, struct err *err)
{
	struct ice *ice = calloc(1, sizeof *ice);

	if (ice == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	ice->ctx = ctx;
	ice->cb = *cb;
	ice->arg = arg;
	ice->postbox = postbox_new(glib_loop_context(ctx->loop), deliver, ice);
	if (start(ice, cfg, err) != 0) {
		ice_free(ice);
		return NULL;
	}
	postbox_post(ice->postbox, ICE_STARTED);
	glib_loop_changed(ctx->loop);
	return ice;
}

/* Let go of the agent, which may live on a little, and discards what it receives. */
static void
close_agent(struct ice *ice)
{
	g_signal_handlers_disconnect_matched(ice->agent, G_SIGNAL_MATCH_DATA, 0, 0, NULL,
					     NULL, ice->postbox);
	nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT,
			       glib_loop_context(ice->ctx->loop), discard, NULL);
	if (ice->servers.any)
		closing_start(ice->ctx, ice->agent);
	else
		g_object_unref(ice->agent);
}

static void
stop_waiting(struct ice *ice)
{
	if (ice->writable == NULL)
		return;
	g_source_destroy(ice->writable);
	g_source_unref(ice->writable);
	ice->writable = NULL;
}

void
ice_free(struct ice *ice)
{
	if (ice == NULL)
		return;
	stop_waiting(ice);
	servers_stop(&ice->servers);
	if (ice->agent != NULL)
		close_agent(ice);
	postbox_close(ice->postbox);
	glib_loop_changed(ice->ctx->loop);
	explicit_bzero(ice->pwd, sizeof ice->pwd);
	free(ice);
}

const char *
ice_ufrag(const struct ice *ice)
{
	return ice->ufrag;
}

const char *
ice_pwd(const struct ice *ice)
{
	return ice->pwd;
}

size_t
ice_local(struct ice *ice, struct candidate *out, size_t max)
{
	GSList *list, *i;
	size_t n = 0;

	list = nice_agent_get_local_candidates(ice->agent, ice->stream, COMPONENT);
	for (i = list; i != NULL && n < max; i = i->next)
		if (candidate_from_nice(&out[n], i->data))
			n++;
	g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
	return n;
}

void
ice_remote_credentials(struct ice *ice, const char *ufrag, const char *pwd)
{
	nice_agent_set_remote_credentials(ice->agent, ice->stream, ufrag, pwd);
}

void
ice_remote_candidates(struct ice *ice, const struct candidate *c, size_t n)
{
	GSList *list = NULL;
	size_t i;

	for (i = 0; i < n; i++)
		list = g_slist_append(list,
				      candidate_to_nice(&c[i], ice->stream, COMPONENT));
	nice_agent_set_remote_candidates(ice->agent, ice->stream, COMPONENT, list);
	g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
}

void
ice_remote_done(struct ice *ice)
{
	nice_agent_peer_candidate_gathering_done(ice->agent, ice->stream);
}

bool
ice_failed(struct ice *ice)
{
	return nice_agent_get_component_state(ice->agent, ice->stream, COMPONENT) ==
	       NICE_COMPONENT_STATE_FAILED;
}

bool
ice_selected(struct ice *ice, struct path_info *info)
{
	NiceCandidate *local, *remote;

	if (!nice_agent_get_selected_pair(ice->agent, ice->stream, COMPONENT, &local,
					  &remote))
		return false;
	info->local_type = type_from_nice(local->type);
	info->remote_type = type_from_nice(remote->type);
	info->relayed =
	    info->local_type == PATH_RELAYED || info->remote_type == PATH_RELAYED;
	addr_from_nice(&info->local, &local->addr);
	addr_from_nice(&info->remote, &remote->addr);
	return true;
}

int
ice_selected_fd(struct ice *ice)
{
	GSocket *s = nice_agent_get_selected_socket(ice->agent, ice->stream, COMPONENT);
	int fd = s != NULL ? g_socket_get_fd(s) : -1;

	g_clear_object(&s);
	return fd;
}

/* The STUN server that libnice asks, when it is known by its address by now. */
static bool
stun_server(struct ice *ice, union addr *out)
{
	char *host = NULL;
	guint port = 0;
	bool ok;

	g_object_get(ice->agent, "stun-server", &host, "stun-server-port", &port, NULL);
	ok = host != NULL && addr_parse(out, host, (uint16_t)port) == 0;
	g_free(host);
	return ok;
}

void
ice_send_from_all(struct ice *ice, const union addr *to, size_t n, const uint8_t *data,
		  size_t len)
{
	union addr server;
	bool has_server = stun_server(ice, &server);

	if (has_server)
		sockets_send(ice->agent, ice->stream, COMPONENT, &server, 1, data, len);
	sockets_send(ice->agent, ice->stream, COMPONENT, to, n, data, len);
}

void
ice_tell_writable(struct ice *ice)
{
	postbox_post(ice->postbox, ICE_WRITABLE);
}

static gboolean
on_room(GSocket *socket, GIOCondition condition, gpointer arg)
{
	struct ice *ice = arg;

	(void)socket;
	(void)condition;
	stop_waiting(ice);
	postbox_post(ice->postbox, ICE_WRITABLE);
	return G_SOURCE_REMOVE;
}

/* libnice reports EAGAIN of UDP sockets, but not its end. */
static void
wait_for_room(struct ice *ice)
{
	GSocket *s;

	if (ice->writable != NULL)
		return;
	s = sockets_selected(ice->agent, ice->stream, COMPONENT);
	if (s == NULL)
		return;
	ice->writable = g_socket_create_source(s, G_IO_OUT, NULL);
	g_source_set_callback(ice->writable, G_SOURCE_FUNC(on_room), ice, NULL);
	g_source_attach(ice->writable, glib_loop_context(ice->ctx->loop));
	g_object_unref(s);
}

size_t
ice_send(struct ice *ice, const uint8_t *data, size_t len, size_t segment)
{
	GOutputVector vector[BATCH];
	NiceOutputMessage message[BATCH];
	GError *error = NULL;
	size_t taken = 0, offset;
	guint n;
	gint sent;

	while (taken < len) {
		for (n = 0, offset = taken; n < BATCH && offset < len; n++) {
			vector[n].buffer = data + offset;
			vector[n].size = MIN(segment, len - offset);
			message[n].buffers = &vector[n];
			message[n].n_buffers = 1;
			offset += vector[n].size;
		}
		sent = nice_agent_send_messages_nonblocking(ice->agent, ice->stream,
							    COMPONENT, message, n, NULL,
							    &error);
		if (sent < 0 &&
		    g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
			g_clear_error(&error);
			wait_for_room(ice);
			break;
		}
		/* Any other error, EMSGSIZE for a probe of the path's MTU for example,
		 * is that of the first datagram, which counts as lost. */
		g_clear_error(&error);
		taken += segment * (size_t)MAX(sent, 1);
	}
	return MIN(taken, len);
}
