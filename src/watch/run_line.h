#ifndef MPCPROXY_WATCH_RUN_LINE_H
#define MPCPROXY_WATCH_RUN_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "tunnel/run.h"

/*
 * What passes between a proxy and the verb that runs a program, on the control socket
 * after the request "run": lines, both ways, the word of its type first.
 */
enum run_line_type {
	/* From the proxy. */
	RUN_LINE_OK,     /* ok SET: granted; the local port of party 0; the first line */
	RUN_LINE_PARTY,  /* party INDEX STATE TEXT: run_party_state, and why */
	RUN_LINE_THEIRS, /* theirs INDEX HEX: what that party is about to run */
	RUN_LINE_COMPLETE, /* complete SET: all of them have been told */
	RUN_LINE_GO,       /* go: begin */
	RUN_LINE_ENDED,    /* ended INDEX HOW CODE */
	RUN_LINE_LOST,     /* lost INDEX TEXT */
	RUN_LINE_NO,       /* no TEXT: it cannot be done; the last line */
	RUN_LINE_DONE,     /* done: all is told and over; the last line */
	/* From the verb. */
	RUN_LINE_GATE,  /* gate: comes with a descriptor (gate.h); before the offer */
	RUN_LINE_OFFER, /* offer HEX */
	RUN_LINE_AGREE, /* agree SET */
	RUN_LINE_END,   /* end HOW CODE */
};

#define RUN_LINE_TEXT_MAX 255
/* Without the newline. */
#define RUN_LINE_MAX (2 * RUN_OFFER_MAX + 32)

struct run_line {
	enum run_line_type type;
	size_t index; /* of a party */
	enum run_party_state state;
	uint32_t set; /* or a port */
	enum run_end how;
	uint8_t code;
	char text[RUN_LINE_TEXT_MAX + 1]; /* printable ASCII, not empty */
	uint8_t offer[RUN_OFFER_MAX];
	size_t offer_len;
};

/* Parse the ${len} bytes of ${line}, without its newline: exactly the grammar above,
 * single spaces; -1 otherwise. */
int run_line_parse(struct run_line *l, const char *line, size_t len);

/* Write the line without a newline; returns its length. */
size_t run_line_format(const struct run_line *l, char out[RUN_LINE_MAX + 1]);

#endif
