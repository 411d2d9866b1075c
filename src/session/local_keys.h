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

/* local_rules.c: those that say who may reach what. */
int local_add_expose(struct local_keys *p, const char *value, struct err *err);
int local_add_forward(struct local_keys *p, const char *value, struct err *err);
/* A line of [forward]. */
int local_take_forward(struct local_keys *p, const struct ini_entry *e, struct err *err);
int local_add_limit(struct local_keys *p, enum limit_kind kind, const char *value,
		    struct err *err);
int local_set_users(struct local_keys *p, const char *value, struct err *err);

#endif
