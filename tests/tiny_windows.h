#ifndef MPCPROXY_TESTS_TINY_WINDOWS_H
#define MPCPROXY_TESTS_TINY_WINDOWS_H

#include <stdint.h>

/*
 * A server of QUIC that grants other windows than ours do, and never larger ones. To be
 * linked with -Wl,--wrap=ngtcp2_conn_server_new_versioned.
 */
extern uint64_t tiny_window, tiny_stream_window; /* bytes; 0: as they are */

#endif
