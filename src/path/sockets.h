#ifndef MPCPROXY_PATH_SOCKETS_H
#define MPCPROXY_PATH_SOCKETS_H

#include <gio/gio.h>
#include <nice/agent.h>

#include "base/addr.h"

/* Buffers and path MTU of an agent's UDP sockets; once it gathers. */
void sockets_tune(NiceAgent *agent, guint stream, guint component);

/* A datagram from each UDP socket to each of ${to} of its family. */
void sockets_send(NiceAgent *agent, guint stream, guint component, const union addr *to,
		  size_t n, const uint8_t *data, size_t len);

/* The UDP socket through which the selected pair sends, with a reference; NULL when
 * there is none, or it is a connection to a TURN server. */
GSocket *sockets_selected(NiceAgent *agent, guint stream, guint component);

#endif
