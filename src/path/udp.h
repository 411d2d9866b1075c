#ifndef MPCPROXY_PATH_UDP_H
#define MPCPROXY_PATH_UDP_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/addr.h"
#include "base/err.h"
#include "path/stun_answer.h"

/*
 * A connected UDP socket on the same local address as a socket of libnice's agent: the
 * kernel gives the peer's datagrams to it and all others to the agent's. Trains go out
 * with UDP_SEGMENT and come in with UDP_GRO, many at once, where the kernel has them.
 */
struct udp;

/* What received trains are read into; one for all sockets of a process. */
struct udp_scratch;
struct udp_scratch *udp_scratch_new(void);
void udp_scratch_free(struct udp_scratch *scratch);

struct udp_callbacks {
	/* One datagram that is not STUN, from the peer's address. */
	void (*datagram)(void *arg, uint8_t *data, size_t len);
	/* There is room again after udp_send() took less than all. */
	void (*writable)(void *arg);
};

/*
 * Take ${remote}'s datagrams over from the agent's socket ${agent_fd}. STUN requests on
 * it are answered with ${credentials}, which is copied. NULL when the kernel refuses;
 * nothing has changed then.
 */
struct udp *udp_new(struct event_base *base, int agent_fd, const union addr *remote,
		    const struct stun_credentials *credentials,
		    struct udp_scratch *scratch, const struct udp_callbacks *cb,
		    void *arg, struct err *err);
/* Also from within its callbacks. NULL is ignored. */
void udp_free(struct udp *u);

/* As path_send(). */
size_t udp_send(struct udp *u, const uint8_t *data, size_t len, size_t segment);

#endif
