#ifndef MPCPROXY_PATH_ICE_H
#define MPCPROXY_PATH_ICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "path/candidate.h"
#include "path/context.h"

/*
 * libnice's agent with one stream of one component. libnice reports from whichever
 * thread happens to unlock the agent; here everything arrives on the loop's.
 */
struct ice;

#define ICE_UFRAG_CHARS 8
#define ICE_PWD_CHARS   24

/* What has happened. Of several things the first ones here are told first. */
enum ice_news {
	ICE_GATHERED = 1 << 0,  /* all local candidates are there */
	ICE_STARTED = 1 << 1,   /* the host candidates are there */
	ICE_SELECTED = 1 << 2,  /* another pair is selected */
	ICE_CHANGED = 1 << 3,   /* its state is another one */
	ICE_WRITABLE = 1 << 4,  /* after ice_send() took less than all */
	ICE_CANDIDATE = 1 << 5, /* there are more local candidates */
};

struct ice_callbacks {
	void (*news)(void *arg, enum ice_news news);
	void (*datagram)(void *arg, uint8_t *data, size_t len);
};

/* Starts gathering. Callbacks come from the event loop only, and none come after
 * ice_free(), which may be called from any of them. */
struct ice *ice_new(struct path_context *ctx, const struct path_config *cfg,
		    const struct ice_callbacks *cb, void *arg, struct err *err);
void ice_free(struct ice *ice);

const char *ice_ufrag(const struct ice *ice);
const char *ice_pwd(const struct ice *ice);

/* The local candidates of the moment, as they may be shown to the other side. Returns
 * their number, at most ${max}. */
size_t ice_local(struct ice *ice, struct candidate *out, size_t max);

void ice_remote_credentials(struct ice *ice, const char *ufrag, const char *pwd);
void ice_remote_candidates(struct ice *ice, const struct candidate *c, size_t n);
void ice_remote_done(struct ice *ice);

bool ice_failed(struct ice *ice);
/* False when no pair is selected. */
bool ice_selected(struct ice *ice, struct path_info *info);

/* The UDP socket of the selected pair, still libnice's; -1 for none. */
int ice_selected_fd(struct ice *ice);

/* As path_send(), of a pair that is selected; ICE_WRITABLE follows when less than
 * ${len} was taken. */
size_t ice_send(struct ice *ice, const uint8_t *data, size_t len, size_t segment);
/* Send one datagram from each UDP socket to the STUN server and to all ${to}, where the
 * address family permits. Losses do not matter. */
void ice_send_from_all(struct ice *ice, const union addr *to, size_t n,
		       const uint8_t *data, size_t len);

/* Let ICE_WRITABLE follow soon. */
void ice_tell_writable(struct ice *ice);

#endif
