#ifndef MPCPROXY_TESTS_SIM_CLOCK_H
#define MPCPROXY_TESTS_SIM_CLOCK_H

#include <stdint.h>

/*
 * A program that is linked with sim_clock.c lives in simulated time: clock_gettime(), for
 * our code and for libevent, all but stands still while the program works, and when an
 * event loop has nothing to do before its next timer, it is that time at once. Half an
 * hour takes as long as what happens in it, and every run is the same.
 *
 * A loop that waits although no timer runs, and one that never comes to wait,
 * abort the program.
 */

/* The process does not run for so long. */
void sim_clock_stop(uint64_t ns);

#endif
