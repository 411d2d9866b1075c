#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <gio/gio.h>
#include <nice/agent.h>

#include "base/log.h"
#include "path/ice.h"
#include "path/interfaces.h"

#define COMPONENT 1

/* Datagrams handed to libnice at once. */
#define BATCH 64

/* As far as the kernel permits: a burst of a full congestion window must survive until
 * this thread is back from other work. */
#define RECEIVE_BUFFER_BYTES (4 * 1024 * 1024)
#define SEND_BUFFER_BYTES    (2 * 1024 * 1024)

/* Giving back a relayed address is worth this much patience. */
#define CLOSE_TIMEOUT_MS 250
#define CLOSE_ATTEMPTS   2

/*
 * Where libnice's signals leave what they have to say, from any thread, and the
 * source that brings it to the loop. It outlives the agent's signal handlers, which
 * may be running in another thread while the path is freed.
 */
struct mailbox {
	GSource source;
	guint news;      /* of enum ice_news; atomic */
	struct ice *ice; /* the loop's thread only; NULL when it is gone */
};

struct ice {
	struct path_context *ctx;
	struct ice_callbacks cb;
	void *arg;
	NiceAgent *agent;
	guint stream;
	struct mailbox *mailbox;
	GSource *writable; /* waits for room in the selected socket */
	bool relays;       /* TURN servers have been set */
	char ufrag[ICE_UFRAG_CHARS + 1];
	char pwd[ICE_PWD_CHARS + 1];
};

static void
post(struct mailbox *m, guint news)
{
	g_atomic_int_or(&m->news, news);
	g_source_set_ready_time(&m->source, 0);
}

static gboolean
deliver(GSource *source, GSourceFunc func, gpointer arg)
{
	struct mailbox *m = (struct mailbox *)source;
	guint news;

	(void)func;
	(void)arg;
	/* In this order: what is posted in between makes it ready again. */
	g_source_set_ready_time(source, -1);
	news = g_atomic_int_and(&m->news, 0);
	if (news != 0 && m->ice != NULL)
		m->ice->cb.news(m->ice->arg, news);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs mailbox_funcs = {.dispatch = deliver};

static void
on_gathered(NiceAgent *agent, guint stream, gpointer arg)
{
	(void)agent;
	(void)stream;
	post(arg, ICE_GATHERED);
}

static void
on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	post(arg, state == NICE_COMPONENT_STATE_FAILED ? ICE_FAILED | ICE_CHANGED
						       : ICE_CHANGED);
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
	post(arg, ICE_SELECTED);
}

/* In spite of its name also for an unreliable agent, when TURN over TCP has sent
 * what it had queued. */
static void
on_writable(NiceAgent *agent, guint stream, guint component, gpointer arg)
{
	(void)agent;
	(void)stream;
	(void)component;
	post(arg, ICE_WRITABLE);
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
unref_mailbox(gpointer data, GClosure *closure)
{
	(void)closure;
	g_source_unref(data);
}

static void
connect_signal(struct ice *ice, const char *name, GCallback handler)
{
	g_signal_connect_data(ice->agent, name, handler,
			      g_source_ref(&ice->mailbox->source), unref_mailbox, 0);
}

static void
to_nice(NiceAddress *out, const union addr *a)
{
	nice_address_init(out);
	if (a->sa.sa_family != AF_UNSPEC)
		nice_address_set_from_sockaddr(out, &a->sa);
}

static void
from_nice(union addr *out, const NiceAddress *a)
{
	union {
		struct sockaddr sa;
		struct sockaddr_storage room;
	} u;

	memset(out, 0, sizeof *out);
	if (!nice_address_is_valid(a))
		return;
	nice_address_copy_to_sockaddr(a, &u.sa);
	addr_from_sockaddr(out, &u.sa, sizeof u);
}

static enum path_candidate_type
type_from_nice(NiceCandidateType type)
{
	switch (type) {
	case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE:
		return PATH_SERVER_REFLEXIVE;
	case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE:
		return PATH_PEER_REFLEXIVE;
	case NICE_CANDIDATE_TYPE_RELAYED:
		return PATH_RELAYED;
	case NICE_CANDIDATE_TYPE_HOST:
	default:
		return PATH_HOST;
	}
}

static NiceCandidateType
type_to_nice(enum path_candidate_type type)
{
	switch (type) {
	case PATH_SERVER_REFLEXIVE:
		return NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE;
	case PATH_PEER_REFLEXIVE:
		return NICE_CANDIDATE_TYPE_PEER_REFLEXIVE;
	case PATH_RELAYED:
		return NICE_CANDIDATE_TYPE_RELAYED;
	case PATH_HOST:
	default:
		return NICE_CANDIDATE_TYPE_HOST;
	}
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
		to_nice(&a, &hosts[i]);
		nice_agent_add_local_address(ice->agent, &a);
	}
	return 0;
}

