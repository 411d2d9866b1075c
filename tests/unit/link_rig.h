#ifndef MPCPROXY_TESTS_LINK_RIG_H
#define MPCPROXY_TESTS_LINK_RIG_H

#include "check.h"
#include "base/clock.h"
#include "fake_path.h"
#include "session/cert.h"
#include "tunnel/link.h"

/*
 * Two links, client (0) and server (1), that signal and send in memory, in simulated time
 * (sim_clock.h).
 */
struct rig_end {
	struct link *link;
	struct identity *id;
	SSL_CTX *ctx[2];
	uint8_t incarnation[16];
	unsigned ups, downs;
	bool deaf;    /* to sealed messages by the rendezvous */
	bool no_inband; /* refuses them over the connection */
	bool refused; /* it is a second copy */
};
extern struct rig_end end[2], copy;

/* A rendezvous is slower than a path. */
#define RIG_TRIP_NS (5 * NS_PER_MS)

/* What becomes of sealed messages on their way, by one seed. */
struct rig_post {
	uint64_t random;
	unsigned loss_percent, twice_percent;
	unsigned late_percent; /* up to ${late_ns}; the others up to ${delay_ns} */
	uint64_t delay_ns, late_ns;
	size_t sent;
};
extern struct rig_post post;

/* 0 .. ${n} - 1 */
uint64_t rig_below(uint64_t n);

int rig_setup(void **state);
int rig_teardown(void **state);

/* A new life; with ${alpn} other than NULL it does not understand the other end. */
void rig_start_as(struct rig_end *e, int index, const char *alpn);
void rig_start(struct rig_end *e, int index);
void rig_stop(struct rig_end *e);

bool rig_both_up(void);
/* The generation that ${e}'s connection uses. */
uint32_t rig_path_of(const struct rig_end *e);
/* Both are on generation ${number}. */
bool rig_both_on(uint32_t number);
/* As status says, at both ends. */
bool rig_both_relayed(bool relayed);
const uint8_t *rig_roster(void); /* its digest */
const char *rig_error(const struct rig_end *e);
const char *rig_state(const struct rig_end *e);

/* A round trip of a stream, begun now: whether it takes no longer. */
bool rig_try_round_trip(uint64_t limit_ns);
/* A round trip of a stream, which a new connection would have lost. */
void rig_check_round_trip(void);
/* The same, and no connection has ended so far. */
void rig_check_nothing_was_lost(void);

/* Let so much time pass. */
void rig_pass(uint64_t ns);
void rig_turn(void);

#define UNTIL_WITHIN(limit_ns, condition)                                                \
	do {                                                                             \
		uint64_t hang_ns_ = clock_now_ns() + (limit_ns);                         \
		while (!(condition)) {                                                   \
			if (clock_now_ns() > hang_ns_)                                   \
				fail_msg("it never came to: %s", #condition);            \
			rig_turn();                                                      \
		}                                                                        \
	} while (0)
#define UNTIL(condition) UNTIL_WITHIN(30 * NS_PER_S, condition)

#endif
