#include <fcntl.h>
#include <inttypes.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "path/gateway.h"

/* Routes beyond that are not looked at. */
#define ROUTES_BYTES (64 * 1024)

int
gateway_parse(union addr *out, const char *text)
{
	uint32_t destination, gateway, mask, best = UINT32_MAX;
	unsigned flags, metric;
	int found = -1;

	/* Addresses are the kernel's four bytes, printed as a number of this machine. */
	for (; text != NULL && *text != '\0'; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (sscanf(text,
			   "%*31s %8" SCNx32 " %8" SCNx32 " %4x %*u %*u %u %8" SCNx32,
			   &destination, &gateway, &flags, &metric, &mask) != 5 ||
		    destination != 0 || mask != 0 || gateway == 0 ||
		    (flags & RTF_UP) == 0 || (flags & RTF_GATEWAY) == 0 ||
		    (found == 0 && metric >= best))
			continue;
		memset(out, 0, sizeof *out);
		out->in.sin_family = AF_INET;
		out->in.sin_addr.s_addr = gateway;
		best = metric;
		found = 0;
	}
	return found;
}

int
gateway_find(union addr *out)
{
	static const char path[] = "/proc/thread-self/net/route";
	char text[ROUTES_BYTES];
	size_t len = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (len < sizeof text - 1 &&
	       (n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return gateway_parse(out, text);
}