/* libnice takes one STUN server for an agent: each new one gets the next, so that a
 * dead server does not cost every attempt its server-reflexive candidates. */
static void
set_stun(struct ice *ice, const struct session *s)
{
	const struct url *u;

	if (s->n_stun == 0)
		return;
	u = &s->stun[ice->ctx->next_stun++ % s->n_stun];
	g_object_set(ice->agent, "stun-server", u->host, "stun-server-port",
		     (guint)u->port, NULL);
}

static void
set_turn(struct ice *ice, const struct path_config *cfg)
{
	const struct session *s = cfg->session;
	const struct url *u;
	size_t i;

	if (cfg->turn_user == NULL || cfg->turn_password == NULL)
		return;
	for (i = 0; i < s->n_turn; i++) {
		u = &s->turn[i];
		if (u->scheme == URL_TURN &&
		    nice_agent_set_relay_info(ice->agent, ice->stream, COMPONENT, u->host,
					      u->port, cfg->turn_user, cfg->turn_password,
					      u->tcp ? NICE_RELAY_TYPE_TURN_TCP
						     : NICE_RELAY_TYPE_TURN_UDP)) {
			ice->relays = true;
		} else if (u->scheme == URL_TURNS && !ice->ctx->turns_reported) {
			log_warn("server=%s turns: is not supported yet; the server is "
				 "not used",
				 u->host);
			ice->ctx->turns_reported = true;
		}
	}
}

static int
set_servers(struct ice *ice, const struct path_config *cfg, struct err *err)
{
	if (cfg->policy != PATH_RELAY)
		set_stun(ice, cfg->session);
	if (cfg->policy != PATH_DIRECT)
		set_turn(ice, cfg);
	if (cfg->policy == PATH_RELAY && !ice->relays)
		return err_set(err, "only relayed paths are allowed (path = relay), but no "
				    "TURN server can be used: set turn in session.ini, and "
				    "turn-user and turn-password in local.ini");
	return 0;
}

/*
 * Datagrams are never cut into fragments, or QUIC's search for the path's MTU would find
 * any size to work. PROBE rather than DO: the kernel's idea of the MTU is not asked.
 */
static void
tune_sockets(struct ice *ice)
{
	GPtrArray *sockets = nice_agent_get_sockets(ice->agent, ice->stream, COMPONENT);
	GSocket *s;
	guint i;

	if (sockets == NULL)
		return;
	for (i = 0; i < sockets->len; i++) {
		s = g_ptr_array_index(sockets, i);
		if (g_socket_get_socket_type(s) != G_SOCKET_TYPE_DATAGRAM)
			continue;
		if (g_socket_get_family(s) == G_SOCKET_FAMILY_IPV6)
			g_socket_set_option(s, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
					    IPV6_PMTUDISC_PROBE, NULL);
		else
			g_socket_set_option(s, IPPROTO_IP, IP_MTU_DISCOVER,
					    IP_PMTUDISC_PROBE, NULL);
		g_socket_set_option(s, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES, NULL);
		g_socket_set_option(s, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES, NULL);
	}
	g_ptr_array_unref(sockets);
}

