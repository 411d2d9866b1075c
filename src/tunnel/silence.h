#ifndef MPCPROXY_TUNNEL_SILENCE_H
#define MPCPROXY_TUNNEL_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What to do about a path on which answers are overdue: probe it, and after a while look
 * for another one. No clock and no timer: times are arguments, what is to be done is
 * returned. A process that was stopped (SIGSTOP, a laptop's lid) does not take its own
 * absence for the path's silence, because probes count, not seconds.
 */
struct silence {
	bool late;         /* from the first overdue answer until something is heard */
	bool suspect;      /* late for no other reason than silence_suspect() */
	bool lost;         /* SILENCE_LOST was returned */
	uint64_t since_ns; /* of ${late} */
	uint64_t
	    next_ns; /* when silence_step() is due; CLOCK_NEVER: with the next news */
	unsigned probes, unanswered;
	unsigned unanswered_max; /* then it is lost */
	uint64_t revived_ns;
	uint64_t pause_ns;
	uint64_t probed_ns; /* when the other side last sent one */
};

enum {
	SILENCE_PROBE = 1, /* send a probe */
	SILENCE_LOST = 2,  /* look for another path */
	SILENCE_HEARD = 4, /* the path is well again, after SILENCE_LOST */
};

void silence_init(struct silence *s);

/* ${late} is quic_info's, ${heard_ns} its last_received_ns. Returns what to do. */
unsigned silence_step(struct silence *s, bool late, uint64_t heard_ns, uint64_t now_ns);

/* Something has happened that may have cut the path (the machine's routes are others, the
 * process was stopped): see whether it still works. silence_step() is due at once. A path
 * that is late anyway is given up sooner. */
void silence_suspect(struct silence *s, uint64_t now_ns);

/* The other side has sent a probe. Whether it misses something, so that it is worth a
 * revival: one that merely suspects the path is content with our first answer. */
bool silence_probed(struct silence *s, uint64_t now_ns);

/* A probe was answered: whether the connection is to be revived now. That costs a
 * connection id, so it is not done again at once when it did not help. */
bool silence_answered(struct silence *s, uint64_t now_ns);

#endif
