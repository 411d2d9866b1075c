/*
 * mpcproxy: one unprivileged process per party that carries MPyC's connections
 * over authenticated QUIC on paths that ICE negotiated. This file is only the
 * table of verbs.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "verbs.h"

int
main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return EXIT_USAGE;
}
