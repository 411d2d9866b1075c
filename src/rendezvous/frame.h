#ifndef MPCPROXY_RENDEZVOUS_FRAME_H
#define MPCPROXY_RENDEZVOUS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "rendezvous/rendezvous.h"
#include "session/pubkey.h"

/*
 * What a party and a mailbox say to each other inside TLS: frames of
 *
 *   version (1 byte) | type (1) | length of the payload (2) | payload
 *
 * in network byte order. Bytes are arguments; there are no sockets in here.
 */
#define FRAME_VERSION      1
#define FRAME_HEADER_BYTES 4
#define FRAME_TAG_BYTES    16
#define FRAME_TEXT_MAX     200 /* of an ERROR */
#define FRAME_PAYLOAD_MAX  (PUBKEY_BYTES + RENDEZVOUS_MESSAGE_MAX)
#define FRAME_MAX          (FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX)

/* Who may send a frame is the top bit of its type. */
enum frame_type {
	/* From the party. The first one is OPEN, once: tag (16). */
	FRAME_OPEN = 0x01,
	/* Recipient's key (33), message (1..8192). */
	FRAME_SEND = 0x02,
	FRAME_PING = 0x03,
	/* From the mailbox. Answer to OPEN: largest message (4), milliseconds of
	 * silence after which the mailbox gives the connection up (4). */
	FRAME_READY = 0x81,
	/* Message (1..8192). */
	FRAME_MESSAGE = 0x82,
	FRAME_PONG = 0x83,
	/* The last frame before the mailbox closes: code (2), text (0..200). */
	FRAME_ERROR = 0x84,
};

enum frame_code {
	FRAME_CODE_PROTOCOL = 1, /* the party broke this protocol */
	FRAME_CODE_TIMEOUT = 2,  /* no OPEN in time, or silence */
	FRAME_CODE_REPLACED = 3, /* newer connections of the same key and tag */
	FRAME_CODE_LIMIT = 4,    /* a bound of the mailbox */
	FRAME_CODE_SHUTDOWN = 5, /* the mailbox ends */
};

/* One frame; the fields that its type has. Pointers go into the caller's bytes. */
struct frame {
	enum frame_type type;
	const uint8_t *tag;   /* OPEN: FRAME_TAG_BYTES */
	const uint8_t *to;    /* SEND: PUBKEY_BYTES */
	const uint8_t *body;  /* SEND, MESSAGE, ERROR (text) */
	size_t len;           /* of the body */
	uint32_t message_max; /* READY */
	uint32_t idle_ms;     /* READY */
	uint16_t code;        /* ERROR */
};

/*
 * The frame at the start of ${data}, sent by the mailbox or else by the party.
 * Returns the bytes it takes; 0 when more are needed to tell; -1 and why when no
 * further byte could make it a frame, as early as the bytes show it.
 */
ssize_t frame_parse(struct frame *f, bool from_mailbox, const uint8_t *data, size_t len,
		    struct err *err);

/* Write ${f} to ${out} of ${size} bytes. Returns its length, -1 when it does not fit or
 * breaks a bound above. */
ssize_t frame_encode(const struct frame *f, uint8_t *out, size_t size);

/* The tag of a session: half a hash of its name, so that one party can take part in
 * several sessions at one mailbox. No secret: it keeps sessions apart, not people. */
int frame_session_tag(uint8_t tag[FRAME_TAG_BYTES], const char *session_name);

#endif
