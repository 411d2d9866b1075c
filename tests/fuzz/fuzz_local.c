#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct party parties[] = {{.name = "alice"}, {.name = "bob"}};
	static const struct session session = {.name = "s",
					       .parties = parties,
					       .n_parties = 2};
	struct err err = {""};
	struct local *l =
	    local_parse("f", (const char *)data, size, true, &session, &err);

	if (l == NULL) {
		if (strncmp(err.text, "f:", 2) != 0)
			abort();
		return 0;
	}
	if (l->n_expose > LOCAL_EXPOSE_MAX || l->n_forward > LOCAL_FORWARD_MAX ||
	    l->base_port == 0 || l->base_port > 65534)
		abort();
	if (l->socks5.addr.sa.sa_family != AF_UNSPEC && !l->socks5.everyone &&
	    !addr_is_loopback(&l->socks5.addr))
		abort();
	local_check_ports(l, &session, 0, &err);
	local_free(l);
	return 0;
}
