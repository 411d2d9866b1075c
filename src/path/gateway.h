#ifndef MPCPROXY_PATH_GATEWAY_H
#define MPCPROXY_PATH_GATEWAY_H

#include "base/addr.h"

/* The IPv4 router that the default route goes to, port 0, into ${out}; -1 when there is
 * none. Of several, the one with the smallest metric. */
int gateway_find(union addr *out);

/* The same from the text of /proc/net/route. */
int gateway_parse(union addr *out, const char *text);

#endif
