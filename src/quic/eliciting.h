#ifndef MPCPROXY_QUIC_ELICITING_H
#define MPCPROXY_QUIC_ELICITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a packet with these frames is to be acknowledged: all are, but those with
 * nothing but ACK and PADDING frames (RFC 9000, 13.2.1). What cannot be read counts as
 * if it were. CONNECTION_CLOSE does, too: after it nothing is acknowledged. */
bool packet_elicits_ack(const uint8_t *frames, size_t len);

#endif
