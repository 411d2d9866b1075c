#ifndef MPCPROXY_QR_H
#define MPCPROXY_QR_H

#include <stdio.h>

#include "base/err.h"

/* Whether this build can; the message says what it lacks. */
int qr_check(struct err *err);

/* Draw ${text} as a QR code with block characters, two modules to a character, dark on
 * light. -1 when this build cannot, or memory is short. */
int qr_draw(FILE *out, const char *text, struct err *err);

#endif
