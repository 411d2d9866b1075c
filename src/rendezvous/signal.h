#ifndef MPCPROXY_RENDEZVOUS_SIGNAL_H
#define MPCPROXY_RENDEZVOUS_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rendezvous/contact.h"

/*
 * The bodies of the messages that peers exchange through a contact. Every body is a
 * sequence of fields (type, length, value), RFC 8839's names in them; a field of
 * unknown type is passed over, a known one that is malformed refuses the message.
 */
enum signal_type {
	/* One bundle of a generation's candidates. */
	SIGNAL_CANDIDATES = 1,
	/* The QUIC server asks the client for a new generation. */
	SIGNAL_RESTART = 2,
	/* The sender's ICE agent has concluded: a pair is nominated, no check is under
	 * way. */
	SIGNAL_CONCLUDED = 3,
	/* The QUIC server's network has changed: if the pair is relayed, the client tries
	 * for a direct path at once. */
	SIGNAL_SEARCH = 4,
	/* The sender's session.ini has changed: what the envelope says of it. */
	SIGNAL_ROSTER = 5,
};

#define SIGNAL_UFRAG_MAX      256 /* RFC 8839, 5.4 */
#define SIGNAL_PWD_MAX        256
#define SIGNAL_CANDIDATES_MAX 25  /* libnice takes no more */
#define SIGNAL_CANDIDATE_MAX  192 /* one candidate line without "a=candidate:" */

/* What the sender knows of its own network, for the other side's status. Zero in every
 * member but ${told}: unknown, or none. */
struct signal_facts {
	bool told;
	enum { SIGNAL_UDP_UNKNOWN, SIGNAL_UDP_WORKS, SIGNAL_UDP_BLOCKED } udp;
	/* RFC 4787, 4.1; none: there is no NAT. */
	enum {
		SIGNAL_MAPPING_UNKNOWN,
		SIGNAL_MAPPING_NONE,
		SIGNAL_MAPPING_INDEPENDENT,
		SIGNAL_MAPPING_DEPENDENT,
	} mapping;
	bool ipv4, ipv6, reflexive, relayed; /* candidates gathered so far */
	uint8_t turn_servers;                /* that were asked for relayed ones */
};

/* Whether they show relayed candidates alone: it is its sender's policy. */
bool signal_facts_hide(const struct signal_facts *f);

struct signal_candidates {
	/* Counts the ICE attempts between two parties; the QUIC client chooses it,
	 * the server answers under the same number. */
	uint32_t generation;
	bool last; /* no bundle of this generation follows */
	/* The generation is to replace a relayed path by a direct one: neither side
	 * uses relayed candidates in it. */
	bool direct;
	struct signal_facts facts;
	char ufrag[SIGNAL_UFRAG_MAX + 1];
	char pwd[SIGNAL_PWD_MAX + 1];
	size_t n;
	char candidate[SIGNAL_CANDIDATES_MAX][SIGNAL_CANDIDATE_MAX + 1];
};

/* These return the encoded length, or -1 when it does not fit ${size}. */
int signal_encode_candidates(const struct signal_candidates *m, uint8_t *out,
			     size_t size);
/* RESTART, CONCLUDED and SEARCH are about one generation and say no more. */
int signal_encode_generation(uint32_t generation, uint8_t *out, size_t size);

/* 0, or -1 when the body is malformed: a length beyond its end, a bound above
 * exceeded, a missing field, a byte that ICE does not allow in ufrag, pwd or
 * candidate. */
int signal_decode_candidates(struct signal_candidates *m, const uint8_t *body,
			     size_t len);
int signal_decode_generation(uint32_t *generation, const uint8_t *body, size_t len);

#endif
