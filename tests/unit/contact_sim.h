#ifndef MPCPROXY_TESTS_CONTACT_SIM_H
#define MPCPROXY_TESTS_CONTACT_SIM_H

#include "base/clock.h"
#include "fake_envelope.h"
#include "rendezvous/contact.h"

/*
 * Two parties, several lives of each, and between them a place that loses, doubles,
 * delays (and so reorders) and replays messages, all by one seed and on a clock of its
 * own. Lives of one party share a box: each message to the party reaches all of them.
 *
 * What must hold of every run is asserted in here: a message is delivered at most once
 * to a life, and only to the one it was sent to; a timer that fired has moved.
 */
#define SIM_LIVES_MAX    8
#define SIM_MESSAGES_MAX 64 /* sent by one life */
#define SIM_TYPE 1 /* of the messages that lives send each other */
#define SIM_FLIGHT_MAX   4096
#define SIM_RECORD_MAX   4096

struct sim;

struct sim_life {
	struct sim *sim;
	unsigned party;
	size_t index;
	struct contact *contact; /* NULL: dead */
	struct incarnation incarnation;
	uint64_t born_ns;
	uint64_t met_ns;   /* the last time */
	uint64_t first_ns; /* when the first message came */
	unsigned met; /* since it was refused, or told the peer's end */
	unsigned replaced, refused, differs, agrees;
	unsigned heard_asked;
	bool heard;     /* what heard() says */
	unsigned greet; /* messages to send when met */
	unsigned sent;  /* messages so far; their contents are 0, 1, ... */
	unsigned got[SIM_LIVES_MAX][SIM_MESSAGES_MAX]; /* deliveries, by sender */
	size_t transmitted;                            /* sealed messages */
};

struct sim_packet {
	uint64_t due_ns;
	unsigned to; /* party */
	uint8_t *data;
	size_t len;
};

struct sim {
	uint64_t now_ns;
	uint64_t random;
	unsigned loss_percent, twice_percent;
	uint64_t delay_min_ns, delay_max_ns;
	struct sim_life life[SIM_LIVES_MAX];
	size_t lives;
	struct sim_packet flight[SIM_FLIGHT_MAX];
	size_t flying;
	struct sim_packet record[SIM_RECORD_MAX]; /* all that was ever sent */
	size_t recorded;
	const struct sim_packet *arriving;
};

/* From ${seed}; a network without faults and without delay until told otherwise. */
struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s);

/* 0 .. ${n} - 1. */
uint64_t sim_below(struct sim *s, uint64_t n);

/* A new life of ${party}, online from now on. ${roster} is the first byte of its
 * roster's digest. */
struct sim_life *sim_start(struct sim *s, unsigned party, uint8_t roster);
void sim_kill(struct sim_life *l);

/* The next message of ${l}; 0, or -1 when it has not met its peer. */
int sim_send(struct sim_life *l);

/* Lose everything that is under way. */
void sim_drop_all(struct sim *s);

/* Deliver one of the recorded messages once more, at once. */
void sim_replay(struct sim *s, size_t i);

void sim_run(struct sim *s, uint64_t for_ns);

/* How many of ${from}'s first ${n} messages ${to} has had. */
unsigned sim_got(const struct sim_life *to, const struct sim_life *from, unsigned n);

/* Both have met and nothing is left to do. */
void sim_assert_settled(const struct sim_life *a, const struct sim_life *b);

#endif
