#include <netinet/in.h>
#include <sys/socket.h>

#include <gio/gio.h>

#include "path/sockets.h"

/* As far as the kernel permits: a burst of a full congestion window must survive until
 * this thread is back from other work. */
#define RECEIVE_BUFFER_BYTES (4 * 1024 * 1024)
#define SEND_BUFFER_BYTES    (2 * 1024 * 1024)

/*
 * Datagrams are never cut into fragments, or QUIC's search for the path's MTU would find
 * any size to work. PROBE rather than DO: the kernel's idea of the MTU is not asked.
 */
void
sockets_tune(NiceAgent *agent, guint stream, guint component)
{
	GPtrArray *sockets = nice_agent_get_sockets(agent, stream, component);
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

void
sockets_send(NiceAgent *agent, guint stream, guint component, const union addr *to,
	     size_t n, const uint8_t *data, size_t len)
{
	GPtrArray *sockets = nice_agent_get_sockets(agent, stream, component);
	GSocket *s;
	guint i;
	size_t j;

	for (i = 0; sockets != NULL && i < sockets->len; i++) {
		s = g_ptr_array_index(sockets, i);
		if (g_socket_get_socket_type(s) != G_SOCKET_TYPE_DATAGRAM)
			continue;
		for (j = 0; j < n; j++)
			if (to[j].sa.sa_family == (int)g_socket_get_family(s))
				sendto(g_socket_get_fd(s), data, len,
				       MSG_DONTWAIT | MSG_NOSIGNAL, &to[j].sa,
				       addr_len(&to[j]));
	}
	if (sockets != NULL)
		g_ptr_array_unref(sockets);
}

/* The UDP socket whose port is the base's of the selected relayed candidate; none when
 * the TURN server is reached over TCP. */
static GSocket *
relay_socket(NiceAgent *agent, guint stream, guint component)
{
	NiceCandidate *local, *remote;
	GPtrArray *sockets;
	GSocketAddress *name;
	GSocket *s, *found = NULL;
	guint i, port;

	if (!nice_agent_get_selected_pair(agent, stream, component, &local, &remote))
		return NULL;
	port = nice_address_get_port(&local->base_addr);
	sockets = nice_agent_get_sockets(agent, stream, component);
	for (i = 0; sockets != NULL && i < sockets->len && found == NULL; i++) {
		s = g_ptr_array_index(sockets, i);
		name = g_socket_get_local_address(s, NULL);
		if (name != NULL &&
		    g_socket_get_socket_type(s) == G_SOCKET_TYPE_DATAGRAM &&
		    G_IS_INET_SOCKET_ADDRESS(name) &&
		    g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(name)) == port)
			found = g_object_ref(s);
		g_clear_object(&name);
	}
	if (sockets != NULL)
		g_ptr_array_unref(sockets);
	return found;
}

GSocket *
sockets_selected(NiceAgent *agent, guint stream, guint component)
{
	GSocket *s = nice_agent_get_selected_socket(agent, stream, component);

	return s != NULL ? s : relay_socket(agent, stream, component);
}