static int
start(struct ice *ice, const struct path_config *cfg, struct err *err)
{
	GMainContext *context = glib_loop_context(ice->ctx->loop);

	ice->agent = nice_agent_new_full(context, NICE_COMPATIBILITY_RFC5245,
					 NICE_AGENT_OPTION_REGULAR_NOMINATION |
					     NICE_AGENT_OPTION_ICE_TRICKLE);
	/* Keep-alives with an answer would fail the path after 50 s without one; QUIC
	 * does this better. ICE-TCP loses messages in libnice 0.1.21. */
	g_object_set(ice->agent, "controlling-mode", (gboolean)cfg->controlling, "ice-tcp",
		     FALSE, "upnp", (gboolean)(cfg->upnp && cfg->policy != PATH_RELAY),
		     "keepalive-conncheck", FALSE, "force-relay",
		     (gboolean)(cfg->policy == PATH_RELAY), NULL);
	ice->stream = nice_agent_add_stream(ice->agent, 1);
	connect_signal(ice, "candidate-gathering-done", G_CALLBACK(on_gathered));
	connect_signal(ice, "component-state-changed", G_CALLBACK(on_state));
	connect_signal(ice, "new-selected-pair-full", G_CALLBACK(on_selected));
	connect_signal(ice, "reliable-transport-writable", G_CALLBACK(on_writable));
	nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT, context, on_datagram,
			       ice);
	if (set_credentials(ice, err) != 0 || set_hosts(ice, err) != 0 ||
	    set_servers(ice, cfg, err) != 0)
		return -1;
	if (!nice_agent_gather_candidates(ice->agent, ice->stream))
		return err_set(err, "cannot open a UDP socket on any local address");
	tune_sockets(ice);
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
	ice->mailbox = (struct mailbox *)g_source_new(&mailbox_funcs, sizeof *ice->mailbox);
	ice->mailbox->ice = ice;
	g_source_attach(&ice->mailbox->source, glib_loop_context(ctx->loop));
	if (start(ice, cfg, err) != 0) {
		ice_free(ice);
		return NULL;
	}
	post(ice->mailbox, ICE_STARTED);
	glib_loop_changed(ctx->loop);
	return ice;
}

static void
closed(GObject *agent, GAsyncResult *result, gpointer arg)
{
	struct path_context *ctx = arg;

	(void)result;
	ctx->closing--;
	g_object_unref(agent);
	glib_loop_changed(ctx->loop);
}

/* Let go of the agent. With relayed addresses it lives on until the TURN servers know
 * that they are free, and discards what it receives. */
static void
close_agent(struct ice *ice)
{
	g_signal_handlers_disconnect_matched(ice->agent, G_SIGNAL_MATCH_DATA, 0, 0, NULL,
					     NULL, ice->mailbox);
	nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT,
			       glib_loop_context(ice->ctx->loop), discard, NULL);
	if (!ice->relays) {
		g_object_unref(ice->agent);
		return;
	}
	g_object_set(ice->agent, "stun-initial-timeout", CLOSE_TIMEOUT_MS,
		     "stun-max-retransmissions", CLOSE_ATTEMPTS, NULL);
	ice->ctx->closing++;
	glib_loop_enter(ice->ctx->loop);
	nice_agent_close_async(ice->agent, closed, ice->ctx);
	glib_loop_leave(ice->ctx->loop);
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
	if (ice->agent != NULL)
		close_agent(ice);
	ice->mailbox->ice = NULL;
	g_source_destroy(&ice->mailbox->source);
	g_source_unref(&ice->mailbox->source);
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

