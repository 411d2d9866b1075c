#ifndef MPCPROXY_WATCH_FLAGS_H
#define MPCPROXY_WATCH_FLAGS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The flags with which MPyC's programs of party ${index} use the proxies, on one line:
 * the same at every party but for -I. */
void flags_write(FILE *out, uint16_t base_port, size_t n_parties, size_t index);

#endif
