#ifndef MPCPROXY_PATH_CARRIER_H
#define MPCPROXY_PATH_CARRIER_H

#include <stddef.h>
#include <stdint.h>

/*
 * What moves datagrams once a pair is selected. The agent always can; a connected
 * socket of our own may take over from it. Received datagrams and news of room go to
 * the path by its own functions, whichever carrier they come from.
 */
struct carrier {
	const char *name;
	/* As path_send(). */
	size_t (*send)(void *self, const uint8_t *data, size_t len, size_t segment);
};

#endif
