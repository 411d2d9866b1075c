#ifndef MPCPROXY_BASE_GATE_MESSAGE_H
#define MPCPROXY_BASE_GATE_MESSAGE_H

#include <stdint.h>

/*
 * Between a proxy and the helper in a program's own network namespace, on a pair of
 * SOCK_SEQPACKET sockets: each message is one packet. Both ends are of one user and, as
 * a rule, of one version; a message that is none of these ends it.
 */
enum gate_type {
	GATE_DIAL =
	    1, /* to the helper: connect to the program's port; answered in order */
	GATE_CONNECTED, /* its answer, with the socket */
	GATE_FAILED,    /* its answer: ${value} is errno */
	GATE_ACCEPTED,  /* the program has dialled party ${value}; with the socket */
};

struct gate_message {
	uint32_t type;
	uint32_t value;
};

#endif
