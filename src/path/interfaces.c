#include <ifaddrs.h>
#include <net/if.h>
#include <stdbool.h>

#include "path/candidate.h"
#include "path/interfaces.h"

static size_t
collect(const struct ifaddrs *list, bool loopback, union addr *out, size_t max)
{
	const struct ifaddrs *i;
	union addr a;
	size_t n = 0, k;

	for (i = list; i != NULL && n < max; i = i->ifa_next) {
		if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) ||
		    !(i->ifa_flags & IFF_RUNNING) ||
		    ((i->ifa_flags & IFF_LOOPBACK) != 0) != loopback)
			continue;
		if (addr_from_sockaddr(&a, i->ifa_addr, sizeof a) != 0 ||
		    !candidate_addr_usable(&a))
			continue;
		addr_set_port(&a, 0);
		for (k = 0; k < n; k++)
			if (addr_equal(&a, &out[k]))
				break;
		if (k == n)
			out[n++] = a;
	}
	return n;
}

size_t
interfaces_addresses(union addr *out, size_t max)
{
	struct ifaddrs *list;
	size_t n;

	if (getifaddrs(&list) != 0)
		return 0;
	n = collect(list, false, out, max);
	if (n == 0)
		n = collect(list, true, out, max);
	freeifaddrs(list);
	return n;
}
