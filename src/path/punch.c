#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "path/path.h"
#include "path/punch.h"

#define STUN_HEADER_BYTES 20

struct punch {
	struct ice *ice;
	struct event *timer;
	union addr to[PATH_CANDIDATES_MAX];
	size_t n;
};

/* RFC 8489, 5: a Binding indication without attributes. */
static int
write_indication(uint8_t out[STUN_HEADER_BYTES])
{
	static const uint8_t head[8] = {0x00, 0x11, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42};

	memcpy(out, head, sizeof head);
	return RAND_bytes(out + sizeof head, STUN_HEADER_BYTES - (int)sizeof head) == 1
		   ? 0
		   : -1;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	uint8_t indication[STUN_HEADER_BYTES];
	struct punch *p = arg;

	(void)fd;
	(void)what;
	if (write_indication(indication) == 0)
		ice_send_from_all(p->ice, p->to, p->n, indication, sizeof indication);
}

struct punch *
punch_new(struct event_base *base, struct ice *ice)
{
	static const struct timeval every = {.tv_sec = PUNCH_EVERY_S};
	struct punch *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->ice = ice;
	p->timer = event_new(base, -1, EV_PERSIST, on_timer, p);
	if (p->timer == NULL || event_add(p->timer, &every) != 0) {
		punch_free(p);
		return NULL;
	}
	return p;
}

void
punch_free(struct punch *p)
{
	if (p == NULL)
		return;
	if (p->timer != NULL)
		event_free(p->timer);
	free(p);
}

void
punch_towards(struct punch *p, const struct candidate *c, size_t n)
{
	for (size_t i = 0; i < n && p->n < PATH_CANDIDATES_MAX; i++)
		p->to[p->n++] = c[i].addr;
}
