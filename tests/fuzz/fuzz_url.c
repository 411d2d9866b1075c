#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/url.h"

#define TEXT_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted means the same once it has been written down again. */
static void
check_round_trip(enum url_kind kind, const struct url *url)
{
	char text[TEXT_MAX], again[TEXT_MAX];
	struct url parsed;

	url_format(url, text, sizeof text);
	if (url_parse(&parsed, kind, text, NULL) != 0)
		abort();
	url_format(&parsed, again, sizeof again);
	if (parsed.scheme != url->scheme || strcmp(text, again) != 0)
		abort();
	url_format_public(url, text, sizeof text);
	if (url->scheme != URL_DIR && strchr(text, '#') != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum url_kind kinds[] = {URL_KIND_RENDEZVOUS, URL_KIND_STUN,
					      URL_KIND_TURN};
	char text[TEXT_MAX];
	struct url url;
	struct err err;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (url_parse(&url, kinds[i], text, &err) == 0)
			check_round_trip(kinds[i], &url);
	}
	return 0;
}
