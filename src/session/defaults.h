#ifndef MPCPROXY_SESSION_DEFAULTS_H
#define MPCPROXY_SESSION_DEFAULTS_H

#include <stdint.h>

#include "base/err.h"
#include "session/web_proxy.h"

/*
 * What local.ini says that matters before there is a session: to those who invite and
 * join. Everything else in it is for local.h, which checks it when the session is there.
 */
struct defaults {
	char *identity;     /* path; NULL: the default one */
	uint16_t base_port; /* 0: the default one */
	char *rendezvous;   /* for invitations; NULL: none */
	char *stun;         /* likewise */
	char *turn;
	struct web_proxy *proxy; /* NULL: none */
};

/* ${path} NULL: the default file, which may be absent. */
int defaults_load(struct defaults *d, const char *path, struct err *err);
void defaults_free(struct defaults *d);

#endif
