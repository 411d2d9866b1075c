#ifndef MPCPROXY_TESTS_QUIC_RIG_H
#define MPCPROXY_TESTS_QUIC_RIG_H

#include "base/clock.h"
#include "quic/quic.h"
#include "session/cert.h"
#include "session/identity.h"
#include "sim_net.h"

/*
 * Two connections, client (end 0) and server (end 1), on a network in memory, and
 * owners for their streams that send a known pattern and check what comes.
 */
struct rig_end;

/* The owner of a stream. */
struct flow {
	struct flow *next;
	struct rig_end *end;
	struct quic_stream *s;
	uint64_t to_send, written;
	uint64_t received;
	uint64_t stalled_bytes; /* received and not consumed */
	uint64_t reset_code;
	bool opened_here;
	bool keep_open; /* no FIN after ${to_send} */
	bool stall;     /* consume nothing */
	bool finished;
	bool fin; /* received */
	bool corrupt;
	bool sent, reset, stopped, closed, lost;
};

struct rig_end {
	struct rig *rig;
	int index;
	struct quic *q;
	struct flow *flows;
	unsigned established, ended, opened, timers;
	struct quic_end why;
	uint32_t migrated_path;
	unsigned migrated_ok, migrated_failed;
	size_t path_room; /* what the path still takes; SIZE_MAX: everything */
	uint64_t datagrams, trains;
	/* What the owners of streams that the peer opens do. */
	uint64_t reply_bytes;
	bool reply_open, reply_stall, refuse;
	bool echo; /* answer every message with as many bytes */
	void (*hook)(struct flow *f, size_t len); /* called for each stream_data() */
	/* The same for each datagram (RFC 9221); NULL: they are ignored. */
	void (*take)(struct rig_end *e, const uint8_t *data, size_t len);
};

struct rig {
	struct sim_net net;
	struct rig_end end[2];
	struct identity *id[2];
	SSL_CTX *ctx[2];
};

struct rig_options {
	uint64_t seed;
	struct sim_path path;
	const char *alpn[2]; /* NULL: "mpcproxy/1" */
	bool wrong_key[2];   /* the other end expects somebody else's key */
	bool no_certificate; /* the client shows none */
	uint64_t idle_ns;    /* 0: 60 s */
	uint64_t keep_alive_ns;
};

/* -1 when something cannot be set up. */
int rig_init(struct rig *r, const struct rig_options *o);
/* The same, and complete the handshake or abort. */
void rig_start(struct rig *r, const struct rig_options *o);
void rig_free(struct rig *r);

/* Run until ${done} says so, or for ${limit_ns} of simulated time; whether it did. */
bool rig_run(struct rig *r, bool (*done)(struct rig *r), uint64_t limit_ns);

bool rig_established(struct rig *r);  /* both */
bool rig_ended(struct rig *r);        /* both */
bool rig_quiet(struct rig *r);        /* nothing is under way */
bool rig_flows_closed(struct rig *r); /* all, at both ends */
bool rig_never(struct rig *r);

/* Open a stream that sends ${bytes} and then FIN; NULL when it cannot be opened. */
struct flow *rig_open(struct rig_end *e, uint64_t bytes);
/* The same without FIN, until ${keep_open} is cleared. */
struct flow *rig_open_half(struct rig_end *e, uint64_t bytes);
/* Send what there is room for. */
void rig_pump(struct flow *f);
/* The other end's owner of the same stream (streams opened in order); NULL so far. */
struct flow *rig_peer_flow(const struct flow *f);
/* Consume what ${f} has held back. */
void rig_unstall(struct flow *f);
void rig_flush(struct rig *r, int end);

#endif
