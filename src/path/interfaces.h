#ifndef MPCPROXY_PATH_INTERFACES_H
#define MPCPROXY_PATH_INTERFACES_H

#include <stddef.h>

#include "base/addr.h"

/*
 * The addresses (port 0) that host candidates are made of: those of every interface that
 * is up, without loopback and without IPv6 link-local ones. Where there is nothing but
 * loopback, loopback's. Returns their number, at most ${max}.
 */
size_t interfaces_addresses(union addr *out, size_t max);

#endif
