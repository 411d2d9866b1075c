/* Any text as a ticket: what parses is written back as the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[1024], again[TICKET_TEXT_MAX + 1];
	struct ticket t;
	struct err err;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (ticket_parse(&t, text, &err) != 0)
		return 0;
	if (ticket_format(&t, again, &err) != 0 || strcmp(text, again) != 0)
		abort();
	return 0;
}
