#ifndef MPCPROXY_RUN_COMPARE_H
#define MPCPROXY_RUN_COMPARE_H

#include <stdbool.h>
#include <stdio.h>

#include "session/session.h"
#include "tunnel/run_offer.h"

/*
 * Whether all parties are about to run the same: program, words, Python, MPyC. What
 * differs is written to ${out}, side by side, parties that are equal on one line; nothing
 * when nothing differs. ${offers} has one for each party of ${s}.
 */
bool compare_offers(FILE *out, const struct session *s, const struct run_offer *offers);

#endif
