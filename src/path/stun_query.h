#ifndef MPCPROXY_PATH_STUN_QUERY_H
#define MPCPROXY_PATH_STUN_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Binding requests of our own to STUN servers (RFC 8489), and what they answer. */
#define STUN_QUERY_MAX 32
#define STUN_REPLY_MAX 548 /* RFC 8489, 6.1: the largest over IPv4 of unknown path MTU   \
			    */
#define STUN_QUERY_ID 12

/* RFC 5780, 7.2: from which of its addresses the server shall answer. */
enum stun_change {
	STUN_CHANGE_NOTHING = 0,
	STUN_CHANGE_PORT = 2,
	STUN_CHANGE_IP_AND_PORT = 6,
};

/* Into ${out}; returns the length. */
size_t stun_query(uint8_t out[STUN_QUERY_MAX], const uint8_t id[STUN_QUERY_ID],
		  enum stun_change change);

struct stun_reply {
	uint8_t id[STUN_QUERY_ID];
	bool success;
	unsigned error;    /* of an error response: 300..699 */
	union addr mapped; /* of a success response; always there */
	union addr other;  /* RFC 5780, 7.4; AF_UNSPEC when the server has none */
};

/* Parse strictly: a Binding response and nothing else, whose attributes fill the message
 * and are well-formed; -1 otherwise. */
int stun_reply_parse(struct stun_reply *r, const uint8_t *data, size_t len);

#endif