/* False when the other side has no business with it. */
static bool
local_from_nice(struct candidate *c, const NiceCandidate *nc)
{
	memset(c, 0, sizeof *c);
	/* Peer-reflexive candidates are known to whom they came from. */
	if (nc->transport != NICE_CANDIDATE_TRANSPORT_UDP ||
	    nc->type == NICE_CANDIDATE_TYPE_PEER_REFLEXIVE)
		return false;
	from_nice(&c->addr, &nc->addr);
	if (!candidate_addr_usable(&c->addr))
		return false;
	c->type = type_from_nice(nc->type);
	c->priority = nc->priority;
	g_strlcpy(c->foundation, nc->foundation, sizeof c->foundation);
	/* RFC 8839, 5.1 wants a related address; an unspecified one tells nothing
	 * about the network behind. */
	if (c->type != PATH_HOST) {
		c->related.sa.sa_family = c->addr.sa.sa_family;
		addr_set_port(&c->related, 9);
	}
	return true;
}

size_t
ice_local(struct ice *ice, struct candidate *out, size_t max)
{
	GSList *list, *i;
	size_t n = 0;

	list = nice_agent_get_local_candidates(ice->agent, ice->stream, COMPONENT);
	for (i = list; i != NULL && n < max; i = i->next)
		if (local_from_nice(&out[n], i->data))
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
	NiceCandidate *nc;
	size_t i;

	for (i = 0; i < n; i++) {
		nc = nice_candidate_new(type_to_nice(c[i].type));
		nc->transport = NICE_CANDIDATE_TRANSPORT_UDP;
		nc->stream_id = ice->stream;
		nc->component_id = COMPONENT;
		nc->priority = c[i].priority;
		g_strlcpy(nc->foundation, c[i].foundation, sizeof nc->foundation);
		to_nice(&nc->addr, &c[i].addr);
		to_nice(&nc->base_addr, &c[i].addr);
		list = g_slist_append(list, nc);
	}
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
	info->relayed = info->local_type == PATH_RELAYED || info->remote_type == PATH_RELAYED;
	from_nice(&info->local, &local->addr);
	from_nice(&info->remote, &remote->addr);
	return true;
}

static gboolean
on_room(GSocket *socket, GIOCondition condition, gpointer arg)
{
	struct ice *ice = arg;

	(void)socket;
	(void)condition;
	stop_waiting(ice);
	post(ice->mailbox, ICE_WRITABLE);
	return G_SOURCE_REMOVE;
}

/* The UDP socket whose port is the base's of the selected relayed candidate; none when
 * the TURN server is reached over TCP. */
static GSocket *
relay_socket(struct ice *ice)
{
	NiceCandidate *local, *remote;
	GPtrArray *sockets;
	GSocketAddress *name;
	GSocket *s, *found = NULL;
	guint i, port;

	if (!nice_agent_get_selected_pair(ice->agent, ice->stream, COMPONENT, &local,
					  &remote))
		return NULL;
	port = nice_address_get_port(&local->base_addr);
	sockets = nice_agent_get_sockets(ice->agent, ice->stream, COMPONENT);
	for (i = 0; sockets != NULL && i < sockets->len && found == NULL; i++) {
		s = g_ptr_array_index(sockets, i);
		name = g_socket_get_local_address(s, NULL);
		if (name != NULL && g_socket_get_socket_type(s) == G_SOCKET_TYPE_DATAGRAM &&
		    G_IS_INET_SOCKET_ADDRESS(name) &&
		    g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(name)) == port)
			found = g_object_ref(s);
		g_clear_object(&name);
	}
	if (sockets != NULL)
		g_ptr_array_unref(sockets);
	return found;
}

/* libnice reports EAGAIN of UDP sockets, but not its end. */
static void
wait_for_room(struct ice *ice)
{
	GSocket *s;

	if (ice->writable != NULL)
		return;
	s = nice_agent_get_selected_socket(ice->agent, ice->stream, COMPONENT);
	if (s == NULL)
		s = relay_socket(ice);
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
		sent = nice_agent_send_messages_nonblocking(
		    ice->agent, ice->stream, COMPONENT, message, n, NULL, &error);
		if (sent < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
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
