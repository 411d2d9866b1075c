#include <string.h>

#include "path/convert.h"

void
addr_to_nice(NiceAddress *out, const union addr *a)
{
	nice_address_init(out);
	if (a->sa.sa_family != AF_UNSPEC)
		nice_address_set_from_sockaddr(out, &a->sa);
}

void
addr_from_nice(union addr *out, const NiceAddress *a)
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

enum path_candidate_type
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

NiceCandidate *
candidate_to_nice(const struct candidate *c, guint stream, guint component)
{
	NiceCandidate *nc = nice_candidate_new(type_to_nice(c->type));

	nc->transport = NICE_CANDIDATE_TRANSPORT_UDP;
	nc->stream_id = stream;
	nc->component_id = component;
	nc->priority = c->priority;
	g_strlcpy(nc->foundation, c->foundation, sizeof nc->foundation);
	addr_to_nice(&nc->addr, &c->addr);
	addr_to_nice(&nc->base_addr, &c->addr);
	return nc;
}

bool
candidate_from_nice(struct candidate *c, const NiceCandidate *nc)
{
	memset(c, 0, sizeof *c);
	/* Peer-reflexive candidates are known to whom they came from. */
	if (nc->transport != NICE_CANDIDATE_TRANSPORT_UDP ||
	    nc->type == NICE_CANDIDATE_TYPE_PEER_REFLEXIVE)
		return false;
	addr_from_nice(&c->addr, &nc->addr);
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
