#ifndef MPCPROXY_TUNNEL_JOINT_H
#define MPCPROXY_TUNNEL_JOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

#include "quic/quic.h"
#include "tunnel/meter.h"

/*
 * A local TCP connection joined to a QUIC stream: bytes, ends of file and back-pressure
 * pass both ways. Closed at first: what the local program sends is kept, up to
 * JOINT_HELD_MAX, and copied to the stream there may be, and nothing is written to it.
 * Once open, bytes go straight from the socket into QUIC's send buffer, and from the
 * packets into one buffer, from which one call writes all that came at once.
 */
struct joint;

#define JOINT_HELD_MAX (64 * 1024)
/* The same after joint_end_cancels(): an end of file is found only by reading up to it,
 * and MPyC's greeting between 20 parties has 760 KiB. */
#define JOINT_HELD_TO_END_MAX (1024 * 1024)

/* Moved from one socket in one go, so that a bulk stream does not keep the others
 * waiting. */
#define JOINT_TURN_BYTES (256 * 1024)

/* The local socket has something to say: call joint_move(). */
typedef void joint_active(void *arg);

struct joint *joint_new(struct event_base *base, joint_active *active, void *arg);
/* Closes the socket as it is; the QUIC stream is left alone. */
void joint_free(struct joint *j);

/* Join the connected, non-blocking socket ${fd}, which is the joint's from then on, also
 * when -1 is returned. */
int joint_set_fd(struct joint *j, int fd);
bool joint_has_fd(const struct joint *j);

/* Join ${qs}: what is held is written to it. NULL parts from it; what was held is kept
 * for the next one. Only before joint_open() may another be joined. */
void joint_set_stream(struct joint *j, struct quic_stream *qs);

/* Until joint_open() the local program has no reason to end: an end of file is not
 * passed on, and joint_hung_up() tells of it. */
void joint_end_cancels(struct joint *j);

/* Move no more than the meters allow, once it is open: ${out} from the local program,
 * ${in} to it. They must outlive the joint. */
void joint_set_meters(struct joint *j, struct meter *out, struct meter *in);
/* A meter has stopped it: joint_move() when there may be more. */
bool joint_is_metered_out(const struct joint *j);

/* Both programs are there. */
void joint_open(struct joint *j);

enum joint_state {
	JOINT_GOES_ON,
	JOINT_DONE,   /* both ends of file have been passed on */
	JOINT_BROKEN, /* for good: joint_error() says how */
};

/* Move what can be moved, both ways. */
enum joint_state joint_move(struct joint *j);

/* From the peer, for the local program: copied, and written by the next joint_move(),
 * which gives credit back as bytes leave. -1 when memory is short. */
int joint_take(struct joint *j, const uint8_t *data, size_t len, bool fin);

/* Why it is broken, in a phrase. */
const char *joint_error(const struct joint *j);

/* The local program has closed its side, whether or not that has been passed on. */
bool joint_hung_up(const struct joint *j);

/* Something of the local program's has been written to the stream. */
bool joint_has_sent(const struct joint *j);

/* The first bytes held from the local program, or waiting for it: how many of ${len}
 * were copied to ${out}. */
size_t joint_peek_held(const struct joint *j, uint8_t *out, size_t len);
size_t joint_peek_waiting(const struct joint *j, uint8_t *out, size_t len);

/* Bytes wait to be written to the local program. */
bool joint_is_waiting(const struct joint *j);

/* Write a few bytes of our own to the local program, before joint_open(). */
void joint_say(struct joint *j, const uint8_t *data, size_t len);

/* The local program ends its half with shutdown() (UNIX sockets only): when it closes the
 * socket before ours has ended, it has died, and the joint is broken. */
void joint_close_breaks(struct joint *j);

/* The local program must see a reset when the socket is closed. */
void joint_arm_reset(struct joint *j);

/* The same should this process be killed, whose sockets the kernel closes: the local
 * program must not take that for the end of the data. joint_free() is not affected. */
void joint_reset_if_killed(struct joint *j);
/* The local program must see an end of file, whatever was still to come. */
void joint_end_of_file(struct joint *j);

/* Bytes moved since the last call. */
void joint_count(struct joint *j, size_t *sent, size_t *received);

#endif
