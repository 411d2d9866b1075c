#ifndef MPCPROXY_PATH_CLOSING_H
#define MPCPROXY_PATH_CLOSING_H

#include <nice/agent.h>

#include "path/context.h"

/* Take over the reference to ${agent}, which has asked servers, and drop it when the
 * TURN servers know that its relayed addresses are free, or do not answer. Counted in
 * the context while it lasts. */
void closing_start(struct path_context *ctx, NiceAgent *agent);

#endif
