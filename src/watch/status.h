#ifndef MPCPROXY_WATCH_STATUS_H
#define MPCPROXY_WATCH_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tunnel/proxy.h"

/*
 * What a proxy says of itself, as of ${now_ns} (monotonic). Strings are shown with '?'
 * for every byte that is not printable ASCII, so that nothing reaches a terminal or a
 * JSON reader that it could trip over. Errors of writing stay in ${out} (ferror()).
 */

/* A table for people, of lines of about 80 columns. */
void status_text(FILE *out, const struct proxy *p, uint64_t now_ns);

/* One JSON object (RFC 8259), documented in mpcproxy(1). */
void status_json(FILE *out, const struct proxy *p, uint64_t now_ns);

/* The parties that are not connected, a line each: "not connected: carol (checking
 * pairs)". Returns
 * their number. */
size_t status_missing(FILE *out, const struct proxy *p);

#endif
