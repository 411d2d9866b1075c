#ifndef MPCPROXY_PATH_SOCKETS_H
#define MPCPROXY_PATH_SOCKETS_H

#include <gio/gio.h>
#include <nice/agent.h>

/* Buffers and path MTU of an agent's UDP sockets; once it gathers. */
void sockets_tune(NiceAgent *agent, guint stream, guint component);

/* The UDP socket through which the selected pair sends, with a reference; NULL when
 * there is none, or it is a connection to a TURN server. */
GSocket *sockets_selected(NiceAgent *agent, guint stream, guint component);

#endif
