#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/web_proxy.h"

#define TEXT_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A URL, a line's end, what NO_PROXY says, a line's end and a host. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct web_proxy p;
	char text[TEXT_MAX];
	char *no, *host;
	struct err err;

	if (size >= sizeof text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	no = strchr(text, '\n');
	if (no != NULL)
		*no++ = '\0';
	if (web_proxy_parse(&p, text, &err) != 0)
		return 0;
	/* Nothing in a request's head but what belongs there. */
	if (strpbrk(p.credentials, "\r\n ") != NULL || strpbrk(p.host, "\r\n ") != NULL ||
	    p.port == 0)
		abort();
	host = no != NULL ? strchr(no, '\n') : NULL;
	if (host == NULL)
		return 0;
	*host++ = '\0';
	if (strlen(no) > WEB_PROXY_NO_MAX)
		return 0;
	strcpy(p.no_proxy, no);
	p.from_environment = true;
	web_proxy_for(&p, host);
	return 0;
}
