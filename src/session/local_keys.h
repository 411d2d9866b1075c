#ifndef MPCPROXY_SESSION_LOCAL_KEYS_H
#define MPCPROXY_SESSION_LOCAL_KEYS_H

#include <stdbool.h>

#include "base/err.h"
#include "session/ini.h"
#include "session/local.h"

/* The keys of [local], one by one; a part of local.c. */
struct local_keys {
	struct local *l;
	const struct session *s;
	bool secret;   /* nobody else can read the file */
	unsigned seen; /* one bit for each */
	unsigned line;
};

/* Take one pair; -1 when it is unknown, malformed or there already. */
int local_keys_take(struct local_keys *p, const struct ini_entry *e, struct err *err);

#endif
