#ifndef MPCPROXY_TESTS_JOIN_SIM_H
#define MPCPROXY_TESTS_JOIN_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "join/host.h"
#include "join/joiner.h"
#include "join/words.h"

/*
 * A host, joiners and the rendezvous between them, which is as hostile as it is told to
 * be. Time passes as fast as there is something to do.
 */
#define SIM_JOINERS_MAX 12
#define SIM_QUEUE_MAX   4096
#define SIM_MESSAGE_MAX 8192

/* In percent of the messages, each drawn for itself. */
struct sim_net {
	unsigned drop, twice, alter, replay, astray;
	uint64_t delay_ms; /* at most */
};

struct sim_message {
	struct pubkey to;
	uint64_t at_ns;
	size_t len;
	uint8_t *data;
};

struct sim;

struct sim_party {
	struct sim *sim;
	struct identity *id;
	struct joiner *joiner; /* NULL: not running */
	const char *name;
	uint8_t psk[CONTACT_PSK_BYTES];
	struct pubkey host;
	char words[WORDS_TEXT_MAX]; /* "" for none */
	unsigned words_n;           /* how often there were some */
	bool frozen, compared;
	uint8_t digest[32];
	size_t n_parties;
	struct join_waiting waiting;
	char ended[200]; /* "" while it goes on */
};

struct sim {
	struct sim_net net;
	uint64_t now_ns;
	uint32_t seed;
	struct identity *alice;
	uint8_t psk[CONTACT_PSK_BYTES];
	struct session *base;
	struct join_host *host;
	bool confirms; /* as soon as there are words */
	bool confirmed;
	char words[WORDS_TEXT_MAX];
	unsigned words_n, left, stored, refusals;
	enum join_refusal refused; /* the last one */
	uint8_t digest[32];
	struct sim_party party[SIM_JOINERS_MAX];
	struct sim_message queue[SIM_QUEUE_MAX];
	size_t n_queue;
	struct sim_message kept[SIM_QUEUE_MAX]; /* for replays */
	size_t n_kept;
	size_t sent;
};

/* Alice invites ${wanted} to her session santa. */
struct sim *sim_new(size_t wanted, uint32_t seed);
void sim_free(struct sim *s);

/* Party ${i} begins to join as ${name}; with an identity of its own, made on first use. */
void sim_join(struct sim *s, size_t i, const char *name);
/* It ends without a word. */
void sim_kill(struct sim *s, size_t i);

/* Let ${ms} pass, or less if ${done} says so. */
void sim_run(struct sim *s, uint64_t ms, bool (*done)(struct sim *s));

uint32_t sim_random(struct sim *s, uint32_t below);

/* Hand ${data} to the network. */
void sim_post(struct sim *s, const struct pubkey *to, const uint8_t *data, size_t len);

#endif
