#ifndef MPCPROXY_PATH_CONVERT_H
#define MPCPROXY_PATH_CONVERT_H

#include <stdbool.h>

#include <nice/agent.h>

#include "path/candidate.h"

/* Our addresses and candidates as libnice's, and back. */
void addr_to_nice(NiceAddress *out, const union addr *a);
void addr_from_nice(union addr *out, const NiceAddress *a);

enum path_candidate_type type_from_nice(NiceCandidateType type);

/* A remote candidate; free it with nice_candidate_free(). */
NiceCandidate *candidate_to_nice(const struct candidate *c, guint stream, guint component);

/* A local candidate as the other side is to see it; false when it has no business
 * with it. */
bool candidate_from_nice(struct candidate *c, const NiceCandidate *nc);

#endif
